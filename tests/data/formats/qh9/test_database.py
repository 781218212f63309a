"""QH9 in its three layouts: what the authors' own loader makes of a file, PySCF on real molecules, and damage."""

import os
import pickle
import sqlite3
import tracemalloc
from contextlib import closing

import lmdb
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples, write_samples
from slembench.data.formats.qh9.database import QH9Database, detect, notes
from slembench.data.formats.qh9.molecule import BASIS, canonical_order
from slembench.operators.orbitals import canonical_index

FIRST = {1: [0, 1, 3, 4, 2], 6: [0, 1, 2, 4, 5, 3, 7, 8, 6, 9, 10, 11, 12, 13]}
"""PySCF orbital of each canonical one: of p, y z x where PySCF has x y z."""


def canonical(record):
    """Hamiltonian of a record in canonical order, atom by atom."""
    index, start = [], 0
    for z in record["atoms"].tolist():
        order = FIRST[1 if z == 1 else 6]
        index += [start + k for k in order]
        start += len(order)
    return record["Ham"].reshape(start, start)[np.ix_(index, index)]


def write_lmdb(folder, records, extra=None):
    with lmdb.open(str(folder), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
        for number, record in enumerate(records):
            transaction.put(number.to_bytes(4, "big"), pickle.dumps(record))
        for key, value in (extra or {}).items():
            transaction.put(key, pickle.dumps(value))
    return folder


def equal(molecule, record):
    np.testing.assert_array_equal(molecule.numbers, record["atoms"])
    np.testing.assert_array_equal(molecule.hamiltonian, canonical(record))
    assert molecule.id == record["id"]


def test_order_of_orbitals():
    numbers = np.array([8, 1, 9, 6, 1, 7])
    index, sign = canonical_index(numbers, BASIS.shells, "pyscf")
    np.testing.assert_array_equal(canonical_order(numbers), index)
    assert (sign == 1).all()
    np.testing.assert_array_equal(canonical_order(np.array([1])), FIRST[1])
    np.testing.assert_array_equal(canonical_order(np.array([6])), FIRST[6])


def test_stable_sqlite(tmp_path, write_qh9, qh9_records):
    database = QH9Database(write_qh9(tmp_path / "QH9Stable.db"))
    assert (len(database), database.dynamic, database.length_unit) == (4, False, "Angstrom")
    for molecule, record in zip(database, qh9_records, strict=True):
        equal(molecule, record)
        np.testing.assert_array_equal(molecule.positions, record["pos"])
        assert (molecule.name, molecule.energy) == (str(record["id"]), None)
    for row in (3, 0, 2):
        equal(database[row], qh9_records[row])
    with pytest.raises(IndexError, match="no row 4; there are 4"):
        _ = database[4]


def test_dynamic_sqlite(tmp_path, write_qh9, qh9_records):
    """Ids are bytes of an int64, positions are in Bohr, energies and convergence are there."""
    database = QH9Database(write_qh9(tmp_path / "QH9Dynamic_100k.db", dynamic=True))
    assert (database.dynamic, database.length_unit) == (True, "Bohr")
    for row, record in enumerate(qh9_records):
        molecule = database[row]
        equal(molecule, record)
        np.testing.assert_allclose(molecule.positions, record["pos"], rtol=1e-15)
        assert (molecule.frame, molecule.energy, molecule.converged) == (row % 2, record["epot"], True)
    sample = database[1].sample()
    assert (sample.id, sample.info.group, sample.info.energy, sample.info.electrons) == ("7_1", "7", -1.5, 10)
    assert sample.info.energy_unit == "Hartree"


@pytest.mark.parametrize("raw", [True, False])
def test_lmdb(tmp_path, qh9_records, raw):
    records = [{k: r[k] for k in ("id", "num_nodes", "atoms", "pos", "Ham")} for r in qh9_records]
    wanted = records
    if raw:
        records = [{k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in r.items()} for r in records]
    database = QH9Database(write_lmdb(tmp_path / "QH9Stable.lmdb", records))
    assert (len(database), database.dynamic) == (4, False)
    for row, record in enumerate(wanted):
        equal(database[row], record)
        np.testing.assert_array_equal(database[row].positions, record["pos"])


def test_dynamic_lmdb_is_in_bohr(tmp_path, qh9_records):
    records = [{**r, "pos": r["pos"] * 1.8897259886} for r in qh9_records]
    database = QH9Database(write_lmdb(tmp_path / "QH9Dynamic.lmdb", records))
    for molecule, record in zip(database, qh9_records, strict=True):
        np.testing.assert_allclose(molecule.positions, record["pos"], rtol=1e-15)
        assert molecule.name == f"{record['id']}_{record['geo_id']}"


def test_repacked_lmdb(tmp_path, qh9_records):
    """SPHNet's: a key `length`, the Fock matrix of the initial guess, and tensors that are of no use here."""
    torch = pytest.importorskip("torch")
    records = [{k: r[k] for k in ("id", "num_nodes", "atoms", "pos", "Ham")} for r in qh9_records]
    more = [{**r, "Ham_init": 2 * r["Ham"], "edge_index": torch.zeros(2, 5), "labels": torch.ones(3)} for r in records]
    database = QH9Database(write_lmdb(tmp_path / "data.lmdb", more, {b"length": 4}))
    assert len(database) == 4
    for molecule, record in zip(database, qh9_records, strict=True):
        equal(molecule, record)
        np.testing.assert_array_equal(molecule.initial, 2 * molecule.hamiltonian)


def test_units_have_to_fit(tmp_path, qh9_records):
    records = [{**r, "pos": r["pos"] * 1.8897259886} for r in qh9_records]
    stable = [{key: value for key, value in r.items() if key != "geo_id"} for r in records]
    folder = write_lmdb(tmp_path / "wrong.lmdb", stable)
    with pytest.raises(
        DataError, match="row 0: key 'pos': the shortest bond, O-H, .*: Bohr, where this layout has Angstr"
    ):
        QH9Database(folder)
    found = QH9Database(folder, length_unit="Bohr")[0]
    np.testing.assert_allclose(found.positions, qh9_records[0]["pos"], rtol=1e-15)
    assert next(read_samples(folder, "qh9", length_unit="Bohr")).id == "0"


def padded_by_loops(record):
    """Blocks as the authors' loader cuts them: for each column atom all row atoms, in 14 slots."""
    slots = {z: [0, 1, 3, 4, 5] if z == 1 else list(range(14)) for z in (1, 6, 7, 8, 9)}
    matrix, atoms = canonical(record), record["atoms"].tolist()
    start = np.concatenate([[0], np.cumsum([len(slots[z]) for z in atoms])])
    onsite, pair, index, masks = [], [], [], []
    for i, zi in enumerate(atoms):
        for j, zj in enumerate(atoms):
            block, mask = np.zeros((14, 14)), np.zeros((14, 14), bool)
            place = np.ix_(slots[zj], slots[zi])
            block[place], mask[place] = matrix[start[j] : start[j + 1], start[i] : start[i + 1]], True
            if i == j:
                onsite.append((block, mask))
            else:
                pair.append(block)
                masks.append(mask)
                index.append((j, i))
    return onsite, np.array(pair), np.array(masks), np.array(index)


def test_padded_blocks_equal_those_of_the_authors_loader(tmp_path, write_qh9, qh9_records):
    rows = [2, 0, 1, 2]
    batch = QH9Database(write_qh9(tmp_path / "QH9Stable.db")).batch(rows)
    loops = [padded_by_loops(qh9_records[row]) for row in rows]
    first = np.cumsum([0, *(len(qh9_records[row]["atoms"]) for row in rows)])[:-1]
    np.testing.assert_array_equal(batch.onsite, np.array([block for loop in loops for block, _ in loop[0]]))
    np.testing.assert_array_equal(batch.pair, np.concatenate([loop[1] for loop in loops]))
    np.testing.assert_array_equal(
        batch.pair_index, np.concatenate([l[3] + f for l, f in zip(loops, first, strict=True)])
    )
    np.testing.assert_array_equal(batch.molecule, np.repeat(range(4), [len(qh9_records[row]["atoms"]) for row in rows]))
    np.testing.assert_array_equal(batch.numbers, np.concatenate([qh9_records[row]["atoms"] for row in rows]))
    onsite, pair = batch.masks()
    np.testing.assert_array_equal(onsite, np.array([mask for loop in loops for _, mask in loop[0]]))
    np.testing.assert_array_equal(pair, np.concatenate([loop[2] for loop in loops]))


def test_an_empty_batch(tmp_path, write_qh9):
    batch = QH9Database(write_qh9(tmp_path / "QH9Stable.db")).batch([])
    assert (batch.onsite.shape, batch.pair_index.shape, len(batch.numbers)) == ((0, 14, 14), (0, 2), 0)


def test_partial_copy(tmp_path, write_qh9, qh9_records):
    """Rows count what is there; ids stay."""
    path = write_qh9(tmp_path / "QH9Stable.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM data WHERE id = 7")
        connection.commit()
    database = QH9Database(path)
    assert [database[row].id for row in range(len(database))] == [0, 14, 21]


def test_copies_for_other_processes(tmp_path, write_qh9, qh9_records):
    records = [{k: r[k] for k in ("id", "num_nodes", "atoms", "pos", "Ham")} for r in qh9_records]
    for path in (write_qh9(tmp_path / "QH9Stable.db"), write_lmdb(tmp_path / "QH9Stable.lmdb", records)):
        database = QH9Database(path)
        assert len(database) == 4
        equal(pickle.loads(pickle.dumps(database))[2], qh9_records[2])


def test_nothing_is_written_beside_the_file(tmp_path, write_qh9):
    path = write_qh9(tmp_path / "QH9Stable.db")
    before = path.read_bytes()
    assert len(list(QH9Database(tmp_path))) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["QH9Stable.db"]
    assert path.read_bytes() == before


def test_rows_that_wait_in_a_journal_are_seen(tmp_path, write_qh9):
    path = write_qh9(tmp_path / "QH9Stable.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO data SELECT 99, N, Z, pos, Ham FROM data WHERE id = 0")
        connection.commit()
        assert path.with_name("QH9Stable.db-wal").exists()
        assert [molecule.id for molecule in QH9Database(path)] == [0, 7, 14, 21, 99]


def test_memory_does_not_grow_with_the_file(tmp_path, write_qh9):
    path = write_qh9(tmp_path / "QH9Stable.db")
    with closing(sqlite3.connect(path)) as connection:
        for number in range(100, 600):
            connection.execute("INSERT INTO data SELECT ?, N, Z, pos, Ham FROM data WHERE id = 14", (number,))
        connection.commit()
    database = QH9Database(path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in database) == 504
        assert len(database) == 504
        assert tracemalloc.get_traced_memory()[1] < 500_000 < path.stat().st_size / 10
    finally:
        tracemalloc.stop()


# -- real molecules ---------------------------------------------------------------------------------------


IDS = (41052, 4795, 27446, 40006, 116766, 89714, 46125, 120011, 116750, 102372)
"""Of the molecules; the Fock matrices of all are rebuilt where SLEMBENCH_SLOW is set, otherwise those of two."""


@pytest.fixture(scope="module")
def molecules(real_files):
    return {molecule.id: molecule for molecule in QH9Database(real_files / "qh9_lmdb")}


@pytest.mark.real_files
def test_real_file(real_files, molecules):
    assert set(molecules) == set(IDS)
    assert {len(molecule.hamiltonian) for molecule in molecules.values()} == {141, 142, 166, 171, 176, 186, 191, 196}
    assert all(np.abs(m.hamiltonian - m.hamiltonian.T).max() < 1e-12 for m in molecules.values())
    assert detect_format(real_files / "qh9_lmdb")[0].name == "qh9"
    assert notes(real_files / "qh9_lmdb")[0] == "10 molecules"


@pytest.mark.real_files
def test_overlap_points_along_the_bonds(real_files, s_p_cosines):
    for sample in read_samples(real_files / "qh9_lmdb", overlap=True):
        assert np.linalg.eigvalsh(sample.operators["overlap"].dense()).min() > 1e-4
        cosines = s_p_cosines(sample, shell=1)
        assert len(cosines) > 50
        assert np.abs(cosines).min() > 1 - 1e-9
        assert (cosines < 0).mean() > 0.8  # the sign of a shell is a gauge, that of its overlaps in one direction not


@pytest.mark.real_files
@pytest.mark.slow
@pytest.mark.parametrize("number", IDS if os.environ.get("SLEMBENCH_SLOW") else IDS[:2])
def test_fock_matrix_rebuilt_from_the_density_of_the_hamiltonian(real_files, number):
    """With PySCF's own overlap, which ours equals; B3LYP with the correlation of VWN5, not PySCF's default."""
    dft = pytest.importorskip("pyscf.dft")
    from pyscf import gto

    sample = next(s for s in read_samples(real_files / "qh9_lmdb", overlap=True) if s.id == str(number))
    numbers, positions = sample.atoms.numbers.tolist(), sample.atoms.positions.tolist()
    mole = gto.M(atom=list(zip(numbers, positions, strict=True)), basis="def2svp", unit="Angstrom", verbose=0)
    method, order = dft.RKS(mole), canonical_order(sample.atoms.numbers)
    place = np.argsort(order)
    raw = sample.operators["hamiltonian"].dense()[place][:, place]
    overlap = method.get_ovlp()
    np.testing.assert_allclose(sample.operators["overlap"].dense()[place][:, place], overlap, atol=1e-12)
    energies, orbitals = method.eig(raw, overlap)
    density = method.make_rdm1(orbitals, method.get_occ(energies, orbitals))
    assert np.trace(density @ overlap) == pytest.approx(sample.info.electrons, abs=1e-9)
    method.xc = "b3lyp5"
    assert np.abs(method.get_fock(dm=density) - raw).mean() < 1e-6
    if number == IDS[0]:
        other = dft.RKS(mole, xc="b3lyp")
        assert np.abs(other.get_fock(dm=density) - raw).mean() > 1e-5


@pytest.mark.real_files
def test_round_trip_to_the_bit(real_files, tmp_path):
    samples = {sample.id: sample for sample in read_samples(real_files / "qh9_lmdb")}
    write_samples(samples.values(), tmp_path / "out.db", "qh9")
    for back in read_samples(tmp_path / "out.db"):
        sample = samples.pop(back.id)
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
        np.testing.assert_array_equal(back.atoms.numbers, sample.atoms.numbers)
        np.testing.assert_array_equal(back.operators["hamiltonian"].values, sample.operators["hamiltonian"].values)
        assert back.info == sample.info
    assert not samples


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("Z", np.array([8, 1, 26], dtype=np.int32).tobytes(), "key 'atoms': QH9 holds H, C, N, O and F, not \\[26\\]"),
        ("Z", b"\0" * 7, "key 'atoms': 7 bytes do not hold 3 numbers"),
        ("Z", None, "key 'atoms': missing"),
        ("N", 4, "key 'atoms': 12 bytes do not hold 4 numbers"),
        ("N", -1, "key 'atoms': 12 bytes do not hold -1 numbers"),
        ("N", "three", "key 'num_nodes': must be an integer, is a str"),
        ("pos", np.full(9, np.nan).tobytes(), "key 'pos': holds values that are not finite"),
        ("pos", b"", "key 'pos': 0 bytes"),
        ("Ham", np.full(576, np.inf).tobytes(), "key 'Ham': holds values that are not finite"),
        ("Ham", np.arange(576.0).tobytes(), "key 'Ham': is not symmetric, by 5.*e\\+02 Hartree"),
        ("Ham", np.zeros(575).tobytes(), "key 'Ham': 4600 bytes do not hold 576 numbers"),
    ],
)
def test_bad_rows_are_named(tmp_path, write_qh9, column, value, message):
    path = write_qh9(tmp_path / "QH9Stable.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE data SET {column} = ? WHERE id = 0", (value,))
        connection.commit()
    with pytest.raises(DataError, match=rf"QH9Stable.db: row 0: {message}"):
        list(read_samples(path, "qh9"))


def test_a_pickle_that_would_run_something(tmp_path, qh9_records):
    class Call:
        def __reduce__(self):
            return print, ("ran",)

    record = {**qh9_records[0], "more": Call()}
    folder = write_lmdb(tmp_path / "bad.lmdb", [record])
    with pytest.raises(DataError, match="the first record: the pickle names builtins.print: refused"):
        QH9Database(folder)
    assert detect(folder) == []


def test_other_files_are_not_taken(tmp_path):
    (tmp_path / "text.db").write_text("nothing")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE systems (id INTEGER)")
    (tmp_path / "empty").mkdir()
    for name in ("text.db", "other.db", "empty", "."):
        assert detect(tmp_path / name) == []
    with pytest.raises(DataError, match="no table 'data' with the columns id, N, Z, pos, Ham"):
        QH9Database(tmp_path / "other.db")
    with pytest.raises(DataError, match="must be or hold one sqlite or LMDB file; found: none"):
        QH9Database(tmp_path / "empty")


@pytest.mark.parametrize("change", ["id", "twice", "shells", "cell", "operator"])
def test_what_the_writer_refuses(tmp_path, write_qh9, crystals, change):
    from dataclasses import replace

    sample = next(read_samples(write_qh9(tmp_path / "QH9Stable.db")))
    crystal = crystals.sample("s00")
    bad, message = {
        "id": ([replace(sample, id="water")], "structure 'water': key 'id': QH9 numbers its molecules"),
        "twice": ([sample, sample], "structure '0': key 'id': a structure of this id came before"),
        "shells": ([replace(crystal, id="0")], "key 'basis': QH9 holds H 2s1p, C 3s2p1d"),
        "cell": (
            [
                replace(
                    sample,
                    operators={
                        key: replace(matrix, pair_shift=matrix.pair_shift + (matrix.pair_index[:, :1] == 0))
                        for key, matrix in sample.operators.items()
                    },
                )
            ],
            "couples to other cells",
        ),
        "operator": ([replace(sample, operators={})], "key 'hamiltonian': missing"),
    }[change]
    with pytest.raises(DataError, match=message):
        write_samples(bad, tmp_path / "out.db", "qh9")
    assert [file.name for file in tmp_path.iterdir()] == ["QH9Stable.db"]
