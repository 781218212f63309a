"""What a committed study holds about one score: numerators and weights for every run and test structure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from slembench.core.errors import DataError
from slembench.operators.orbitals import FloatArray
from slembench.results.record import read_table
from slembench.studies.report import STRUCTURES_FILE

SCORES_FILE = "scores.csv"


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of a score on the same test structures.

    Attributes:
        parts: (model, fraction) -> numerators (n_seeds, S) and weights (S,).
        groups: (S,) | group of every structure.
        unit: of the records.
        folder: of the study.
    """

    parts: dict[tuple[str, float], tuple[FloatArray, FloatArray]]
    groups: list[str]
    unit: str
    folder: Path

    def of(self, model: str, fraction: float) -> tuple[FloatArray, FloatArray]:
        """Numerators (n_seeds, S) and weights (S,).

        Raises:
            DataError: no such run in the study.
        """
        if (model, fraction) not in self.parts:
            raise DataError(f"{self.folder}: no run of {model} with {100 * fraction:g} % of the training structures")
        return self.parts[model, fraction]


def study_sums(folder: Path, dataset: str, split: str, score: str) -> Sums:
    """Read the tables of a data-efficiency study.

    Args:
        folder: of the study, with ``scores.csv`` and ``structures.parquet``.
        dataset: which data set of the study.
        split: which split.
        score: name as in the records.

    Raises:
        DataError: a table that is not there or not readable, no such score or runs, other structures from one run to
            the next, or a value that is not finite.
    """
    path = folder / SCORES_FILE
    try:
        labels = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as CSV: {error}") from error
    # headings hold the unit in parentheses
    column = next((str(name) for name in labels if str(name).startswith(f"{score} (")), None)
    if column is None or not {"data", "model", "fraction", "seed", "split", "run"} <= set(labels):
        raise DataError(f"{path}: no column {score!r}, or none of the labels of a data-efficiency study")
    labels = labels[(labels["data"] == dataset) & (labels["split"] == split)]
    table = read_table(folder / STRUCTURES_FILE)
    names = [f"{score} sum", f"{score} weight"]
    if not {"run", "split", "id", "group", *names} <= set(table):
        raise DataError(f"{folder / STRUCTURES_FILE}: no columns {' and '.join(map(repr, names))}")
    parts: dict[tuple[str, float], tuple[FloatArray, FloatArray]] = {}
    first: pd.DataFrame | None = None
    for (model, fraction), runs in labels.groupby(["model", "fraction"]):
        numerators = []
        for run in runs["run"]:
            rows = table[(table["run"] == run) & (table["split"] == split)].sort_values("id", ignore_index=True)
            first = rows if first is None else first
            # paired intervals need the same structures in the same order with the same weights in every run
            if not rows[["id", "group", names[1]]].equals(first[["id", "group", names[1]]]) or rows.empty:
                raise DataError(f"{folder}: run {run} has other test structures than the first one")
            if not np.isfinite(rows[names].to_numpy(dtype=np.float64)).all():
                raise DataError(f"{folder}: run {run} has values of {score} that are not finite")
            numerators.append(rows[names[0]].to_numpy(dtype=np.float64))
        parts[str(model), float(fraction)] = (np.array(numerators), rows[names[1]].to_numpy(dtype=np.float64))
    if first is None:
        raise DataError(f"{path}: no run on {dataset}, split {split}")
    return Sums(parts, first["group"].astype(str).tolist(), column.rpartition("(")[2].rstrip(")"), folder)
