"""The page of a run: all pictures, scores beside the floors, nothing from outside, and words for what is missing."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from slembench.pages.report import write_report
from slembench.pages.run_folder import read_run

pytestmark = pytest.mark.usefixtures("found")


class Outline(HTMLParser):
    """Headings, numbers of pictures, and every address that a page names."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "href", "xlink:href", "data")]


@pytest.fixture(scope="module")
def page(crystal_run, found, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("page")
    paths = write_report(read_run(crystal_run), tmp_path / "page.html", others=[crystal_run], pictures=tmp_path / "p")
    return paths, paths[0].read_text()


def test_all_pictures_and_no_request(page):
    paths, text = page
    outline = Outline(text)
    assert outline.tags.count("svg") == outline.tags.count("figure") == 14
    assert "script" not in outline.tags
    assert {link.split(":")[0] for link in outline.links if not link.startswith("#")} <= {"data"}
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(paths) == 1 + 2 * 14
    assert all(path.is_file() for path in paths)


def test_scores_stand_beside_the_floors(page, crystal_run):
    record = read_run(crystal_run).record
    _, text = page
    assert "hamiltonian.mae_all.full.pooled *" in text
    assert f"{1000 * record.scores['hamiltonian.mae_all.full.pooled'].value:.4g} meV" in text
    assert "floor zero" in text
    assert record.dataset_fingerprint in text


def test_the_same_run_gives_the_same_page(page, crystal_run, tmp_path):
    again = write_report(read_run(crystal_run), tmp_path / "again.html", others=[crystal_run])
    assert again[0].read_text() == page[1]


def test_words_of_others_are_escaped(crystal_run, tmp_path):
    shutil.copytree(crystal_run, tmp_path / "run")
    record = tmp_path / "run" / "test" / "record.yaml"
    record.write_text(record.read_text().replace("name: noisy-run", 'name: "<script>alert(1)</script>"'))
    (tmp_path / "run" / "test" / "predictions.h5").unlink()
    text = write_report(read_run(tmp_path / "run"), tmp_path / "page.html")[0].read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_record_alone(crystal_run, tmp_path):
    (tmp_path / "test").mkdir()
    shutil.copy(crystal_run / "test" / "record.yaml", tmp_path / "test")
    text = write_report(read_run(tmp_path), tmp_path / "page.html")[0].read_text()
    for missing in (
        "no log.jsonl",
        "blocks.parquet",
        "per_structure.parquet",
        "distances.parquet",
        "no predictions.h5",
    ):
        assert missing in text
    assert Outline(text).tags.count("svg") == 1  # accuracy against cost needs the record alone
