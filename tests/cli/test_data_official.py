"""``slembench data list``, ``info``, ``get`` and ``split`` on official sets."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.data import list_datasets
from slembench.data.official_card import list_official
from slembench.data.official_rules import index_hash

runner = CliRunner()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Folder of the user's data sets, empty."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("SLEMBENCH_DATA", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.fixture
def part(tmp_path):
    """QH9 stable file of 40 hydrogen molecules."""
    path = tmp_path / "part.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE data (id INTEGER PRIMARY KEY, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)")
        for molecule in range(100, 140):
            matrix = np.diag(np.linspace(-1.0, 1.0, 10) + 1e-3 * molecule)
            position = np.array([[0, 0, 0], [0.75, 0, 0]])
            row = (molecule, 2, np.ones(2, "<i4").tobytes(), position.tobytes(), matrix.tobytes())
            connection.execute("INSERT INTO data VALUES (?, ?, ?, ?, ?)", row)
        connection.commit()
    return path


def call(*arguments):
    done = runner.invoke(app, ["data", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.mark.parametrize("columns", ["80", "120"])
def test_every_set_is_listed_within_the_terminal(shelf, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, text = call("list")
    assert code == 0
    lines = text.splitlines()
    for name in {*list_official(), *list_datasets()}:
        assert sum(line.split()[0].rstrip(":") == name for line in lines if line.strip()) == 1
    assert max(map(len, lines)) <= int(columns)
    row = next(k for k, line in enumerate(lines) if line.strip().startswith("qh9-stable-id"))
    shown = " ".join(lines[row : row + (1 if columns == "120" else 5)])
    for word in ("130,831", "30.5 GB", "B3LYP/def2-SVP, PySCF", "CC BY-NC-SA 4.0", "no", "browser"):
        assert word in shown


def test_list_for_programs(shelf):
    code, text = call("list", "--json")
    assert code == 0
    entries = {entry["name"]: entry for entry in json.loads(text)}
    assert set(entries) == {*list_official(), *list_datasets()}
    assert entries["mos2-mini"]["state"] == "shipped"
    assert entries["mos2-mini"]["bytes"] > 1e6
    water = entries["md17-water"]
    assert (water["kind"], water["state"], water["here"], water["structures"]) == ("official", "absent", 0, 4999)
    assert water["get"] == "slembench data get md17-water"


def test_states_of_a_set(shelf, part):
    def state():
        entries = json.loads(call("list", "--json")[1])
        entry = next(entry for entry in entries if entry["name"] == "qh9-stable-id")
        return entry["state"], entry["on_disk"], entry["step"]

    downloads = shelf / "_downloads"
    downloads.mkdir()
    (downloads / ".QH9Stable.db.part").write_bytes(b"SQLite")
    assert state() == ("begun", "part of the file", "download, browser")
    (downloads / "QH9Stable.db").write_bytes(part.read_bytes())
    assert state() == ("downloaded", "file, not imported", "import")
    assert call("get", "qh9-stable-id")[0] == 0
    assert state() == ("imported", "40 of 130,831", "import a copy")


def test_info_of_an_official_set(shelf):
    code, text = call("info", "qh9-dynamic-300k-mol")
    assert code == 0
    text = " ".join(text.split())
    for words in ("publication.file.checksum", "not published, or not confirmed", "splits.statement", "CC BY-NC-SA"):
        assert words in text
    assert "on this machine: no to get it: a browser is needed: open https://drive.google.com" in text
    assert f"save it as {shelf}/_downloads/QH9Dynamic_300k.db, then run `slembench data get" in text
    code, text = call("info", "qh9-dynamic-300k-mol", "--verify")
    assert code == 1
    assert "published elsewhere and not on this machine" in text


def test_fetch_that_needs_a_person(shelf):
    code, text = call("get", "qh9-stable-id")
    assert code == 1
    assert "error: qh9-stable-id: a browser is needed: open https://drive.google.com/file/d/" in text
    code, text = call("get", "gan")
    assert code == 1
    assert "no address of it could be confirmed" in text


def test_import_then_info(shelf, part):
    code, text = call("get", "qh9-stable-id", "--from", part)
    assert code == 0, text
    assert "is qh9: 40 molecules; train " in text
    assert "next: slembench run --dataset qh9-stable-id --model slem" in text
    assert (shelf / "qh9-stable-id" / "card.yaml").is_file()
    code, text = call("info", "qh9-stable-id", "--verify")
    assert code == 0
    assert "40 structures read, nothing wrong" in text
    code, text = call("get", "qh9-stable-id", "--from", part)
    assert code == 1
    assert "exists already" in text


def test_get_downloads_then_imports(shelf, part, monkeypatch):
    """One command from an address to a data set; given again after the download it only imports."""
    sent = []

    def fake(source, place, checksum, size):
        sent.append(source)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(part.read_bytes())

    monkeypatch.setattr("slembench.data.official.fetch.download", fake)
    address = ("--address", "https://a.mirror/QH9Stable.db")
    code, text = call("get", "qh9-stable-id", *address, "--download-only")
    assert (code, "next: slembench data get qh9-stable-id" in text) == (0, True), text
    assert not (shelf / "qh9-stable-id").exists()
    code, text = call("get", "qh9-stable-id")
    assert code == 0, text
    assert "is there already" in text
    assert "next: slembench run --dataset qh9-stable-id --model slem" in text
    assert sent == [address[1]]
    assert (shelf / "qh9-stable-id" / "card.yaml").is_file()


def test_nothing_is_downloaded_for_a_folder_that_is_taken(shelf, monkeypatch):
    monkeypatch.setattr("slembench.data.official.fetch.download", lambda *a: pytest.fail("must not be reached"))
    (shelf / "md17-water").mkdir()
    code, text = call("get", "md17-water")
    assert (code, "exists already; remove it first, or write somewhere else with --out" in text) == (1, True)


def test_what_cannot_be_got(shelf, part):
    code, text = call("get", "mos2-mini")
    assert (code, text) == (
        0,
        "mos2-mini: nothing to get, it is on this machine already; see: slembench data info mos2-mini\n",
    )
    code, text = call("get", "nothing")
    assert (code, "no official data set 'nothing'; there are: " in text) == (1, True)
    code, text = call("get", "qh9-stable-id", "--from", part, "--download-only")
    assert (code, "--from takes a copy that you have" in text) == (1, True)


def test_split_of_the_whole_set(shelf, tmp_path):
    code, text = call("split", "qh9-stable-id", "--out", tmp_path / "s.npz")
    assert code == 0
    assert f"train 104664, val 13083, test 13084 written to {tmp_path / 's.npz'}" in text
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["test", "train", "val"]
        assert all(arrays[name].dtype == np.int64 for name in arrays)
        assert index_hash(arrays["val"]) == "c05fb55566b6120e9b0bf3b7915917a06be1093071383d11794cb3f70b44a4c2"


def test_split_of_a_part(shelf, part, tmp_path):
    assert call("split", "qh9-stable-ood", "--out", tmp_path / "s.npz")[0] == 1
    assert call("split", "qh9-stable-id", "--source", part, "--out", tmp_path / "s.npz")[0] == 0
    place = np.argsort(np.random.RandomState(43).permutation(130831))
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert arrays["rows"].tolist() == list(range(100, 140))
        assert arrays["ids"].tolist() == [str(k) for k in range(100, 140)]
        for name, first, last in (("train", 0, 104664), ("val", 104664, 117747), ("test", 117747, 130831)):
            inside = [row for row in range(100, 140) if first <= place[row] < last]
            assert arrays[name].tolist() == sorted(inside, key=lambda row: place[row])


def test_rows_from_the_command_line(shelf, part, tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(5, 45))
    code, _ = call(
        "split", "qh9-stable-ood", "--source", part, "--rows", tmp_path / "rows.npy", "--out", tmp_path / "s"
    )
    assert code == 0
    with np.load(tmp_path / "s", allow_pickle=False) as arrays:
        assert arrays["train"].tolist() == list(range(5, 45))
    np.save(tmp_path / "wrong.npy", np.zeros(3))
    for rows, message in (("wrong.npy", "one row of integers"), ("none.npy", "neither the word first")):
        code, text = call(
            "split", "qh9-stable-id", "--source", part, "--rows", tmp_path / rows, "--out", tmp_path / "t"
        )
        assert code == 1
        assert message in text
    assert not (tmp_path / "t").exists()


def test_split_of_a_shipped_set(shelf, part, tmp_path):
    code, _ = call("split", "qh9-mini", "--out", tmp_path / "s.npz")
    assert code == 0
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        rows = np.concatenate([arrays[name] for name in arrays])
        assert sorted(rows.tolist()) == list(range(161))
    code, text = call("split", "qh9-mini", "--source", part, "--out", tmp_path / "t.npz")
    assert code == 1
    assert "qh9-mini is no official set" in text
