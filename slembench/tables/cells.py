"""Cells, columns and sections of tables, and the one way in which a score and its unit are written.

A number has an interval, a spread or a reason why there is none. Nothing here knows a metric or a model: whoever
makes a table names its units, and `display_unit` decides in which unit people read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

_DISPLAY_UNITS: dict[str, tuple[str, float]] = {"eV": ("meV", 1e3), "Hartree": ("1e-6 Eh", 1e6)}
# The field prints crystals in meV and QH9 in 1e-6 Eh, so that errors of good models are numbers between 0.1 and 10,000.


def display_unit(unit: str) -> tuple[str, float]:
    """Unit in which a quantity is shown, and the factor to it from the unit in which records store it.

    Args:
        unit: unit word of a record: "eV", "Hartree", "1" (dimensionless) or a word of its own such as "ms".

    Example:
        >>> display_unit("eV"), display_unit("Hartree"), display_unit("1")
        (('meV', 1000.0), ('1e-6 Eh', 1000000.0), ('1', 1.0))
    """
    return _DISPLAY_UNITS.get(unit, (unit, 1.0))


def format_score(value: float, unit: str) -> str:
    """A score with its unit as every command, page and table writes it.

    Args:
        value: in ``unit``.
        unit: unit word of the record; "1" is not written.

    Example:
        >>> format_score(0.00064653, "eV"), format_score(0.0035502, "Hartree"), format_score(0.98765, "1")
        ('0.6465 meV', '3550 1e-6 Eh', '0.9877')
    """
    word, factor = display_unit(unit)
    return f"{format_value(factor * value)} {'' if word == '1' else word}".rstrip()


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

    Example:
        >>> Number(0.0012, low=0.001, high=0.0015).scaled(1e3).high
        1.5
        >>> Number(math.nan, reason="no k mesh on the card").reason
        'no k mesh on the card'
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
        """Heading with the unit in parentheses; a dimensionless quantity has none to show.

        Example:
            >>> Column("mae", "MAE all", "meV").title, Column("psi", "overlap", "1").title
            ('MAE all (meV)', 'overlap')
        """
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
        compact: drawn in a terminal without vertical rules and never cut into parts.
    """

    title: str
    kind: Literal["measured", "floors", "retired", "published"]
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    notes: tuple[str, ...] = ()
    group: str = ""
    compact: bool = False

    @property
    def heading(self) -> str:
        """The title without the task, which a page has named already."""
        return self.title.rpartition(": ")[2]


def format_value(value: float, digits: int = 4) -> str:
    """Some significant digits; from 10^digits on all digits before the point, with separators.

    Example:
        >>> format_value(0.123456), format_value(11887.3), format_value(1234.5, digits=3)
        ('0.1235', '11,887', '1,234')
    """
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e15 else f"{value:.{digits}g}"


def format_number(number: Number, plus_minus: str = "±") -> str:
    """A number that has a value as text, with its spread and its interval.

    Example:
        >>> format_number(Number(1.2345, low=1.1, high=1.4)), format_number(Number(0.057, spread=0.004))
        ('1.234 [1.1, 1.4]', '0.057 ± 0.004')
    """
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

    Example:
        >>> columns = (Column("model", "model"), Column("mae", "MAE", "meV"))
        >>> rows = ({"model": "slem", "mae": Number(0.6465)}, {"model": "x", "mae": Number(math.nan, reason="no H")})
        >>> grid(Section("mos2", "measured", columns, rows))
        ([['slem', '0.6465'], ['x', 'n/a [1]']], ['[1] n/a: no H'])
    """
    # Reasons are numbered in the order in which they appear; equal reasons share a footnote.
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
        # a dict keeps the order of the rows; that of a set of strings, and so the exported files, differ between runs
        missing = dict.fromkeys(cell.reason for cell in cells if isinstance(cell, Number) and cell.reason)
        if any(isinstance(cell, str) or not cell.reason for cell in cells):
            used.append(column)
        for reason in missing if column not in used else ():
            reasons.setdefault(reason, []).append(column.heading)
    notes = tuple(f"n/a in every row: {', '.join(names)}: {reason}" for reason, names in reasons.items())
    return replace(section, columns=tuple(used), notes=notes + section.notes)
