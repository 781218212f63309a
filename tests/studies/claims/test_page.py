"""The committed page of claims is what the committed results give."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.errors import DataError
from slembench.studies.claims.claims import Published
from slembench.studies.claims.page import evaluate_claims, write_page

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "reproduction.md"


@pytest.fixture(scope="module")
def judged():
    return evaluate_claims(ROOT)


def test_the_committed_page_is_up_to_date(judged, tmp_path):
    page = write_page(judged, ROOT, tmp_path / "page.md")
    assert page.read_text() == PAGE.read_text(), "write it anew: slembench dev claims --out docs/reproduction.md"


def test_every_claim_has_a_part_with_numbers(judged):
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    assert len(parts) == len(judged)
    for part, (claim, verdict) in zip(parts, judged):
        assert claim.claim in part
        assert f"**{verdict.text}**" in part
        assert re.search(r"\| .*\d", part)


def test_published_rows_that_are_not_there_are_an_error(judged, tmp_path):
    claim, verdict = judged[0]
    strange = claim.model_copy(update={"published": Published(dataset=("nowhere",))})
    with pytest.raises(DataError, match="no published row"):
        write_page([(strange, verdict)], ROOT, tmp_path / "page.md")


def test_the_command_says_where_evidence_is_missing(tmp_path):
    result = CliRunner().invoke(app, ["dev", "claims", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "claims.yaml does not exist; name the project's folder with --root" in result.output
