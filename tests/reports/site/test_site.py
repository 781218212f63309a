"""The site as files: complete, linked, safe, and written again only where something changed."""

import shutil
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from typer.testing import CliRunner

import slembench
from slembench.cli import app
from slembench.reports.site import build_site
from slembench.reports.site.board_pages import task_points
from slembench.reports.site.writer import inline_code
from slembench.results.record import TrainingSummary

BOARD = "boards/mos2-mini-r1-test-hamiltonian.html"
OUTSIDE = ("src", "data", "poster", "action", "srcset")


class Page(HTMLParser):
    """Links, ids, what a page loads, and the tables with caption and headings."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.loads, self.text = [], set(), [], []
        self.tables, self.captions, self.unscoped, self.scripts = 0, 0, 0, 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a":
            self.links.append(found["href"])
        if tag == "link" or any(key in found for key in OUTSIDE):
            self.loads.append(found.get("href") or next(found[key] for key in OUTSIDE if key in found))
        self.tables += tag == "table"
        self.captions += tag == "caption"
        self.scripts += tag == "script"

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_pages(pages):
    single = {"index.html", "models.html", "datasets.html", "published.html", "metrics.html", "submit.html"}
    assert single <= set(pages)
    assert {BOARD, BOARD.replace("test", "test-3x3"), "datasets/mos2-mini.html", "models/slem.html"} <= set(pages)
    assert "runs/mos2-mini-slem-slem-1.html" in pages
    assert not [name for name in pages if ".." in name or "<" in name]
    assert sum(name.startswith("runs/") for name in pages) == 5


def test_every_link_leads_somewhere(pages, site):
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", (name, link)
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            assert target.is_file(), (name, link)
            if parts.fragment:
                assert parts.fragment in pages[target.resolve().relative_to(site.resolve()).as_posix()].ids


def test_nothing_is_loaded_from_elsewhere(pages, site):
    for name, page in pages.items():
        for address in page.loads:
            assert address == "data:," or ((site / name).parent / address).is_file(), (name, address)
    assert "url(http" not in (site / "assets" / "tables.css").read_text()


def test_words_of_strangers_are_shown_and_not_obeyed(pages, site):
    assert all(page.scripts == 1 for page in pages.values())
    assert "<script>alert(1)</script>" in "".join(pages[BOARD].text)
    assert "&lt;script&gt;alert(1)" in (site / BOARD).read_text()


def test_a_board_says_everything(pages):
    text = " ".join(" ".join(pages[BOARD].text).split())
    for words in (
        "tied", "not resolved (1 seed)", "recomputed", "Superseded or withdrawn", "trained on test structures",
        "n/a in every row: occ. levels, occ. bands: the data set has no overlap", "Out of distribution",
        "Physics checks", "above its limit", "the receptive field is not strict", "Cost", "structure", "GPAW, PBE",
        "Floors", "not comparable with the rows above", "Reduced, per structure",
    ):  # fmt: skip
        assert words in text, words
    assert pages[BOARD].tables == pages[BOARD].captions


def test_words_between_backticks_are_code(site):
    assert "(see <code>slembench verify --help</code>)" in (site / BOARD).read_text()
    assert inline_code("`<b>` & `one") == "<code>&lt;b&gt;</code> &amp; `one"


def test_pages_mark_the_part_of_the_menu_that_they_belong_to(site):
    for name, part in ((BOARD, "Boards"), ("models/slem.html", "Models"), ("datasets/mos2-mini.html", "Data sets")):
        assert f'aria-current="true">{part}</a>' in (site / name).read_text()
    assert 'aria-current="page">Boards</a>' in (site / "index.html").read_text()


def test_the_picture_of_all_tasks_compares_entries_of_one_budget(write_run, tmp_path):
    def add(name, size, steps, model):
        training = {"seed": 0, "partition": 100, "n_train": 60, "structures_seen": 9, "wall_s": 9.0}
        summary = TrainingSummary(**training, steps=steps, budget=f"{steps} steps")
        write_run(tmp_path / name, name, [size] * 4, model=model, training=summary, config={"steps": steps})

    for name, size, steps, model in (
        ("a", 0.2, 9, "slem"), ("b", 0.3, 9, "lem"), ("a-long", 0.01, 99, "slem"), ("c", 0.02, 99, "qhnet"),
        ("d", 0.4, 9, "qhnet"), ("e", 0.5, 99, "hamgnn"), ("f", 0.6, 9, "tbp"),
    ):  # fmt: skip
        add(name, size, steps, model)
    write_run(tmp_path / "zero", "zero", [1.0] * 4, model="floor-zero", kind="floor")
    boards = slembench.board(runs=[tmp_path], committed=False).boards
    points = task_points(boards)
    assert {point.task for point in points} == {"mos2-mini H, 9 steps"}
    assert {point.model: round(point.share, 9) for point in points} == {
        "slem": 0.2,
        "lem": 0.3,
        "qhnet": 0.4,
        "tbp": 0.6,
    }
    assert {(p.task, p.model) for p in task_points(boards, "hamgnn")} == {
        ("mos2-mini H, 99 steps", model) for model in ("slem", "qhnet", "hamgnn")
    }
    assert {point.task for point in task_points(boards, "slem")} == {"mos2-mini H, 9 steps"}


def test_withdrawn_entries_are_not_ranked(board):
    main = next(b for b in board.boards if b.is_official and b.key.split == "test")
    assert [row.entry.record.model for row in main.models][:2] == ["slem", "lem"]
    assert [row.rank for row in main.models] == [1, 1, 3, 4]
    assert [entry.record.model for entry in main.retired] == ["cheat"]


def test_files_for_download(site):
    assert sorted(path.name for path in (site / "files").iterdir()) == [
        "leaderboard.csv", "leaderboard.json", "leaderboard.md", "leaderboard.tex",
    ]  # fmt: skip


def test_a_second_build_keeps_what_is_still_true(site, board, results, tmp_path):
    out = shutil.copytree(site, tmp_path / "out")
    entry, stale = out / "runs" / "mos2-mini-qhnet-qhnet-1.html", out / "runs" / "gone.html"
    stale.write_text("x")
    before = entry.stat().st_mtime_ns
    changed = out / "runs" / "mos2-mini-slem-slem-1.html"
    changed.write_text(changed.read_text().replace('name="source" content="', 'name="source" content="0'))
    build_site(board, out, draw=False)
    assert entry.stat().st_mtime_ns == before
    assert changed.read_text() == (site / "runs" / changed.name).read_text()
    assert not stale.exists()


def test_pictures_of_a_data_set_are_drawn_once(crystals, write_run, tmp_path, monkeypatch):
    monkeypatch.setenv("SLEMBENCH_DATA", str(crystals.root.parent))
    changes = {"dataset": crystals.name, "dataset_fingerprint": crystals.fingerprint}
    write_run(tmp_path / "runs" / "a", "a", [0.1] * 4, **changes)
    board = slembench.board(runs=[tmp_path / "runs"], committed=False)
    out = tmp_path / "site"
    build_site(board, out)
    pictures = sorted((out / "datasets" / crystals.name).glob("*.png"))
    assert [path.stem for path in pictures] == ["decay", "sparsity", "spectrum", "structure"]
    times = [path.stat().st_mtime_ns for path in pictures]
    build_site(board, out)
    assert [path.stat().st_mtime_ns for path in pictures] == times
    page = Page((out / "datasets" / f"{crystals.name}.html").read_text())
    assert [address for address in page.loads if address.endswith("spectrum.png")]


def test_no_run_is_one_line_of_error(results, tmp_path):
    options = ["board", "--results", str(results), "--html", str(tmp_path / "s"), "--dataset", "nothing"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: no run of data set 'nothing'")
    assert not (tmp_path / "s").exists()
