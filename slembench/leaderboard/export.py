"""Boards as files: the tables as Markdown and LaTeX, and one long table, a line a score, as CSV and JSON.

The long table is for programs: values in the units of the records, no rounding, rows in the order of the boards.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slembench.core.files import write_text
from slembench.leaderboard.boards import Board
from slembench.leaderboard.facts import inputs
from slembench.leaderboard.ranking import Ranked
from slembench.leaderboard.runs import Entry
from slembench.metrics.catalogue import catalogue
from slembench.tables.cells import Number, Section
from slembench.tables.text import to_latex, to_markdown

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
        if not entry.makes_score:
            continue
        score = board.key.score(metric)
        # Only the ranking score has an interval: a bootstrap of every score of every row would take much longer.
        ranked = metric == board.metric and row.entry.state.kind == "active"
        number = row.number if ranked else row.entry.number(score)
        if number is None:
            continue
        units = [run.record.scores[score].unit for run in row.entry.runs if score in run.record.scores]
        tail = {"metric": metric, "value": number.value, "unit": units[0] if units else "", "low": number.low}
        yield head | tail | {"high": number.high, "not_available": number.reason}
    # Costs and checks are of the run, not of a counting; on one board of each operator they stand once.
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


STEM = "leaderboard"
FORMATS = ("md", "tex", "csv", "json")
"""Endings of the files, in the order in which they are written."""


def write_exports(folder: str | Path, sections: Sequence[Section], frame: pd.DataFrame) -> list[Path]:
    """Write leaderboard.md, .tex, .csv and .json into a folder, each atomically; returns their paths.

    Args:
        folder: made where it is missing.
        sections: tables of the Markdown and LaTeX files.
        frame: long table, see `slembench.leaderboard.export`.
    """
    contents = {"md": to_markdown(sections), "tex": to_latex(sections), "csv": to_csv(frame), "json": to_json(frame)}
    return [write_text(Path(folder) / f"{STEM}.{end}", contents[end]) for end in FORMATS]


def to_csv(frame: pd.DataFrame) -> str:
    """The long table as CSV; an absent number is an empty field."""
    stream = io.StringIO()
    frame.to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    return stream.getvalue()


def to_json(frame: pd.DataFrame) -> str:
    """The long table as a JSON list of objects; an absent number is null."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    # JSON has no NaN: allow_nan=False would refuse it, and other readers would not understand it.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value
