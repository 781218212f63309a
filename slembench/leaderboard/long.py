"""The leaderboard as one long table: a line for each score of each row, for programs rather than for the eye."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slembench.leaderboard.boards import Board
from slembench.leaderboard.cells import Number
from slembench.leaderboard.facts import inputs
from slembench.leaderboard.ranking import Ranked
from slembench.leaderboard.runs import Entry
from slembench.metrics.catalogue import catalogue

LONG_COLUMNS = (
    "dataset", "revision", "current", "split", "operator", "counting", "average", "official", "kind", "rank", "verdict",
    "run", "model", "n_train", "seeds", "given", "evidence", "state", "metric", "value", "unit", "low", "high",
    "not_available",
)  # fmt: skip
"""Columns: what the board is, which row, then metric, value, unit, 95 % interval, and why there is no value."""


def long_rows(boards: Iterable[Board]) -> Iterator[dict[str, object]]:
    """Lines of all boards in order; values in the records' units; costs and physics checks once an operator.

    Args:
        boards: ranked models, floors, and entries that are no longer ranked.
    """
    for board in boards:
        for kind, rows in (("measured", board.models), ("floor", board.floors)):
            for row in rows:
                yield from _scores(board, kind, row)
        for entry in board.retired:
            kind = "measured" if entry.record.model_kind == "model" else "floor"
            yield from _scores(board, kind, Ranked(entry, None, Number(float("nan"), reason=entry.state.kind), ""))


def _scores(board: Board, kind: str, row: Ranked) -> Iterator[dict[str, object]]:
    head = _head(board, kind, row)
    for metric, entry in catalogue().items():
        if entry.form not in ("elements", "structures", "split"):
            continue
        score = board.key.score(metric)
        ranked = metric == board.metric and row.entry.state.kind == "active"
        number = row.number if ranked else row.entry.number(score)
        if number is None:
            continue
        units = [run.record.scores[score].unit for run in row.entry.runs if score in run.record.scores]
        tail = {"metric": metric, "value": number.value, "unit": units[0] if units else "", "low": number.low}
        yield head | tail | {"high": number.high, "not_available": number.reason}
    if board.is_official:
        yield from _run_values(head, row.entry)


def _head(board: Board, kind: str, row: Ranked) -> dict[str, object]:
    key, entry = board.key, row.entry
    record, place = entry.record, row.rank
    return {
        "dataset": key.dataset, "revision": key.revision, "current": board.is_current, "split": key.split,
        "operator": key.operator, "counting": key.counting, "average": key.average, "official": board.is_official,
        "kind": kind, "rank": place, "verdict": row.verdict, "run": record.name, "model": record.model,
        "n_train": record.training.n_train if record.training else None, "seeds": len(entry.runs),
        "given": inputs(entry), "evidence": entry.evidence, "state": entry.state.kind,
    }  # fmt: skip


def _run_values(head: dict[str, object], entry: Entry) -> Iterator[dict[str, object]]:
    """Costs and physics checks of the first run of an entry."""
    record = entry.record
    for metric, value in record.cost.model_dump(exclude_none=True).items():
        yield head | {"metric": metric, "value": float(value), "unit": catalogue()[metric].unit, "not_available": ""}
    for metric, check in record.physics.items():
        reason = "" if check.value is not None else check.note or "not measured"
        yield head | {"metric": metric, "value": check.value, "unit": "1", "not_available": reason}
