"""Numbers from papers (``results/published/*.csv``), checked on load; never mixed with what was measured here."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pandas as pd

from slembench.core.assets import asset_path
from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import DataError

COLUMNS = (
    "system", "params", "dataset", "split", "target", "metric", "value", "spread", "raw", "unit",
    "evidence", "source", "source_locator", "note",
)  # fmt: skip
"""Columns of every file; results/published/README.md says what they mean."""

REQUIRED = ("system", "dataset", "target", "metric", "unit", "evidence", "source")
"""Columns that are never empty."""

EVIDENCE = ("primary", "secondary", "poster")
"""Where a number was read: the paper or repository itself, another text quoting it, a poster."""

_SPREAD = re.compile(r"(?P<value>[0-9.]+)\+-(?P<spread>[0-9.]+)")


class RelatedSet(StrictModel):
    """A published set shown beside a data set of this project.

    Attributes:
        set: value of the column ``dataset``.
        comparable: whether structures, reference operators, split and metric are the same.
        note: what differs.
    """

    set: str
    comparable: bool
    note: str


def load_published(folder: str | Path | None = None) -> pd.DataFrame:
    """All published rows, in the order of the files.

    Args:
        folder: folder of CSV files; by default the shipped ``results/published``.

    Returns:
        Frame with `COLUMNS`; ``value`` and ``spread`` are float64 in ``unit`` (NaN where absent), the rest text.

    Example:
        >>> rows = load_published()
        >>> set(rows["evidence"]) <= set(EVIDENCE), bool((rows["source"] != "").all())
        (True, True)

    Raises:
        DataError: no file, another header, an empty required field, a value that is no number, a ``raw`` text
            that contradicts its value, or a row that stands there twice; with file and line.
    """
    root = Path(folder) if folder is not None else asset_path("results", "published")
    files = sorted(root.glob("*.csv"))
    if not files:
        raise DataError(f"{root}: no CSV files with published results")
    rows = pd.concat([_read(file) for file in files], ignore_index=True)
    # Two texts may quote one number with sources of their own; only a row that is the same in every column is an error.
    twice = rows.duplicated()
    if twice.any():
        raise DataError(f"{root}: this row stands there twice: {', '.join(map(str, rows[twice].iloc[0]))}")
    return rows


def related_sets(dataset: str, folder: str | Path | None = None) -> list[RelatedSet]:
    """Published sets to show beside ``dataset``; empty where none is known.

    Args:
        dataset: name of a data set of this project.
        folder: folder of ``related.yaml``; by default the shipped ``results/published``.

    Raises:
        DataError: the file is missing, not YAML, or has unknown or missing keys.
    """
    path = Path(folder) / "related.yaml" if folder is not None else asset_path("results", "published", "related.yaml")
    return load_yaml(dict[str, list[RelatedSet]], path, DataError).get(dataset, [])


def _read(file: Path) -> pd.DataFrame:
    try:
        header, *rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines(), strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not readable as CSV: {error}") from error
    if tuple(header) != COLUMNS:
        raise DataError(f"{file}: columns must be {', '.join(COLUMNS)}; found {', '.join(header) or 'nothing'}")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(COLUMNS):
            raise DataError(f"{file}:{line}: {len(row)} columns instead of {len(COLUMNS)}")
        _check(dict(zip(COLUMNS, row)), f"{file}:{line}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("value", "spread"):
        table[column] = [float(text) if text else math.nan for text in table[column]]
    return table


def _check(row: dict[str, str], where: str) -> None:
    for column in REQUIRED:
        if not row[column].strip():
            raise DataError(f"{where}: column {column!r} is empty")
    if row["evidence"] not in EVIDENCE:
        raise DataError(f"{where}: column 'evidence': {row['evidence']!r} is not one of {', '.join(EVIDENCE)}")
    for column in ("value", "spread"):
        # Papers print "0.057+-0.004", "1,234" or "~3": what is no plain number is kept as text beside the number.
        if row[column] and not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", row[column]):
            raise DataError(f"{where}: column {column!r}: {row[column]!r} is no plain number; its text goes to 'raw'")
    if not row["value"] and not row["raw"]:
        raise DataError(f"{where}: neither 'value' nor 'raw' is given")
    printed = _SPREAD.fullmatch(row["raw"])
    if row["spread"] and not printed:
        raise DataError(f"{where}: 'spread' is given, so 'raw' must hold the text, e.g. '0.057+-0.004'")
    if printed and (row["value"], row["spread"]) != (printed["value"], printed["spread"]):
        raise DataError(f"{where}: 'raw' {row['raw']!r} contradicts value {row['value']!r}, spread {row['spread']!r}")
