"""Tables of the leaderboard as HTML: what stands in each cell, by what it is sorted, and where it leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slembench.tables.cells import Cell, Number, Section, format_number, format_value, grid

Link = Callable[[dict[str, Cell], str], str]
"""From a row and the key of a column to an address relative to the root of the site; empty: no link."""

BADGES = ("evidence", "inputs", "state")
"""Columns whose words are shown as badges."""

FILTER_FROM = 4
"""Rows from which on a table of `FILTERED` has a field to filter it."""

FILTERED = ("main", "overview", "tasks", "boards", "metrics", "models", "datasets")
"""Groups that readers look for rows in; others have a field only where they are long."""

LONG = 12
"""Rows from which on every table has a field to filter it."""


@dataclass(frozen=True)
class HtmlCell:
    """One cell.

    Attributes:
        text: value or words; a word each for badges.
        interval: shown smaller behind the value.
        order: number that the cell is sorted by, as text; empty for text, "nan" for a missing number.
        link: address relative to the root; empty for none.
        badges: words shown as badges instead of the text.
        reason: why there is no number.
    """

    text: str
    interval: str = ""
    order: str = ""
    link: str = ""
    badges: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class HtmlColumn:
    """One column: its heading, whether numbers stand in it, and whether its cells name the row."""

    title: str
    numeric: bool
    names_row: bool


@dataclass(frozen=True)
class HtmlTable:
    """A table.

    Attributes:
        name: word that is unique on the page.
        caption: what the rows are.
        kind: as in `Section`.
        columns: left to right.
        rows: cells of the columns.
        notes: below the table.
        filtered: whether there is a field to filter the rows.
    """

    name: str
    caption: str
    kind: str
    columns: tuple[HtmlColumn, ...]
    rows: tuple[tuple[HtmlCell, ...], ...]
    notes: tuple[str, ...]
    filtered: bool


def html_table(section: Section, link: Link, name: str = "", caption: str = "") -> HtmlTable:
    """A section as HTML.

    Args:
        section: the table.
        link: where a cell leads.
        name: unique on the page; the section's group by default.
        caption: the section's heading without the task by default.
    """
    texts, notes = grid(section)
    keys = [column.key for column in section.columns]
    rows = []
    for row, words in zip(section.rows, texts):
        rows.append(tuple(_cell(row.get(key, "-"), text, key, link(row, key)) for key, text in zip(keys, words)))
    # One column is marked as the heading of its row (th), which a screen reader says with every cell.
    columns = tuple(HtmlColumn(c.title, c.align == "right", c.key == _row_name(keys)) for c in section.columns)
    return HtmlTable(
        name or section.group or section.kind,
        (caption or section.heading)[:1].upper() + (caption or section.heading)[1:],
        section.kind,
        columns,
        tuple(rows),
        tuple(notes),
        len(rows) >= (FILTER_FROM if section.group in FILTERED else LONG),
    )


def _row_name(keys: list[str]) -> str:
    """Key of the column that names a row for a reader who hears the table."""
    return next((key for key in ("name", "model", "dataset", "system") if key in keys), keys[0] if keys else "")


def _cell(cell: Cell, text: str, key: str, link: str) -> HtmlCell:
    if isinstance(cell, Number):
        if cell.reason:
            return HtmlCell(text, order="nan", reason=cell.reason)
        # Sorted by the full number, not by its four digits; repr reads back exactly in JavaScript.
        value = format_value(cell.value)
        return HtmlCell(value, format_number(cell)[len(value) :].strip(), repr(cell.value), link)
    badges = tuple(cell.split(" + ")) if key in BADGES and cell != "-" else ()
    return HtmlCell(text, order=_order(text), link=link, badges=badges)


def _order(text: str) -> str:
    """Number that a text begins with, such as a rank or 12,345; "nan" for a dash; empty for words."""
    if text == "-":
        return "nan"
    word = text.split(" ")[0].replace(",", "")  # "12,345 [..]" and "3 of 40" sort by their first number
    try:
        return repr(float(word))
    except ValueError:
        return ""
