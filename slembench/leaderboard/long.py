"""The leaderboard as one long table: a line for each score of each row, for programs rather than for the eye."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slembench.leaderboard.ranking import Ranked
from slembench.leaderboard.table import Board
from slembench.metrics.catalogue import catalogue

LONG_COLUMNS = (
    "dataset", "revision", "split", "operator", "counting", "average", "official", "kind", "rank", "run", "model",
    "n_train", "seeds", "metric", "value", "unit", "low", "high", "not_available",
)  # fmt: skip
"""Columns: what the board is, which row, then metric, value, unit, 95 % interval, and why there is no value."""


def long_rows(boards: Iterable[Board]) -> Iterator[dict[str, object]]:
    """Lines of all boards in order; values in the records' units.

    Args:
        boards: ranked models and floors.
    """
    for board in boards:
        for kind, rows in (("measured", board.models), ("floor", board.floors)):
            for row in rows:
                yield from _scores(board, kind, row)


def _scores(board: Board, kind: str, row: Ranked) -> Iterator[dict[str, object]]:
    key, record = board.key, row.entry.record
    head = {
        "dataset": key.dataset, "revision": key.revision, "split": key.split, "operator": key.operator,
        "counting": key.counting, "average": key.average, "official": board.official, "kind": kind, "rank": row.rank,
        "run": record.name, "model": record.model, "seeds": len(row.entry.runs),
        "n_train": record.training.n_train if record.training else None,
    }  # fmt: skip
    for metric, entry in catalogue().items():
        if entry.form == "table":
            continue
        score = key.score(metric)
        number = row.number if metric == board.metric else row.entry.number(score)
        if number is None:
            continue
        units = [run.record.scores[score].unit for run in row.entry.runs if score in run.record.scores]
        tail = {"metric": metric, "value": number.value, "unit": units[0] if units else "", "low": number.low}
        yield head | tail | {"high": number.high, "not_available": number.reason}
