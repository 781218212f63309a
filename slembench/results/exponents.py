"""Power laws over finished runs and tables: error against training data, and time or memory against atoms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from slembench.core.errors import DataError
from slembench.metrics.scaling import PowerLaw, learning_curve, power_law
from slembench.metrics.scores import structure_values
from slembench.results.record import PER_STRUCTURE_FILE, RECORD_FILE, RunRecord, read_record, read_table


@dataclass(frozen=True)
class DataExponent:
    """`data_exponent` of one model: score ~ factor * N^exponent over training sets of N structures.

    Attributes:
        dataset: name of the data set.
        split: that was scored.
        model: name of the model.
        score: name of the score.
        unit: of the score and of ``law.factor``.
        sizes: training structures, ascending.
        values: mean score over the seeds at each size.
        seeds: number of seeds at each size.
        law: the fit; negative where the error falls.
    """

    dataset: str
    split: str
    model: str
    score: str
    unit: str
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    law: PowerLaw

    def content(self) -> dict[str, Any]:
        """As one row of a table."""
        sizes, values, seeds = (" ".join(f"{x:.6g}" for x in xs) for xs in (self.sizes, self.values, self.seeds))
        return {
            "dataset": self.dataset, "split": self.split, "model": self.model, "score": self.score, "unit": self.unit,
            "n_train": sizes, "values": values, "seeds": seeds, **_law(self.law),
        }  # fmt: skip


def data_exponents(folders: Iterable[str | Path], score: str | None = None) -> list[DataExponent]:
    """Fit a score against the number of training structures for every model among finished runs.

    Runs that differ in nothing but seed and training structures belong together.

    Args:
        folders: searched with their subfolders for records; floors are left out.
        score: an average of absolute errors or a mean over structures; by default ``mae_all`` of each run's first
            operator, ``full`` and ``pooled``.

    Returns:
        One fit for every data set, split and model that has at least two training sets.

    Raises:
        DataError: no record, a folder or table that is not there, a score that a run lacks or that has no sums.
    """
    groups: dict[str, list[tuple[RunRecord, Path]]] = {}
    for record, folder in _records(folders):
        name = score or f"{record.targets[0]}.mae_all.full.pooled"
        key = [record.dataset, record.split_hash, record.split, record.model, name, record.targets]
        key.append(_without(record.config, "seed"))  # budget and hyper-parameters stay: a curve varies the data alone
        groups.setdefault(json.dumps(key, sort_keys=True, default=str), []).append((record, folder))
    found = [_fit(runs, json.loads(key)[4]) for key, runs in groups.items()]
    return [fit for fit in found if fit is not None]


def power_laws(table: pd.DataFrame, x: str, y: Sequence[str], by: Sequence[str] = ()) -> pd.DataFrame:
    """Fit columns of a table against another one in logarithms, such as seconds and bytes against atoms.

    Args:
        table: one measurement a row, positive numbers.
        x: column of sizes.
        y: columns to fit.
        by: columns that name what is fitted apart (model, system, machine).

    Returns:
        Columns: ``by``, then quantity, points, smallest and largest x, factor, exponent, low, high (95 % interval).

    Raises:
        DataError: a column that is missing, or values that allow no fit.

    Example:
        Time that grows linearly, and memory that grows as the square:

        >>> table = pd.DataFrame({"atoms": [10, 20, 40], "seconds": [1.0, 2.0, 4.0], "bytes": [1e6, 4e6, 16e6]})
        >>> laws = power_laws(table, "atoms", ["seconds", "bytes"])
        >>> laws[["quantity", "points", "exponent"]].round(3).values.tolist()
        [['seconds', 3, 1.0], ['bytes', 3, 2.0]]
    """
    lacking = [name for name in (x, *y, *by) if name not in table]
    if lacking:
        raise DataError(f"no column {lacking[0]!r} in the table; it has {', '.join(map(str, table.columns))}")
    rows = []
    for key, part in table.groupby(list(by), sort=False) if by else [((), table)]:
        head = dict(zip(by, key))
        for name in y:
            known = part[[x, name]].apply(pd.to_numeric, errors="coerce").dropna()
            try:
                law = power_law(known[x].tolist(), known[name].tolist())
            except ValueError as error:
                where = ", ".join(f"{k} {v}" for k, v in head.items()) or "the table"
                raise DataError(f"{where}: column {name!r}: {error}") from error
            ends = {"points": len(known), f"smallest_{x}": known[x].min(), f"largest_{x}": known[x].max()}
            rows.append({**head, "quantity": name, **ends, **_law(law)})
    return pd.DataFrame(rows)


def _records(folders: Iterable[str | Path]) -> list[tuple[RunRecord, Path]]:
    found: dict[Path, RunRecord] = {}
    for folder in map(Path, folders):
        paths = sorted(folder.rglob(RECORD_FILE))
        if not paths:
            raise DataError(f"{folder}: no {RECORD_FILE} here or below; give folders of finished runs")
        found |= {path.parent: read_record(path) for path in paths}
    return [(record, path) for path, record in found.items() if record.training is not None]


def _fit(runs: Sequence[tuple[RunRecord, Path]], score: str) -> DataExponent | None:
    """Fit of one model's runs; None with one training set alone."""
    by_size: dict[int, list[tuple[RunRecord, Path]]] = {}
    for record, folder in runs:
        assert record.training is not None
        by_size.setdefault(record.training.n_train, []).append((record, folder))
    sizes = sorted(by_size)
    if len(sizes) < 2:
        return None
    parts = {size: [_sums(record, folder, score) for record, folder in by_size[size]] for size in sizes}
    weight, groups = parts[sizes[0]][0][1:]  # of the test structures, which all sizes share
    numerators = [np.array([part[0] for part in parts[size]]) for size in sizes]
    first = runs[0][0]
    try:
        law = learning_curve(sizes, numerators, weight, groups)
    except ValueError as error:
        raise DataError(f"{first.model} on {first.dataset}, split {first.split}: {score}: {error}") from error
    return DataExponent(
        dataset=first.dataset,
        split=first.split,
        model=first.model,
        score=score,
        unit=first.scores[score].unit,
        sizes=tuple(sizes),
        values=tuple(float((n.sum(axis=1) / weight.sum()).mean()) for n in numerators),
        seeds=tuple(len(n) for n in numerators),
        law=law,
    )


def _sums(record: RunRecord, folder: Path, score: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Numerators and weights (S,) and groups of the test structures of one run, by id."""
    if score not in record.scores:
        raise DataError(f"{folder}: the record has no score {score!r}; it has {', '.join(list(record.scores)[:4])} ...")
    table = read_table(folder / PER_STRUCTURE_FILE).sort_values("id", ignore_index=True)
    try:
        return *structure_values(table, score), table["group"].astype(str).tolist()
    except KeyError as error:
        raise DataError(f"{folder}: {error.args[0]}") from error


def _law(law: PowerLaw) -> dict[str, float]:
    return {"factor": law.factor, "exponent": law.exponent, "low": law.low, "high": law.high}


def _without(config: Any, name: str) -> Any:
    if isinstance(config, Mapping):
        return {str(key): _without(value, name) for key, value in config.items() if key != name}
    return config
