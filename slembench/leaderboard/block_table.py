"""Errors by angular momenta: the per-block tables of the entries of a board, summed over elements and zetas."""

from __future__ import annotations

import math

import pandas as pd

from slembench.leaderboard.boards import Board
from slembench.leaderboard.facts import identity
from slembench.leaderboard.runs import Entry
from slembench.tables.cells import Cell, Column, Number, Section, display_unit, with_columns

LETTERS = "spdfghik"
"""Letters of l = 0, 1, ..."""


def blocks_section(board: Board) -> Section | None:
    """MAE of the blocks of every pair of angular momenta, pooled over elements, on-site and off-site; None without any.

    Args:
        board: whose entries; the per-block tables count every element (``full``), pooled.
    """
    tables = {ranked.entry.key: _by_momenta(ranked.entry, board.key.operator) for ranked in board.models}
    pairs = sorted({pair for table in tables.values() for pair in table})
    if not pairs:
        return None
    unit, factor = display_unit(board.unit("mae_all"))
    columns = [Column("name", "run", align="left", names_row=True), Column("model", "model", align="left")]
    columns += [Column(_key(pair), _key(pair), unit) for pair in pairs]
    columns += [Column("worst", "worst block", align="left"), Column("worst_mae", "its MAE", unit)]
    rows = []
    for ranked in board.models:
        table, row = tables[ranked.entry.key], identity(ranked.entry)
        none = Number(math.nan, reason="no per-block table beside the record")
        for pair in pairs:
            row[_key(pair)] = Number(table[pair] * factor) if pair in table else none
        rows.append(row | _worst(ranked.entry, board.key.operator, factor))
    notes = (
        "pooled over every element (full counting), elements and zetas of shells; s-p is the mean of s-p and p-s; the "
        "challenging block of the card stands in the first table",
    )
    return with_columns(Section(f"{board.title}: by block", "measured", tuple(columns), tuple(rows), notes, "blocks"))


def _rows(entry: Entry, operator: str) -> pd.DataFrame | None:
    """Per-block tables of all seeds below each other, whole split; None where one is missing."""
    tables = [run.blocks for run in entry.runs]
    found = [t[(t["operator"] == operator) & (t["part"] == "all") & (t["count"] > 0)] for t in tables if t is not None]
    return pd.concat(found) if found and len(found) == len(tables) else None


def _by_momenta(entry: Entry, operator: str) -> dict[tuple[int, int], float]:
    rows = _rows(entry, operator)
    if rows is None or rows.empty:
        return {}
    low, high = rows[["l_i", "l_j"]].min(axis=1), rows[["l_i", "l_j"]].max(axis=1)
    sums = rows.groupby([low, high])[["abs_sum", "count"]].sum()
    return {(int(a), int(b)): float(s / n) for (a, b), s, n in zip(sums.index, sums["abs_sum"], sums["count"])}


def _worst(entry: Entry, operator: str, factor: float) -> dict[str, Cell]:
    rows = _rows(entry, operator)
    if rows is None or rows.empty:
        return {}
    sides = ["element_i", "shell_i", "element_j", "shell_j"]
    sums = rows.groupby(sides)[["abs_sum", "count"]].sum()
    mae = sums["abs_sum"] / sums["count"]
    first, left, second, right = mae.idxmax()
    return {"worst": f"{first} {left} - {second} {right}", "worst_mae": Number(factor * float(mae.max()))}


def _key(pair: tuple[int, int]) -> str:
    return "-".join(LETTERS[l] for l in pair)
