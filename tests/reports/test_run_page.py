"""The page of a run: all pictures, scores beside the floors, nothing from outside, and words for what is missing."""

import re
from html.parser import HTMLParser

import pytest

from slembench.reports.run_folder import read_run
from slembench.reports.run_page import write_run_page

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
    paths = write_run_page(read_run(crystal_run), tmp_path / "page.html", others=[crystal_run])
    return paths, paths[0].read_text()


def test_all_pictures_and_no_request(page):
    paths, text = page
    outline = Outline(text)
    assert outline.tags.count("svg") == outline.tags.count("figure") == 14
    assert "script" not in outline.tags
    assert {link.split(":")[0] for link in outline.links if not link.startswith("#")} <= {"data"}
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(paths) == 1


def test_scores_stand_beside_the_floors(page, crystal_run):
    record = read_run(crystal_run).record
    _, text = page
    assert "hamiltonian.mae_all.full.pooled *" in text
    assert f"{1000 * record.scores['hamiltonian.mae_all.full.pooled'].value:.4g} meV" in text
    assert "floor zero" in text
    assert record.dataset_fingerprint in text


@pytest.fixture
def record_alone(crystal_run, tmp_path):
    """The record of the run without any file beside it, its name that of a hostile author."""
    text = (crystal_run / "test" / "record.yaml").read_text()
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "record.yaml").write_text(text.replace("name: noisy-run", 'name: "<script>alert(1)</script>"'))
    return tmp_path


def test_words_of_others_are_escaped(record_alone, tmp_path):
    text = write_run_page(read_run(record_alone), tmp_path / "page.html")[0].read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_record_alone_gives_the_same_page_every_time(record_alone, tmp_path):
    first, *pictures = write_run_page(read_run(record_alone), tmp_path / "page.html", pictures=tmp_path / "p")
    text = first.read_text()
    assert text == write_run_page(read_run(record_alone), tmp_path / "again.html")[0].read_text()
    assert [path.relative_to(tmp_path / "p").as_posix() for path in pictures] == [
        "split-test/cost.svg",
        "split-test/cost.png",
    ]
    for missing in (
        "no log.jsonl",
        "blocks.parquet",
        "per_structure.parquet",
        "distances.parquet",
        "no predictions.h5",
    ):
        assert missing in text
    assert Outline(text).tags.count("svg") == 1  # accuracy against cost needs the record alone


def test_physics_in_words():
    from slembench.reports.run_page import physics_text
    from slembench.results.record import PhysicsCheck

    check = PhysicsCheck(value=2e-13, mean=1e-15, limit=1e-6, passed=True, note="a random order", structure="s1")
    assert physics_text(check) == "2e-13, passed (limit 1e-06): a random order, of s1"
    assert physics_text(check.model_copy(update={"value": 0.5, "passed": False})).startswith("0.5, not passed")
    assert (
        physics_text(PhysicsCheck(limit=1, note="no periodic axis", structure="s")) == "not measured: no periodic axis"
    )
