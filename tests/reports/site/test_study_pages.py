"""Pages of studies and of checked claims on the site."""

import re
import shutil

import pytest

from slembench.core.errors import DataError
from slembench.reports.site import build_site
from slembench.reports.site.study_pages import study_pages
from slembench.reports.site.urls import Urls
from slembench.reports.site.writer import Site

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
    (root.parent / "docs" / "reproduction.md").write_text(
        "# Claims\n\n## 1. It is so\n\n**held**\n\n```\n# no heading\n```\n"
    )
    out = tmp_path / "out"
    build_site(board, out, results=[root], draw=False)
    study = out / "studies" / "less-data" / "index.html"
    text = study.read_text()
    assert "<td>1.5</td>" in text
    assert "<h1>Less data</h1>" in text
    assert '<a href="../../studies.html">All studies</a>' in text
    assert 'aria-current="true">Studies</a>' in text
    assert "Study: data-efficiency" not in text
    [picture] = re.findall(r'<img src="([^"]+)"', text)
    assert (study.parent / picture).read_text() == SVG
    page = (out / "studies.html").read_text()
    assert 'href="studies/less-data/index.html"' in page
    assert "<h3>1. It is so</h3>" in page
    assert ">Less data</a>" in page
    assert "<code># no heading\n</code>" in page
    build_site(board, out, draw=False)
    assert not study.exists()
    assert "No study" in (out / "studies.html").read_text()


def test_studies_of_the_same_name_have_pages_of_their_own(board, root, tmp_path):
    other = shutil.copytree(root, tmp_path / "other" / "results")
    (other / "studies" / "less-data" / "report.md").write_text("# Study: seeds\n\nof the other\n")
    site = Site(tmp_path / "out", board, Urls(()))
    list(study_pages(site, [root, other, root]))
    texts = {path.parent.name: path.read_text() for path in sorted((site.out / "studies").glob("*/index.html"))}
    assert list(texts) == ["less-data", "less-data-2"]
    assert sorted("of the other" in text for text in texts.values()) == [False, True]
    page = (site.out / "studies.html").read_text()
    assert all(f'href="studies/{name}/index.html">{title}</a>' in page for name, title in (
        ("less-data", "Less data"), ("less-data-2", "Less data 2"),
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["report.md", "pictures/curve.svg"])
def test_a_file_that_is_no_text_is_named(board, root, tmp_path, name):
    (root / "studies" / "less-data" / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=f"less-data/{name}: not readable as UTF-8"):
        list(study_pages(Site(tmp_path / "out", board, Urls(())), [root]))
