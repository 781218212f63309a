"""SchNOrb's, PhiSNet's and nablaDFT's databases, built here by their documented layouts from PySCF's matrices."""

import sqlite3
from base64 import b64encode

import ase
import ase.db
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import FORMATS, detect_format, read_samples
from slembench.operators.rotations import random_rotation
from slembench.operators.units import BOHR_ANGSTROM

gto = pytest.importorskip("pyscf.gto", reason="PySCF is not installed")

SHELLS = {1: [0, 0, 1], 6: [0, 0, 0, 1, 1, 2], 8: [0, 0, 0, 1, 1, 2]}  # def2-SVP
METHANOL = ase.Atoms(
    "COHHHH",
    positions=[
        [-0.05, 0.66, 0.02], [-0.02, -0.76, -0.03], [-1.09, 0.98, 0.1], [0.44, 1.07, 0.89], [0.44, 1.07, -0.89],
        [0.91, -1.06, 0.05],
    ],
)  # fmt: skip
# component of PySCF (p: x y z; d: xy yz z2 xz x2-y2) at each place of another order
ORCA = PSI4 = {0: [0], 1: [2, 0, 1], 2: [2, 3, 1, 4, 0]}
PHISNET = {0: [0], 1: [1, 2, 0], 2: [0, 1, 2, 3, 4]}


def matrices(atoms, order):
    """Core Hamiltonian (a stand-in for H) and overlap in an order."""
    molecule = gto.M(atom=[(a.symbol, a.position) for a in atoms], basis="def2-svp", verbose=0)
    index, start = [], 0
    for z in atoms.numbers.tolist():
        for l in SHELLS[z]:
            index += [start + k for k in order[l]]
            start += 2 * l + 1
    h = molecule.intor("int1e_kin") + molecule.intor("int1e_nuc")
    return h[np.ix_(index, index)], molecule.intor("int1e_ovlp")[np.ix_(index, index)]


def basisdef():
    table = np.zeros((9, 14, 5), dtype=int)
    for z, ls in SHELLS.items():
        rows = [(0, k + 1, l, m) for k, l in enumerate(ls) for m in range(2 * l + 1)]
        table[z, : len(rows), 0] = np.arange(len(rows))
        table[z, : len(rows), 1:] = rows
    return table


def write_schnorb(file, frames, *, old=False, metadata=None, change=None):
    with ase.db.connect(file, type="db") as database:
        for number, atoms in enumerate(frames):
            h, s = (matrix.astype(np.float32) for matrix in matrices(atoms, ORCA))
            data = {"hamiltonian": h, "overlap": s, "energy": np.array([-115.0 - number]), "forces": np.zeros((6, 3))}
            if old:
                for key, array in list(data.items()):
                    data |= {
                        key: b64encode(array.tobytes()).decode(),
                        f"_shape_{key}": list(array.shape),
                        f"_dtype_{key}": str(array.dtype),
                    }
            database.write(atoms, data=change(data) if change else data)
    database.metadata = {"basisdef": basisdef().tolist()} if metadata is None else metadata
    return file


def write_phisnet(file, frames, *, nabla, order, unit=BOHR_ANGSTROM, orbitals=SHELLS):
    blob, whole = (lambda array: np.asarray(array, "<f4").tobytes()), (lambda array: np.asarray(array, "<i4").tobytes())
    with sqlite3.connect(file) as database:
        columns = (
            f"id INTEGER NOT NULL PRIMARY KEY, {'Z BLOB,' if nabla else ''} R BLOB, E FLOAT, F BLOB, H BLOB, S BLOB"
        )
        database.execute(f"CREATE TABLE data ({columns}, C BLOB)")
        database.execute("CREATE TABLE nuclear_charges (id INTEGER NOT NULL PRIMARY KEY, N INTEGER, Z BLOB)")
        database.execute("CREATE TABLE basisset (Z INTEGER NOT NULL PRIMARY KEY, orbitals BLOB)")
        database.execute("CREATE TABLE metadata (id INTEGER PRIMARY KEY, N INTEGER)")
        database.execute("INSERT INTO metadata VALUES (0, ?)", (len(frames),))
        numbers = whole(frames[0].numbers)
        database.execute("INSERT INTO nuclear_charges VALUES (0, ?, ?)", (len(frames[0]), numbers))
        database.executemany("INSERT INTO basisset VALUES (?, ?)", [(z, whole(ls)) for z, ls in orbitals.items()])
        if nabla:
            database.execute("CREATE TABLE dataset_ids (id INTEGER PRIMARY KEY, MOSES_ID INT, CONFORMER_ID INT)")
        for row, atoms in enumerate(frames):
            h, s = matrices(atoms, order)
            values = [row, blob(atoms.positions / unit), -115.0 - row, None, blob(h), blob(s), None]
            if nabla:
                values.insert(1, whole(atoms.numbers))
                database.execute("INSERT INTO dataset_ids VALUES (?, 7, ?)", (row, row))
            database.execute(f"INSERT INTO data VALUES ({', '.join('?' * len(values))})", values)
    database.close()
    return file


@pytest.fixture(scope="module")
def frames():
    """A molecule, and the same rotated."""
    turned = METHANOL.copy()
    turned.positions = METHANOL.positions @ random_rotation(3).T
    return [METHANOL, turned]


def write(kind, file, frames):
    if kind.startswith("schnorb"):
        return write_schnorb(file, frames, old=kind == "schnorb-old")
    return write_phisnet(file, frames, nabla=kind == "nabla", order=PSI4 if kind == "nabla" else PHISNET)


@pytest.mark.parametrize("kind", ["schnorb", "schnorb-old", "phisnet", "nabla"])
def test_every_layout_gives_the_molecule_and_rotates_with_it(tmp_path, frames, kind, s_p_cosines):
    file = write(kind, tmp_path / "methanol.db", frames)
    chosen, evidence = detect_format(file)
    assert chosen.name == ("schnorb" if kind.startswith("schnorb") else "phisnet")
    assert evidence[0].startswith("methanol.db: ")
    assert detect_format(tmp_path)[0].name == chosen.name
    first, second = read_samples(file)
    assert first.basis.to_dict() == {"H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"}
    assert first.info.energy_unit == "Hartree"
    assert first.info.electrons == 18
    assert first.info.energy == -115
    assert first.id == ("1" if kind.startswith("schnorb") else "0")
    np.testing.assert_allclose(first.atoms.positions, METHANOL.positions, atol=1e-6)
    for name, limit in (("overlap", 1e-6), ("hamiltonian", 2e-5)):
        turned = first.operators[name].rotate(random_rotation(3))
        assert np.abs(turned.values - second.operators[name].values).max() < limit
    # against PySCF in canonical order
    h, s = matrices(METHANOL, PHISNET)
    for matrix, name, limit in ((s, "overlap", 1e-7), (h, "hamiltonian", 2e-6)):
        assert np.abs(first.operators[name].dense() - matrix).max() < limit
    order = {"phisnet": "canonical", "nabla": "psi4"}.get(kind, "orca")
    said = chosen.notes(file)
    assert said[0] == "2 rows"
    assert said[1].startswith(f"order within shells: {order}, by the directions of the overlaps of COH4")
    cosines = s_p_cosines(first, 1)
    assert cosines.max() < -1 + 1e-4
    assert (first.info.group == second.info.group) == (kind == "nabla")


def test_order_is_told_from_the_overlap(tmp_path, frames):
    """Another order than the layout's usual one is noticed, not silently wrong."""
    file = write_phisnet(tmp_path / "a.db", frames, nabla=True, order=PHISNET)
    np.testing.assert_allclose(
        next(read_samples(file)).operators["overlap"].dense(), matrices(METHANOL, PHISNET)[1], atol=1e-7
    )
    file = write_phisnet(tmp_path / "b.db", frames, nabla=True, order={0: [0], 1: [2, 1, 0], 2: [0, 1, 2, 3, 4]})
    with pytest.raises(DataError, match=r"row 0: key 'S': the overlap fits no known order .* psi4 1.*, canonical"):
        next(read_samples(file))


def test_positions_in_another_unit_are_noticed(tmp_path, frames):
    file = write_phisnet(tmp_path / "a.db", frames, nabla=True, order=PSI4, unit=BOHR_ANGSTROM**2)
    with pytest.raises(DataError, match="times its covalent radii: they are not in the unit"):
        next(read_samples(file))


def test_energies_that_schnorb_shifted_are_left_out(tmp_path, frames):
    metadata = {"basisdef": basisdef().tolist(), "mean_energy": -19.0}
    file = write_schnorb(tmp_path / "a.db", frames, metadata=metadata)
    assert next(read_samples(file)).info.energy is None
    file = write_schnorb(tmp_path / "b.db", frames, metadata={})  # def2-SVP where nothing is said
    assert next(read_samples(file)).basis.to_dict()["O"] == "3s2p1d"


@pytest.mark.parametrize(
    ("change", "metadata", "message"),
    [
        (lambda d: d | {"overlap": d["overlap"][:-1]}, None, r"key 'overlap': is \(47, 48\), the shells .* \(48, 48\)"),
        (
            lambda d: d | {"hamiltonian": d["hamiltonian"] * np.nan},
            None,
            "key 'hamiltonian': holds values that are not",
        ),
        (lambda d: d | {"hamiltonian": d["hamiltonian"] + np.arange(48)}, None, "key 'hamiltonian': is not symmetric"),
        (lambda d: d | {"hamiltonian": "x"}, None, "key 'hamiltonian': holds no array of numbers"),
        (None, {"basisdef": [[1, 2], [3]]}, "'basisdef': not a table of integers"),
        (None, {"basisdef": [[1, 2], [3, 4]]}, r"'basisdef': shape \(2, 2\), must be"),
        (None, {"basisdef": basisdef()[:8].tolist()}, "'basisdef' has no shells for Z = 8"),
        (None, {"basisdef": basisdef()[:, :13].tolist()}, "Z = 6: orbitals of l = 2 do not make whole shells"),
    ],
)
def test_wrong_schnorb_files_are_named(tmp_path, change, metadata, message):
    file = write_schnorb(tmp_path / "a.db", [METHANOL], change=change, metadata=metadata)
    with pytest.raises(DataError, match=message) as caught:
        next(read_samples(file, "schnorb"))
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("query", "values", "message"),
    [
        ("UPDATE data SET H = ?", (b"1234",), r"row 0: key 'H': must hold 2304 f4 numbers, is 4 bytes"),
        ("UPDATE data SET H = ?", (None,), r"row 0: key 'H': must hold 2304 f4 numbers, is NoneType"),
        ("UPDATE data SET S = ?", (None,), "key 'S': missing; the order of orbitals cannot be told"),
        ("UPDATE data SET R = ?", (b"\0" * 60,), "row 0: key 'R': must hold 18 f4 numbers"),
        ("UPDATE data SET Z = ?", (b"\x09\0\0\0" * 6,), "'basisset' has no shells for Z = 9"),
        ("UPDATE data SET Z = ?", (b"",), r"'basisset' has no shells for Z = \(no atoms\)"),
        ("UPDATE basisset SET orbitals = ?", (b"\x09\0\0\0",), r"Z = 1: must be an atomic number with the l"),
    ],
)
def test_wrong_nabla_files_are_named(tmp_path, query, values, message):
    file = write_phisnet(tmp_path / "a.db", [METHANOL], nabla=True, order=PSI4)
    with sqlite3.connect(file) as database:
        database.execute(query, values)
    database.close()
    with pytest.raises(DataError, match=message) as caught:
        next(read_samples(file, "phisnet"))
    assert str(caught.value).startswith(str(file))


def test_other_files_are_not_taken(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE data (id INTEGER, energy FLOAT)")
    database.close()
    (tmp_path / "b.db").write_text("no database")
    for name in ("phisnet", "schnorb"):
        assert FORMATS[name].notes(tmp_path) == []
        with pytest.raises(DataError, match="neither is nor holds one"):
            read_samples(tmp_path, name)
        with pytest.raises(DataError, match="neither is nor holds one"):
            read_samples(tmp_path / "b.db", name)
