"""Every format and every convention is described in docs/formats.md."""

import re
from pathlib import Path

import pytest

from slembench.data.formats import FORMATS
from slembench.operators.orbitals import CONVENTIONS

DOCS = Path(__file__).parents[3] / "docs/formats.md"


@pytest.fixture(scope="module")
def first_columns():
    """Names in the first column of each table of the page."""
    tables = re.split(r"\n\n", DOCS.read_text(encoding="utf-8"))
    rows = [[line.split("|")[1] for line in table.splitlines() if line.startswith("| `")] for table in tables]
    return [set(re.findall(r"`([\w-]+)`", " ".join(column))) for column in rows if column]


def test_every_format_has_its_row(first_columns):
    assert first_columns[0] == set(FORMATS)


def test_every_convention_has_its_row(first_columns):
    assert first_columns[1] - {"deeph-legacy"} == set(CONVENTIONS)


def test_the_page_says_what_can_be_written():
    page = DOCS.read_text(encoding="utf-8").partition("## Orders")[0]
    rows = dict(re.findall(r"^\| `([\w-]+)` \|[^|]*\| *(\S+) *\|", page, re.MULTILINE))
    for name, item in FORMATS.items():
        assert (rows[name] != "no") == (item.write is not None)
