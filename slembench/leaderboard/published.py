"""Tables of numbers that others published, in the order and units of their sources; never ranked with our own."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from slembench.results.published import RelatedSet
from slembench.tables.cells import Cell, Column, Number, Section

PUBLISHED_COLUMNS = (
    Column("system", "model", align="left", names_row=True),
    Column("params", "parameters"),
    Column("split", "split", align="left"),
    Column("target", "target", align="left"),
    Column("metric", "metric", align="left"),
    Column("value", "value"),
    Column("unit", "unit", align="left"),
    Column("evidence", "evidence", align="left"),
    Column("source", "source"),
)
"""Columns of a table of published rows; the unit is a column, because each source has its own."""

TARGETS = {"S": "overlap", "S head": "overlap", "density matrix": "density", "D all": "density"}
"""Published target -> operator; every other one is about the Hamiltonian or what follows from it."""


def published_section(rows: pd.DataFrame, related: RelatedSet, operators: Sequence[str]) -> Section | None:
    """Table of published numbers for one related set, in the order and units of the sources.

    Args:
        rows: published rows of all sets.
        related: which set, and whether it may be compared.
        operators: only rows about these operators (and what follows from them).

    Returns:
        None where nothing is published.
    """
    rows = rows[rows["dataset"] == related.set]
    chosen = rows[[TARGETS.get(target, "hamiltonian") in operators for target in rows["target"]]]
    if chosen.empty:
        return None
    sources = list(dict.fromkeys(_source(row) for row in chosen.to_dict("records")))
    cells = tuple(_published_row(row, sources) for row in chosen.to_dict("records"))
    word = "comparable" if related.comparable else "not comparable with the rows above"
    notes = (related.note, *(f"source {k}: {source}" for k, source in enumerate(sources, start=1)))
    return Section(
        f"{related.set}: published by others, {word}", "published", PUBLISHED_COLUMNS, cells, notes, "published"
    )


def _source(row: dict[Hashable, Any]) -> str:
    place, note = (f"{row[key]}" for key in ("source_locator", "note"))
    return ", ".join(text for text in (row["source"], place, note) if text)


def _published_row(row: dict[Hashable, Any], sources: Sequence[str]) -> dict[str, Cell]:
    keys = ("system", "params", "split", "target", "metric", "unit", "evidence")
    cells: dict[str, Cell] = {key: row[key] for key in keys}
    cells["value"] = row["raw"] if math.isnan(row["value"]) else Number(row["value"], spread=row["spread"])
    return cells | {"source": str(1 + sources.index(_source(row)))}
