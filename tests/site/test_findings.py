"""Pages of studies and of checked claims on the site."""

import re

import pytest

from slembench.site import build_site

SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "project" / "results" / "studies" / "less-data"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "curve.svg").write_text(SVG)
    report = (
        "# Study: data-efficiency\n\n| model | error |\n|---|---|\n| slem | 1.5 |\n\n![curve](pictures/curve.svg)\n"
    )
    (folder / "report.md").write_text(report)
    return tmp_path / "project" / "results"


def test_a_study_and_the_claims_have_pages(board, root, tmp_path):
    (root.parent / "docs").mkdir()
    (root.parent / "docs" / "reproduction.md").write_text("# Claims\n\n## 1. It is so\n\n**held**\n")
    out = tmp_path / "out"
    build_site(board, out, results=[root], draw=False)
    study = out / "studies" / "less-data" / "index.html"
    text = study.read_text()
    assert "<td>1.5</td>" in text
    assert "<h1>less data</h1>" in text
    [picture] = re.findall(r'<img src="([^"]+)"', text)
    assert (study.parent / picture).read_text() == SVG
    findings = (out / "findings.html").read_text()
    assert 'href="studies/less-data/index.html"' in findings
    assert "<h3>1. It is so</h3>" in findings
    build_site(board, out, draw=False)
    assert not study.exists()
    assert "No study" in (out / "findings.html").read_text()
