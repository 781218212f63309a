"""Numbers as text, and footnotes for those that are missing."""

import math

import pytest

from slembench.tables.cells import Column, Number, Section, format_number, format_value, grid, with_columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.34, "0.34"), (1.23456, "1.235"), (999.96, "1000"), (76.31, "76.31"), (1234.5, "1234"),
        (12345.6, "12,346"), (1234567, "1,234,567"), (3.4e-5, "3.4e-05"), (-2.5, "-2.5"), (5e20, "5e+20"),
    ],
)  # fmt: skip
def test_values(value, text):
    assert format_value(value) == text


def test_interval_spread_and_scale():
    assert format_number(Number(0.057, spread=0.004)) == "0.057 ± 0.004"
    assert format_number(Number(1.0, 0.5, 2.0).scaled(1000)) == "1000 [500, 2000]"


def test_a_number_has_a_value_or_a_reason():
    with pytest.raises(ValueError, match="either a value or a reason"):
        Number(math.nan)
    with pytest.raises(ValueError, match="either a value or a reason"):
        Number(1.0, reason="why")
    assert Number(math.nan, reason="why").scaled(2).reason == "why"


def test_equal_reasons_share_a_footnote():
    missing, other = Number(math.nan, reason="no overlap"), Number(math.nan, reason="no electrons")
    section = Section(
        "t", "measured", (Column("a", "A"), Column("b", "B")),
        ({"a": missing, "b": other}, {"a": missing}, {"a": Number(1.5), "b": "text"}), ("a note",),
    )  # fmt: skip
    texts, notes = grid(section)
    assert texts == [["n/a [1]", "n/a [2]"], ["n/a [1]", "-"], ["1.5", "text"]]
    assert notes == ["[1] n/a: no overlap", "[2] n/a: no electrons", "a note"]


def test_columns():
    assert Column("a", "MAE", "meV").title == "MAE (meV)"
    assert Column("a", "S error", "1").title == "S error"


def test_columns_without_any_value_become_a_note():
    missing = Number(math.nan, reason="no overlap")
    rows = ({"a": missing, "b": missing, "c": Number(1.0), "e": missing}, {"a": missing, "c": missing})
    columns = tuple(Column(key, key.upper()) for key in "abcde")
    section = with_columns(Section("t", "measured", columns, rows, ("last",)))
    assert [column.key for column in section.columns] == ["c"]
    assert section.notes == ("n/a in every row: A, B, E: no overlap", "last")
    assert grid(section)[0] == [["1"], ["n/a [1]"]]
