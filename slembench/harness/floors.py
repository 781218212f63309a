"""Floors of a data set scored once, for all runs on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slembench.data import Dataset
from slembench.harness.scoring import Scoring, Tell
from slembench.results.record import RunRecord


def score_floors(
    data: Dataset,
    out: Path,
    *,
    splits: Sequence[str] = (),
    partition: int = 100,
    again: bool = False,
    tell: Tell = lambda text: None,
) -> dict[str, dict[str, RunRecord]]:
    """Score the floors of all operators of a data set; records that are there are kept.

    Args:
        data: the data set.
        out: gets ``floors/<floor>/<split>`` with a record and its tables.
        splits: to score; by default all but train and val.
        partition: per cent of the training split that the floors are fitted on.
        again: score again what is there.
        tell: gets a line of text at every stage.

    Returns:
        Split -> floor -> record.

    Raises:
        DataError: no such split or partition, or broken data.
    """
    scoring = Scoring(out, data, tuple(data.card.operators), partition, tell)
    data.partition(partition)
    chosen = data.test_splits(splits)
    for split in chosen:
        scoring.score_floors(split, again)
    return {split: scoring.floor_records(split) for split in chosen}
