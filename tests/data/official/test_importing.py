"""Copies of official sets, whole or in part: which rows they hold, their splits, and the data set made of them."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import yaml

from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.core.files import file_lock
from slembench.data import load_dataset
from slembench.data.formats import write_samples
from slembench.data.official import importing as official_import
from slembench.data.official.copy import open_copy
from slembench.data.official.importing import import_official, reach_radii
from slembench.data.official_card import load_official
from slembench.data.official_rules import official_indices

TABLES = {
    False: "CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)",
    True: "CREATE TABLE data (id BLOB, geo_id INTEGER, N INTEGER, Z BLOB, pos BLOB, ekin FLOAT, epot FLOAT,"
    " etot FLOAT, time FLOAT, Ham BLOB, converged INT)",
}


def write_db(path, rows, dynamic=False):
    """QH9 file of hydrogen chains; rows are (molecule, frame, number of atoms)."""
    rng = np.random.default_rng(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(TABLES[dynamic])
        for molecule, frame, n in rows:
            matrix = rng.normal(size=(5 * n, 5 * n))
            z, ham = np.ones(n, "<i4").tobytes(), (matrix + matrix.T).tobytes()
            length = 0.75 * (1.8897259886 if dynamic else 1.0)
            pos = (np.arange(n)[:, None] * [length, 0, 0]).astype("<f8").tobytes()
            key = int(molecule).to_bytes(8, "little") if dynamic else molecule
            row = (key, frame, n, z, pos, 0.0, -1.0, -1.0, 0.0, ham, 1) if dynamic else (key, n, z, pos, ham)
            connection.execute(f"INSERT INTO data VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()
    return path


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Folder of the user's data sets."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("SLEMBENCH_DATA", str(folder))
    return folder


@pytest.fixture
def stable(tmp_path):
    """One molecule in a hundred of QH9 stable, in no order, of 1 to 3 atoms."""
    ids = np.random.default_rng(5).permutation(np.arange(7, 130831, 1000))
    return write_db(tmp_path / "part.db", [(int(i), 0, 1 + int(i) % 3) for i in ids])


def test_part_of_the_stable_set_keeps_the_official_split(stable):
    copy = open_copy(load_official("qh9-stable-id"), stable)
    assert sorted(copy.rows.tolist()) == list(range(7, 130831, 1000))
    whole = official_indices(load_official("qh9-stable-id").splits)
    for split, rows in whole.items():
        assert copy.splits[split].tolist() == [row for row in rows.tolist() if row % 1000 == 7]
        assert copy.members[split] == [str(row) for row in copy.splits[split].tolist()]
    assert sum(map(len, copy.members.values())) == len(copy.ids) == 131


def test_part_of_the_stable_set_by_size(tmp_path):
    path = write_db(tmp_path / "part.db", [(4, 0, 21), (2, 0, 20), (9, 0, 23), (30, 0, 22), (1, 0, 3)])
    copy = open_copy(load_official("qh9-stable-ood"), path)
    assert copy.members == {"train": ["1", "2"], "val": ["4", "30"], "test": ["9"]}


@pytest.mark.parametrize(("ids", "message"), [([130831], "row 130831 does not exist"), ([-1], "row -1 does not exist")])
def test_molecules_of_another_set_are_refused(tmp_path, ids, message):
    path = write_db(tmp_path / "part.db", [(i, 0, 2) for i in ids])
    with pytest.raises(DataError, match=message):
        open_copy(load_official("qh9-stable-id"), path)


def test_stable_and_dynamic_are_told_apart(stable, tmp_path):
    with pytest.raises(DataError, match="holds rows of the stable set, qh9-dynamic-100k-geo is counted in geometries"):
        open_copy(load_official("qh9-dynamic-100k-geo"), stable)
    dynamic = write_db(tmp_path / "dynamic.db", [(5, 0, 2)], dynamic=True)
    with pytest.raises(DataError, match="holds rows of a dynamic set"):
        open_copy(load_official("qh9-stable-id"), dynamic)


@pytest.fixture
def dynamic(tmp_path):
    """The 100 geometries of two molecules of a dynamic set."""
    return write_db(tmp_path / "dynamic.db", [(m, f, 2) for m in (90210, 17) for f in range(100)], dynamic=True)


def test_part_of_a_dynamic_set_needs_row_numbers(dynamic):
    with pytest.raises(DataError, match="holds 200 of the 99900 geometries .* nothing in it tells which; say --rows"):
        open_copy(load_official("qh9-dynamic-100k-geo"), dynamic)


def test_first_rows_of_a_dynamic_set(dynamic):
    copy = open_copy(load_official("qh9-dynamic-100k-geo"), dynamic, known="first")
    for split, part in (("train", slice(0, 80)), ("val", slice(80, 90)), ("test", slice(90, 100))):
        expected = [f"90210_{f}" for f in np.random.RandomState(99).permutation(100)[part]]
        expected += [f"17_{f}" for f in np.random.RandomState(199).permutation(100)[part]]
        assert copy.members[split] == expected


def test_given_rows_of_a_dynamic_set(dynamic):
    rows = np.concatenate([np.arange(500, 600), np.arange(1200, 1300)])
    copy = open_copy(load_official("qh9-dynamic-300k-mol"), dynamic, known=rows)
    whole = official_indices(load_official("qh9-dynamic-300k-mol").splits)
    owner = {m: split for split, members in whole.items() for m in (members // 100).tolist()}
    assert set(copy.members) == {owner[5], owner[12]}
    assert copy.members[owner[5]][:100] == [f"90210_{f}" for f in range(100)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.arange(199), "row numbers are given for 199"),
        (np.zeros(200, int), "row 0 occurs 200 times"),
        (np.arange(99800, 100000), "row 99999 does not exist"),
        (np.arange(50, 250), "molecules do not have 100 consecutive rows each"),
    ],
)
def test_wrong_rows_are_refused(dynamic, rows, message):
    with pytest.raises(DataError, match=message):
        open_copy(load_official("qh9-dynamic-100k-geo"), dynamic, known=rows)


def test_import_is_found_by_name_and_reads_back(stable, shelf):
    dataset = import_official("qh9-stable-id", stable)
    assert dataset.root == shelf / "qh9-stable-id"
    opened = load_dataset("qh9-stable-id")
    copy = open_copy(load_official("qh9-stable-id"), stable)
    assert {split: opened.split(split) for split in opened.splits} == copy.members
    assert opened.ids == copy.ids
    assert opened.card.counts.structures == 131
    assert opened.card.counts.values == sum(len(s.operators["hamiltonian"].values) for s in opened.iterate())
    assert opened.card.counts.pairs == sum(len(opened.pairs(s)[0]) for s in opened.iterate())
    assert "A part: 131 of 130831 molecules" in opened.card.notes[-1]
    assert opened.fingerprint
    with closing(sqlite3.connect(stable)) as connection:
        (raw,) = connection.execute("SELECT Ham FROM data WHERE id = 2007").fetchone()
    here = np.linalg.eigvalsh(opened.sample("2007").operators["hamiltonian"].dense())
    n = len(here)
    assert np.allclose(here, np.linalg.eigvalsh(np.frombuffer(raw).reshape(n, n)), atol=1e-12)
    with pytest.raises(DataError, match="exists already"):
        import_official("qh9-stable-id", stable)


def test_overlap_on_request(tmp_path, shelf):
    pytest.importorskip("pyscf")
    path = write_db(tmp_path / "part.db", [(100, 0, 2), (101, 0, 2)])
    dataset = import_official("qh9-stable-id", path, overlap=True)
    assert dataset.card.operators == ("hamiltonian", "overlap")
    matrix = dataset.sample("100").operators["overlap"].dense()
    assert np.allclose(np.diag(matrix), 1)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_stopped_import_goes_on(stable, shelf, monkeypatch):
    monkeypatch.setattr(official_import, "PART", 50)
    written = []
    real = official_import.write_samples

    def write(path, samples, header, level):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        real(path, samples, header, level)

    monkeypatch.setattr(official_import, "write_samples", write)
    with pytest.raises(KeyboardInterrupt):
        import_official("qh9-stable-id", stable)
    assert not (shelf / "qh9-stable-id").exists()
    monkeypatch.setattr(official_import, "write_samples", lambda *args: (written.append(args[0].name), real(*args)))
    dataset = import_official("qh9-stable-id", stable)
    assert written == [f"structures-000{k}.parquet" for k in range(3)]
    assert sorted(file.name for file in (dataset.root / "data").iterdir()) == written
    assert dataset.ids == open_copy(load_official("qh9-stable-id"), stable).ids
    monkeypatch.setattr(official_import, "PART", 5000)
    whole = import_official("qh9-stable-id", stable, shelf / "whole")
    assert whole.card.counts == dataset.card.counts
    assert not [file for file in shelf.iterdir() if file.name.startswith(".")]


def test_remains_of_another_import_are_thrown_away(stable, shelf):
    work = shelf / ".qh9-stable-id.importing"
    (work / "data").mkdir(parents=True)
    (work / "data" / "old.parquet").write_text("old")
    (work / "import.json").write_text(json.dumps({"stamp": "other", "parts": {"data/old.parquet": ["0", 1, 1, 1]}}))
    dataset = import_official("qh9-stable-id", stable)
    assert [file.name for file in (dataset.root / "data").iterdir()] == ["structures.parquet"]


def test_copy_without_training_structures(tmp_path, shelf):
    path = write_db(tmp_path / "part.db", [(116750, 0, 2)])
    with pytest.raises(DataError, match="none of its 1 structures is in the training split of qh9-stable-id"):
        import_official("qh9-stable-id", path)
    assert not list(shelf.iterdir())


@pytest.fixture
def bn(crystals, shelf, tmp_path):
    """Official set of a test, "bn", in the old DeepH layout, its shells and radii in the files only."""
    content = yaml.safe_load(asset_path("datasets", "gan", "card.yaml").read_text())
    content |= {"name": "bn", "elements": ["B", "N"], "operators": ["hamiltonian", "overlap"]}
    content["publication"]["format"] = "deeph-legacy"
    (shelf / "bn").mkdir()
    (shelf / "bn" / "card.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    write_samples(list(crystals.iterate()), tmp_path / "deeph", "deeph-legacy")
    return tmp_path / "deeph"


def test_crystals_with_shells_and_radii_from_the_files(bn, crystals, shelf):
    dataset = import_official("bn", bn, shelf / "imported")
    assert dataset.card.basis == {"B": "2s1p", "N": "1s1p1d"}
    assert dataset.card.counts.pairs == sum(len(dataset.pairs(s)[0]) for s in dataset.iterate())
    assert [len(dataset.split(split)) for split in ("train", "val", "test")] == [7, 2, 2]
    order = np.random.RandomState(42).permutation(12)
    assert dataset.split("train") == [f"s{k:02d}" for k in order[:7]]
    for sample in crystals.iterate():
        for name, operator in sample.operators.items():
            mine = dataset.sample(sample.id).operators[name].complete()
            there = operator.complete()
            found = mine.align(there.pair_index, there.pair_shift)[0]
            assert np.abs(found.values - there.values).max() < 1e-12
            assert np.isclose(np.abs(mine.values).sum(), np.abs(there.values).sum())


def test_radii_from_the_reach(crystals):
    samples = list(crystals.iterate())
    radii = reach_radii(samples)
    for sample in samples:
        operator = sample.operators["hamiltonian"]
        lengths = np.linalg.norm(operator.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
        symbols = np.array(sample.atoms.get_chemical_symbols())[operator.pair_index]
        limits = np.array([(radii[a] + radii[b]) / 2 for a, b in symbols])
        assert (lengths <= limits).all()
    assert all(radii[symbol] <= radius + 0.4 for symbol, radius in crystals.card.cutoffs.items())


def test_crystal_of_other_elements(bn, shelf):
    with pytest.raises(DataError, match="holds B, the set Ga, N"):
        import_official("gan", bn)


def test_real_molecules(real_files, shelf):
    path = real_files / "qh9_lmdb"
    path = next(path.rglob("data.mdb")).parent
    dataset = import_official("qh9-stable-id", path)
    assert dataset.split("val") == ["46125"]
    assert sorted(dataset.split("test")) == ["116750", "116766"]
    assert len(dataset.split("train")) == 7
    by_size = import_official("qh9-stable-ood", path)
    assert by_size.split("val") == ["116750", "120011"]
    assert by_size.split("test") == ["102372"]


def test_two_imports_into_one_folder_at_once(stable, shelf):
    with (
        file_lock(shelf / "qh9-stable-id", "importing"),
        pytest.raises(DataError, match="another process is importing"),
    ):
        import_official("qh9-stable-id", stable)
