"""What a table of the leaderboard is made of: numbers with interval, spread or a reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

DISPLAY_UNITS: dict[str, tuple[str, float]] = {"eV": ("meV", 1e3), "Hartree": ("1e-6 Eh", 1e6), "1": ("1", 1.0)}
"""Unit word of a record -> unit word of the tables, and the factor."""


@dataclass(frozen=True)
class Number:
    """A number in a table.

    Attributes:
        value: in the unit of its column; NaN where there is none.
        low: lower end of the interval or range; NaN where there is none.
        high: upper end.
        spread: standard deviation printed with a published number; NaN where there is none.
        reason: why there is no value; empty where there is one.
        mark: a word that is shown behind the number.

    Raises:
        ValueError: no value and no reason, or both.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    spread: float = math.nan
    reason: str = ""
    mark: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.value) != bool(self.reason):
            raise ValueError("a number has either a value or a reason why it has none")

    def scaled(self, factor: float) -> Number:
        """The same in another unit: every part times ``factor``."""
        parts = {name: getattr(self, name) * factor for name in ("value", "low", "high", "spread")}
        return replace(self, **parts)


Cell = str | Number


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: its cells' key in the rows.
        heading: without the unit.
        unit: unit word; empty: none; "1": dimensionless.
        align: side on which its cells stand.
        names_row: says what the row is; repeated where a terminal is too narrow for all columns at once.
    """

    key: str
    heading: str
    unit: str = ""
    align: Literal["left", "right"] = "right"
    names_row: bool = False

    @property
    def title(self) -> str:
        """Heading with the unit in parentheses; a dimensionless quantity has none to show."""
        return f"{self.heading} ({self.unit})" if self.unit not in ("", "1") else self.heading


@dataclass(frozen=True)
class Section:
    """One table with its title and notes.

    Attributes:
        title: what the rows are.
        kind: measured here, floors, no longer ranked, or published elsewhere; sections of different kind are never
            joined.
        columns: left to right.
        rows: best first; column key -> cell.
        notes: lines below the table.
        group: short word for the kind of columns, such as "main" or "cost".
    """

    title: str
    kind: Literal["measured", "floors", "retired", "published"]
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    notes: tuple[str, ...] = ()
    group: str = ""

    @property
    def heading(self) -> str:
        """The title without the task, which a page has named already."""
        return self.title.rpartition(": ")[2]


def format_value(value: float) -> str:
    """Four significant digits; from 10 000 on all digits before the point, with separators."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def format_number(number: Number, plus_minus: str = "±") -> str:
    """A number that has a value as text: ``1.234 [1.1, 1.4]`` or ``0.057 ± 0.004``."""
    text = format_value(number.value)
    if not math.isnan(number.spread):
        text += f" {plus_minus} {format_value(number.spread)}"
    if not math.isnan(number.low):
        text += f" [{format_value(number.low)}, {format_value(number.high)}]"
    return f"{text} ({number.mark})" if number.mark else text


def grid(section: Section, plus_minus: str = "±") -> tuple[list[list[str]], list[str]]:
    """Texts of all cells, and the notes, with the reasons of missing numbers as numbered footnotes.

    Args:
        section: the table.
        plus_minus: sign between value and spread.

    Returns:
        Rows of texts in the order of the columns; ``n/a [1]`` where there is no number, ``-`` where a row does not
        have the column at all. Then the lines below the table: footnotes, notes.
    """
    reasons: list[str] = []
    texts = [
        [_text(row.get(column.key, "-"), reasons, plus_minus) for column in section.columns] for row in section.rows
    ]
    return texts, [f"[{k}] n/a: {reason}" for k, reason in enumerate(reasons, start=1)] + list(section.notes)


def _text(cell: Cell, reasons: list[str], plus_minus: str) -> str:
    if isinstance(cell, str):
        return cell
    if not cell.reason:
        return format_number(cell, plus_minus)
    if cell.reason not in reasons:
        reasons.append(cell.reason)
    return f"n/a [{reasons.index(cell.reason) + 1}]"


def with_columns(section: Section) -> Section:
    """The section without columns that no row has a number or text for; the reasons become notes.

    A column in which every number is missing says the same thing in each row; it is named once below the table.
    """
    used, reasons = [], dict[str, list[str]]()
    for column in section.columns:
        cells = [row[column.key] for row in section.rows if column.key in row]
        missing = {cell.reason for cell in cells if isinstance(cell, Number) and cell.reason}
        if any(isinstance(cell, str) or not cell.reason for cell in cells):
            used.append(column)
        for reason in missing if column not in used else ():
            reasons.setdefault(reason, []).append(column.heading)
    notes = tuple(f"n/a in every row: {', '.join(names)}: {reason}" for reason, names in reasons.items())
    return replace(section, columns=tuple(used), notes=notes + section.notes)
