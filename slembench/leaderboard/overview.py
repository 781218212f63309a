"""The overview: a line for each official task and budget, a column for each model; also the block in docs/board.md.

Entries that were trained with different budgets stand in different rows: each row compares models at equal budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from slembench.core.errors import ConfigError
from slembench.core.files import write_text
from slembench.leaderboard.boards import Board
from slembench.leaderboard.ranking import Ranked
from slembench.leaderboard.runs import Entry
from slembench.metrics.catalogue import heading
from slembench.operators import SYMBOLS
from slembench.tables.cells import Cell, Column, Number, Section, display_unit, format_value
from slembench.tables.text import markdown_table

BEGIN = "<!-- board: written by `slembench board --readme docs/board.md` -->"
END = "<!-- end of board -->"
MAIN_SPLIT = "test"


def main_boards(boards: Sequence[Board]) -> list[Board]:
    """Official boards of the current revision of every data set, on its test split, with at least one model."""
    return [b for b in boards if b.is_official and b.is_current and b.key.split == MAIN_SPLIT and b.models]


def budget(entry: Entry) -> str:
    """What an entry was trained with, as its record says; empty for predictions made elsewhere."""
    training = entry.record.training
    return training.budget if training else ""


def by_budget(board: Board) -> list[tuple[str, Board]]:
    """Parts of a board whose models had the same budget, that of most models first; every part has the floors.

    Args:
        board: with at least one model.
    """
    models = [ranked.entry for ranked in board.models]
    counts = {text: sum(budget(entry) == text for entry in models) for text in map(budget, models)}
    # Floors need no training, so they stand beside every budget; retired entries beside none.
    rest = [entry for entry in board.entries if entry.record.model_kind == "floor"]
    return [
        (text, replace(board, entries=(*(entry for entry in models if budget(entry) == text), *rest)))
        for text in sorted(counts, key=lambda text: (-counts[text], text))
    ]


def overview(boards: Sequence[Board]) -> Section:
    """Official score of the best entry of every model on every task and with every budget, and the best floor.

    Args:
        boards: of all data sets.
    """
    chosen = main_boards(boards)
    models = sorted({row.entry.record.model for board in chosen for row in board.models})
    columns = [
        Column("dataset", "data set", align="left", names_row=True),
        Column("operator", "operator", align="left"),
        Column("budget", "trained for", align="left"),
    ]
    columns += [*(Column(f"model {name}", name) for name in models), Column("floor", "best floor")]
    columns += [Column("unit", "unit", align="left"), Column("metric", "score", align="left")]
    rows = tuple(_row(part, models, text) for board in chosen for text, part in by_budget(board))
    notes = (
        "official score of every data set on its test split, of each model's best entry with that budget; lower is "
        "better; (1) marks rank 1 in the line, also where entries are tied",
        "mini data sets: errors compare models with each other, not with published tables",
    )
    return Section("official tasks", "measured", tuple(columns), rows, notes, "overview")


def overview_block(boards: Sequence[Board]) -> str:
    """The overview as Markdown with the marks around it."""
    section = overview(boards)
    notes = "\n".join(f"- {note}" for note in section.notes)
    return f"{BEGIN}\n\n{markdown_table(section)}\n\n{notes}\n\n{END}"


def write_overview(boards: Sequence[Board], path: str | Path) -> Path:
    """Replace what stands between the marks in a file; returns its path.

    Raises:
        ConfigError: no such file, or it does not hold each mark once, in order.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: not readable: {error.strerror}") from error
    begin, end = text.find(BEGIN), text.find(END)
    if text.count(BEGIN) != 1 or text.count(END) != 1 or end < begin:
        raise ConfigError(f"{path}: needs the line {BEGIN!r} and below it {END!r}, once each")
    return write_text(path, text[:begin] + overview_block(boards) + text[end + len(END) :])


def _row(board: Board, models: Sequence[str], budget: str) -> dict[str, Cell]:
    unit, factor = display_unit(board.unit(board.metric))
    row: dict[str, Cell] = {
        "dataset": board.key.dataset,
        "operator": SYMBOLS[board.key.operator],
        "budget": budget or "-",
        "metric": heading(board.metric),
        "unit": unit,
        "task": board.task,
    }
    for name in models:
        found = next((ranked for ranked in board.models if ranked.entry.record.model == name), None)
        row[f"model {name}"] = _score(found, factor)
        if found is not None:
            row[f"entry {name}"] = found.entry.key
    floor = next((ranked.number for ranked in board.floors if not ranked.number.reason), None)
    row["floor"] = format_value(floor.value * factor) if floor else "-"
    return row


def _score(ranked: Ranked | None, factor: float) -> Cell:
    if ranked is None:
        return "-"
    if ranked.number.reason:
        return Number(math.nan, reason=ranked.number.reason)
    return f"{format_value(ranked.number.value * factor)}{' (1)' if ranked.rank == 1 else ''}"
