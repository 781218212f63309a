"""The notes below a table stand in the order of its rows, in every process alike."""

import math

from slembench.tables.cells import Column, Number, Section, with_columns


def test_reasons_of_a_column_without_numbers_stand_in_the_order_of_the_rows() -> None:
    reasons = [f"reason {letter}" for letter in "hcagfbed"]
    rows = tuple({"a": Number(math.nan, reason=reason)} for reason in [*reasons, reasons[0]])
    notes = with_columns(Section("t", "measured", (Column("a", "A"),), rows)).notes
    assert notes == tuple(f"n/a in every row: A: {reason}" for reason in reasons)
