"""Paired differences of two models, score by score, with intervals and verdicts.

The errors of two models on one structure are strongly correlated: what is hard for one is hard for the other. So the
difference is taken structure by structure before it is resampled, which gives far narrower intervals than comparing the
two scores with an interval each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from slembench.core.errors import DataError
from slembench.metrics.scores import ScoreName, structure_values
from slembench.metrics.statistics import PairedDifference, paired_bootstrap
from slembench.operators.orbitals import FloatArray
from slembench.results.record import PER_STRUCTURE_FILE, RECORD_FILE, RunRecord, read_record, read_table


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: runs of one model that differ in their seed alone.

    Attributes:
        name: of the first run.
        records: one a seed.
        tables: per-structure tables, sorted by id.
    """

    name: str
    records: tuple[RunRecord, ...]
    tables: tuple[pd.DataFrame, ...]


@dataclass(frozen=True)
class ScoreDifference:
    """A score of both sides and the paired difference A - B.

    Attributes:
        score: name.
        unit: of all values.
        a: of side A, mean over seeds.
        b: of side B.
        paired: difference with its interval.
        verdict: "A better", "B better", "tied" or "not resolved".
    """

    score: str
    unit: str
    a: float
    b: float
    paired: PairedDifference
    verdict: str


def read_side(folders: Sequence[str | Path], split: str) -> Side:
    """Runs of one model, one a seed, on one split.

    Args:
        folders: of runs (with a folder for each split), or of records.
        split: which split of a run.

    Raises:
        DataError: no record or table there, or runs of different models.
    """
    records, tables = [], []
    for folder in map(Path, folders):
        place = folder if (folder / RECORD_FILE).is_file() else folder / split
        if not (place / RECORD_FILE).is_file():
            raise DataError(f"{folder}: no record of a run of split {split} there; give a run's folder, or --split")
        record = read_record(place)
        if record.split != split:
            raise DataError(f"{place}: record of split {record.split!r}, not {split!r}")
        records.append(record)
        tables.append(read_table(place / PER_STRUCTURE_FILE).sort_values("id", ignore_index=True))
    models = {record.model for record in records}
    if len(models) > 1:
        raise DataError(f"one side holds runs of several models: {', '.join(sorted(models))}; give one model's seeds")
    return Side(records[0].name, tuple(records), tuple(tables))


def compare(a: Side, b: Side, scores: Sequence[str] | None = None) -> list[ScoreDifference]:
    """Paired differences A - B over the same test structures, resampled by group and, with several seeds, by seed.

    Args:
        a: first side.
        b: second side.
        scores: names; by default every score of both that is a ratio of sums over structures.

    Raises:
        DataError: different data, splits or structures, or a score that a side lacks.

    Example:
        A model of the shipped results beside another one with the same budget:

        >>> from slembench.core.assets import asset_path
        >>> runs = asset_path("results", "runs", "si-mini")
        >>> slem, lem = (read_side([runs / name], "test") for name in ("slem", "lem"))
        >>> (row,) = compare(slem, lem, ["hamiltonian.mae_all.full.pooled"])
        >>> f"{1e3 * row.a:.3f} - {1e3 * row.b:.3f} meV", row.paired.n_groups, row.verdict
        ('0.268 - 0.335 meV', 6, 'not resolved')
    """
    first, other = a.records[0], b.records[0]
    for record in (*a.records, *b.records):
        for key in ("dataset", "dataset_fingerprint", "split", "split_hash"):
            if getattr(record, key) != getattr(first, key):
                raise DataError(
                    f"{first.name} and {record.name}: {key} differs ({getattr(first, key)}, {getattr(record, key)});"
                    " only runs on the same test structures can be compared"
                )
    wanted = scores if scores is not None else [name for name in first.scores if name in other.scores]
    rows = [_difference(a, b, score, scores is not None) for score in wanted]
    return [row for row in rows if row is not None]


def _difference(a: Side, b: Side, score: str, asked: bool) -> ScoreDifference | None:
    """One row; None for a score that has no paired difference, unless it was asked for by name."""
    metric = ScoreName.parse(score).definition
    try:
        of_a, weight = numerators(a, score)
        of_b, _ = numerators(b, score)  # the weights, counts of elements, are the data set's and so those of A
    except KeyError as error:
        if asked:
            raise DataError(f"score {score!r}: {error.args[0]}") from error
        return None
    # Structures of one trajectory are no independent draws: whole groups are resampled, never single frames.
    groups = a.tables[0]["group"].astype(str).tolist()
    if list(a.tables[0]["id"]) != list(b.tables[0]["id"]):
        raise DataError(f"{a.name} and {b.name}: tables list different structures")
    if not np.isfinite(of_a).all() or not np.isfinite(of_b).all() or not (weight > 0).any():
        return None
    paired = paired_bootstrap(of_a, of_b, weight, groups)
    first, second = (float((values.sum(axis=1) / weight.sum()).mean()) for values in (of_a, of_b))
    unit = a.records[0].scores[score].unit
    return ScoreDifference(score, unit, first, second, paired, _verdict(paired, metric.direction))


def numerators(side: Side, score: str) -> tuple[FloatArray, FloatArray]:
    """What the bootstrap needs: numerators (n_seeds, S) and weights (S,) of the structures.

    Raises:
        KeyError: a score that is no ratio of sums over structures.
    """
    parts = [structure_values(table, score) for table in side.tables]
    return np.array([part[0] for part in parts]), parts[0][1]


def _verdict(paired: PairedDifference, direction: str) -> str:
    if paired.verdict not in ("A lower", "B lower"):  # tied, or too few groups or seeds to say
        return paired.verdict
    a_lower = paired.verdict == "A lower"
    if direction == "none":
        return paired.verdict
    return "A better" if a_lower == (direction == "lower") else "B better"
