"""The committed page of claims is what the committed results give."""

import re
from pathlib import Path

from typer.testing import CliRunner

from slembench.cli import app
from slembench.reproduction.page import judged_claims, write_page

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_up_to_date(tmp_path):
    page = write_page(judged_claims(ROOT), ROOT, tmp_path / "page.md")
    assert page.read_text() == (ROOT / "docs" / "reproduction.md").read_text(), (
        "write it anew: slembench reproduction --out docs/reproduction.md"
    )


def test_every_claim_has_a_part_with_numbers():
    judged = judged_claims(ROOT)
    text = (ROOT / "docs" / "reproduction.md").read_text()
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(parts) == len(judged)
    for part, (claim, verdict) in zip(parts, judged):
        assert claim.claim in part
        assert f"**{verdict.text}**" in part
        assert re.search(r"\| .*\d", part)


def test_the_command_says_where_evidence_is_missing(tmp_path):
    (tmp_path / "results").mkdir()
    result = CliRunner().invoke(app, ["reproduction", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "claims.yaml" in result.output
