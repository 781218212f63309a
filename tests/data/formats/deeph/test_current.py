"""The new DeepH layout: files written by DeepH-dock, against NumPy/SciPy only; and files that are written here."""

import json
import shutil
from dataclasses import replace

import ase
import h5py
import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.formats import FORMATS, detect_format, read_samples, write_samples
from slembench.data.formats.deeph.current import MATRIX_FILES, read_matrix, read_structure
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import HARTREE_EV

FOLDERS = [
    *(f"deeph_new/{name}" for name in ("MoTe2_bands", "benzene", "ethanol", "water", "water_rotated")),
    *("deeph_new/water_predicted/reference", "deeph_pairs/MoTe2_new", "abacus/MoS2_deeph", "siesta/Si_deeph"),
]
KEYS = ("atom_pairs", "chunk_shapes", "chunk_boundaries", "entries")


@pytest.fixture
def mote2(real_files, tmp_path):
    """Copy of one structure folder, to be spoilt."""
    folder = shutil.copytree(real_files / "deeph_pairs/MoTe2_new", tmp_path / "MoTe2", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


def arrays(file):
    with h5py.File(file) as source:
        return {key: source[key][()] for key in KEYS}


def bloch(folder, file, k):
    """M(k) of a folder from its raw arrays, block by block."""
    raw = arrays(folder / file)
    sizes = dict(zip(raw["atom_pairs"][:, 3].tolist(), raw["chunk_shapes"][:, 0].tolist(), strict=True))
    start = np.concatenate([[0], np.cumsum([sizes[a] for a in sorted(sizes)])])
    matrix = np.zeros((start[-1], start[-1]), dtype=complex)
    for n, (*shift, i, j) in enumerate(raw["atom_pairs"].tolist()):
        a, b = raw["chunk_boundaries"][n : n + 2]
        block = raw["entries"][a:b].reshape(raw["chunk_shapes"][n])
        matrix[start[i] : start[i + 1], start[j] : start[j + 1]] += np.exp(2j * np.pi * np.dot(k, shift)) * block
    return matrix


@pytest.mark.real_files
@pytest.mark.parametrize("name", FOLDERS)
def test_hermitian_and_positive_definite(real_files, name):
    for sample in read_samples(real_files / name):
        for operator in sample.operators.values():
            assert (operator.reverse >= 0).all()
            assert operator.hermiticity_error() < 5e-8
        overlap = sample.operators["overlap"].at_k([[0, 0, 0], [0.31, 0.17, 0.44]])
        assert np.linalg.eigvalsh(overlap).min() > 0


@pytest.mark.real_files
@pytest.mark.parametrize("name", ["deeph_new/benzene/1000", "deeph_pairs/MoTe2_new", "siesta/Si_deeph"])
def test_bloch_matrix_equals_a_loop_over_the_raw_blocks(real_files, name):
    folder, k = real_files / name, np.array([0.31, 0.17, 0.44])
    sample = read_structure(folder)
    for key in ("hamiltonian", "overlap"):
        np.testing.assert_allclose(sample.operators[key].at_k(k)[0], bloch(folder, MATRIX_FILES[key], k), atol=1e-11)


@pytest.mark.real_files
def test_bands_equal_those_of_the_program_that_wrote_the_matrices(real_files):
    folder = real_files / "deeph_new/MoTe2_bands"
    sample = read_structure(folder)
    with h5py.File(folder / "band.h5") as source:
        kpoints, bands, level = (
            source[k][()] for k in ("kpoints_frac_list", "band_data", "fermi_energy_before_shift_eV")
        )
    h, s = (sample.operators[name].at_k(kpoints) for name in ("hamiltonian", "overlap"))
    rebuilt = np.array([scipy.linalg.eigvalsh(a, b) for a, b in zip(h, s, strict=True)])
    assert np.abs(rebuilt.T - level - bands).max() < 1e-8
    assert sample.info.fermi_level == pytest.approx(level, abs=1e-9)
    assert sample.info.electrons == 46


def s_p_cosines(sample, shell):
    """Cosines between <s_i | p_j>, a vector (y, z, x), and the direction from i to j: one s shell and the first p."""
    overlap, shells = sample.operators["overlap"], sample.basis.shells
    vectors = overlap.vectors(sample.atoms.positions, sample.atoms.cell.array)
    for _, zj, pairs in overlap.pair_type_groups():
        pairs = pairs[~overlap.onsite[pairs]]
        p = shells[zj].count(0)
        found = overlap.gather(pairs)[:, shell, p : p + 3]
        keep = np.linalg.norm(found, axis=1) > 1e-3
        found, direction = found[keep], vectors[pairs][keep][:, [1, 2, 0]]
        yield from (found * direction).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(direction, axis=1)


@pytest.mark.real_files
@pytest.mark.parametrize(
    "name", ["deeph_new/benzene/1000", "deeph_pairs/MoTe2_new", "siesta/Si_deeph", "abacus/MoS2_deeph"]
)
def test_s_p_overlaps_point_along_the_pair(real_files, name):
    """Fixes the order of p, the sign of R and row against column: s_i overlaps the negative lobe of a p_j beyond it."""
    sample = read_structure(real_files / name)
    for shell in range(2):
        cosines = np.array(list(s_p_cosines(sample, shell)))
        assert len(cosines) > 10
        assert np.abs(cosines).min() > 1 - 1e-4
        if shell == 0 and name != "abacus/MoS2_deeph":  # there one radial function has the opposite sign
            assert cosines.max() < 0


@pytest.mark.real_files
def test_density_carries_both_spins(real_files):
    for sample in read_samples(real_files / "deeph_new/water_predicted/reference"):
        density, overlap = sample.operators["density"].dense(), sample.operators["overlap"].dense()
        assert np.trace(density @ overlap) == pytest.approx(8, abs=1e-9)


@pytest.mark.real_files
@pytest.mark.parametrize("name", FOLDERS)
def test_round_trip_to_the_bit(real_files, tmp_path, name):
    samples = list(read_samples(real_files / name))
    write_samples(samples, tmp_path, "deeph-new")
    folders = sorted(path for path in tmp_path.iterdir())
    assert [path.name for path in folders] == sorted(sample.id for sample in samples)
    for sample, back in zip(samples, read_samples(tmp_path), strict=True):
        assert back.id == sample.id
        assert back.info == sample.info
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
        np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
        source = next((real_files / name).rglob(f"{sample.id}/info.json"), real_files / name / "info.json").parent
        for key in sample.operators:
            old, new = arrays(source / MATRIX_FILES[key]), arrays(tmp_path / sample.id / MATRIX_FILES[key])
            for array in KEYS:
                np.testing.assert_array_equal(new[array], old[array])
                assert new[array].dtype == old[array].dtype
        old, new = (json.loads((folder / "info.json").read_text()) for folder in (source, tmp_path / sample.id))
        assert {key: new[key] for key in old} == old


@pytest.mark.real_files
def test_predicted_matrix_in_single_precision(real_files):
    folder = real_files / "deeph_new/water_predicted"
    reference = read_structure(folder / "reference/138")
    shells = {z: list(ls) for z, ls in reference.basis.shells.items()}
    predicted = read_matrix(folder / "predicted/138/hamiltonian_pred.h5", shells, reference.atoms.numbers)
    raw = arrays(folder / "predicted/138/hamiltonian_pred.h5")["entries"]
    assert raw.dtype == np.float32
    assert predicted.values.dtype == np.float64
    np.testing.assert_array_equal(predicted.values, raw)


@pytest.mark.real_files
def test_shells_in_another_order_are_sorted(real_files, mote2):
    wanted = read_structure(mote2)
    info = json.loads((mote2 / "info.json").read_text())
    order = [5, 6, 3, 0, 4, 1, 2]  # shells of either element: 2, 2, 1, 0, 1, 0, 0
    start, width = np.array([0, 1, 2, 3, 6, 9, 14]), np.array([1, 1, 1, 3, 3, 5, 5])
    index = np.concatenate([start[k] + np.arange(width[k]) for k in order])
    info["elements_orbital_map"] = {"Te": [2, 2, 1, 0, 1, 0, 0], "Mo": [2, 2, 1, 0, 1, 0, 0]}
    (mote2 / "info.json").write_text(json.dumps(info))
    for file in ("hamiltonian.h5", "overlap.h5"):
        with h5py.File(mote2 / file, "r+") as target:
            blocks = target["entries"][()].reshape(-1, 19, 19)
            target["entries"][...] = blocks[:, index][:, :, index].ravel()
    found = read_structure(mote2)
    assert found.basis.shells == wanted.basis.shells
    # shells of one l keep the order in which they stand in the file
    for name in ("hamiltonian", "overlap"):
        np.testing.assert_array_equal(found.operators[name].values, wanted.operators[name].values)


def spoil_h5(folder, key, change):
    with h5py.File(folder / "hamiltonian.h5", "r+") as target:
        value = change(target[key][()])
        del target[key]
        if value is not None:
            target[key] = value


def first(value):
    def change(array):
        array.flat[0] = value
        return array

    return change


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        (
            "entries",
            lambda a: None,
            "key 'entries': missing; the file holds atom_pairs, chunk_boundaries, chunk_shapes",
        ),
        ("entries", first(np.nan), "key 'entries': 1 of 47291 values are NaN or infinite, the first in block i=0 j=0"),
        ("entries", lambda a: a[:-1], "key 'entries': has 47290 values, the blocks need 47291"),
        ("entries", lambda a: a.astype(complex), "key 'entries': 1 axes of complex128, must be 1 of real numbers"),
        ("atom_pairs", lambda a: a[:, :4], "key 'atom_pairs': shape (131, 4), must be (131, 5)"),
        ("atom_pairs", lambda a: a.astype(float), "key 'atom_pairs': 2 axes of float64, must be 2 of integers"),
        (
            "atom_pairs",
            lambda a: np.where([0, 0, 0, 1, 0], a + 9, a),
            "key 'atom_pairs': atom numbers must lie in 0..2",
        ),
        ("atom_pairs", lambda a: a[[1, 1, *range(2, 131)]], "key 'atom_pairs': a pair occurs more than once"),
        ("atom_pairs", lambda a: a * [999, 1, 1, 1, 1], "key 'atom_pairs': a translation is beyond 511 cells"),
        ("entries", first(1.0), "key 'entries': not Hermitian: block i=0 j=0 R=("),
        (
            "chunk_shapes",
            first(18),
            "key 'chunk_shapes': block 0 is (18, 19), the shells of its atoms make it (19, 19)",
        ),
        ("chunk_shapes", lambda a: a[:-1], "key 'chunk_shapes': shape (130, 2), must be (131, 2)"),
        ("chunk_boundaries", first(1), "key 'chunk_boundaries': must be the running sum of the block sizes"),
    ],
)
def test_wrong_array_names_file_structure_and_key(mote2, key, change, message):
    spoil_h5(mote2, key, change)
    with pytest.raises(DataError) as caught:
        read_structure(mote2)
    assert str(caught.value).startswith(f"{mote2 / 'hamiltonian.h5'}: structure 'MoTe2': ")
    assert message in str(caught.value)


@pytest.mark.real_files
@pytest.mark.parametrize("keep", [0, 50, 100_000])
def test_truncated_file(mote2, keep):
    (mote2 / "overlap.h5").write_bytes((mote2 / "overlap.h5").read_bytes()[:keep])
    with pytest.raises(DataError, match=r"overlap.h5: structure 'MoTe2': not readable as HDF5"):
        read_structure(mote2)


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spinful": True}, "key 'spinful': true; matrices with spin are not supported"),
        ({"atoms_quantity": 4}, "key 'atoms_quantity': says 4, POSCAR and elements_orbital_map give 3"),
        ({"orbits_quantity": 56}, "key 'orbits_quantity': says 56"),
        ({"elements_orbital_map": {"Te": [0]}}, "key 'elements_orbital_map': no shells for element Mo of the POSCAR"),
        ({"elements_orbital_map": {"Te": [0], "Mo": [9]}}, "key 'elements_orbital_map': basis: shells of Mo"),
        ({"elements_orbital_map": {"Te": [0], "Zz": [0]}}, "key 'elements_orbital_map': basis: unknown element 'Zz'"),
        ({"spinful": None}, "key 'spinful': Input should be a valid boolean"),
    ],
)
def test_wrong_info_names_the_key(mote2, change, message):
    info = json.loads((mote2 / "info.json").read_text())
    (mote2 / "info.json").write_text(json.dumps(info | change))
    with pytest.raises(DataError) as caught:
        read_structure(mote2)
    assert str(caught.value).startswith(f"{mote2 / 'info.json'}: structure 'MoTe2': ")
    assert message in str(caught.value)


@pytest.mark.real_files
def test_damaged_texts_and_missing_matrices(mote2):
    text = (mote2 / "POSCAR").read_text()
    (mote2 / "POSCAR").write_text(text[:100])
    with pytest.raises(DataError, match=r"POSCAR: structure 'MoTe2': not readable as POSCAR"):
        read_structure(mote2)
    (mote2 / "POSCAR").write_text(text)
    for file in ("hamiltonian.h5", "overlap.h5"):
        (mote2 / file).unlink()
    with pytest.raises(DataError, match="none of hamiltonian.h5, overlap.h5, density_matrix.h5 is there"):
        read_structure(mote2)
    (mote2 / "info.json").write_text("{")
    with pytest.raises(DataError, match=r"info.json: structure 'MoTe2': not readable as JSON"):
        read_structure(mote2)


@pytest.mark.real_files
def test_detected_at_and_above_the_structure_folders(real_files):
    chosen, evidence = detect_format(real_files / "deeph_new/water")
    assert chosen.name == "deeph-new"
    assert evidence == ["4990/POSCAR", "4990/info.json"]
    assert [sample.id for sample in read_samples(real_files / "deeph_new/water")] == [str(n) for n in range(4990, 4996)]


def test_triangle_becomes_both_directions_and_hartree_becomes_ev(molecules, tmp_path):
    sample = molecules.sample("s01")
    sample = replace(sample, info=replace(sample.info, fermi_level=-0.25))
    write_samples([sample], tmp_path, "deeph-new")
    (tmp_path / "s01/slembench.json").unlink()  # as DeepH reads it
    back = read_structure(tmp_path / "s01")
    assert back.info.energy_unit == "eV"
    assert back.info.fermi_level == pytest.approx(-0.25 * HARTREE_EV)
    assert back.info.electrons == 10
    for name, factor in (("hamiltonian", HARTREE_EV), ("overlap", 1), ("density", 1)):
        assert (back.operators[name].reverse >= 0).all()
        # B N B is stored as B B N
        order = np.concatenate([np.arange(5), 14 + np.arange(5), 5 + np.arange(9)])
        dense = sample.operators[name].dense()[order][:, order]
        np.testing.assert_allclose(back.operators[name].dense(), dense * factor, rtol=1e-14)
    assert back.atoms.get_chemical_symbols() == ["B", "B", "N"]
    np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions[[0, 2, 1]])
    assert not sample.atoms.cell.array.any()
    box = np.ptp(sample.atoms.positions, axis=0) + 20
    np.testing.assert_allclose(back.atoms.cell.array, np.diag(box), atol=1e-12)


def test_operators_on_different_pairs_are_written_on_all_of_them(tmp_path):
    basis, numbers = Basis.parse({"H": "1s"}), np.array([1, 1])
    overlap = BlockMatrix(basis, numbers, [[0, 0], [1, 1]], [[0, 0, 0], [0, 0, 0]], np.array([1.0, 1.0]))
    hamiltonian = BlockMatrix(
        basis, numbers, [[0, 1], [0, 0], [1, 1]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]], np.arange(1.0, 4)
    )
    atoms = ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], cell=[3, 3, 3], pbc=True)
    sample = Sample("h2", atoms, basis, {"overlap": overlap, "hamiltonian": hamiltonian}, SampleInfo())
    write_samples([sample], tmp_path, "deeph-new")
    with h5py.File(tmp_path / "h2/overlap.h5") as s, h5py.File(tmp_path / "h2/hamiltonian.h5") as h:
        rows = s["atom_pairs"][()].tolist()
        assert rows == h["atom_pairs"][()].tolist()
        assert dict(zip(map(tuple, rows), s["entries"][()].tolist(), strict=True)) == {
            (0, 0, 0, 0, 0): 1.0, (0, 0, 0, 1, 1): 1.0, (0, 0, 1, 0, 1): 0.0, (0, 0, -1, 1, 0): 0.0
        }  # fmt: skip
        assert dict(zip(map(tuple, rows), h["entries"][()].tolist(), strict=True)) == {
            (0, 0, 0, 0, 0): 2.0, (0, 0, 0, 1, 1): 3.0, (0, 0, 1, 0, 1): 1.0, (0, 0, -1, 1, 0): 1.0
        }  # fmt: skip


def test_atoms_are_grouped_by_element_with_their_blocks(tmp_path):
    rng, numbers = np.random.default_rng(0), np.array([2, 1, 2, 1, 1, 2])
    basis, matrix = Basis.parse({"H": "1s", "He": "1s"}), rng.normal(size=(6, 6))
    matrix += matrix.T
    atoms = ase.Atoms(numbers, positions=rng.uniform(0, 5, (6, 3)), cell=[9, 9, 9], pbc=True)
    operator = BlockMatrix.from_dense(basis, numbers, matrix)
    write_samples([Sample("a", atoms, basis, {"overlap": operator})], tmp_path, "deeph-new")
    np.testing.assert_array_equal(read_structure(tmp_path / "a").atoms.numbers, numbers)  # by the note
    (tmp_path / "a/slembench.json").unlink()
    back, order = read_structure(tmp_path / "a"), [0, 2, 5, 1, 3, 4]
    assert back.atoms.numbers.tolist() == [2, 2, 2, 1, 1, 1]
    np.testing.assert_array_equal(back.atoms.positions, atoms.positions[order])
    np.testing.assert_array_equal(back.operators["overlap"].dense(), matrix[order][:, order])


def test_existing_folder_is_refused_and_left_alone(molecules, tmp_path):
    write_samples([molecules.sample("s01")], tmp_path, "deeph-new")
    before = (tmp_path / "s01/info.json").read_bytes()
    with pytest.raises(DataError, match=r"structure 's01': .* exists already"):
        write_samples(molecules.iterate(["s02", "s01"]), tmp_path, "deeph-new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s01", "s02"]
    assert (tmp_path / "s01/info.json").read_bytes() == before


def test_failed_write_leaves_nothing(molecules, tmp_path):
    sample = molecules.sample("s01")
    values = np.full_like(sample.operators["density"].values, np.nan)
    bad = replace(sample, operators=sample.operators | {"density": sample.operators["density"].with_values(values)})
    with pytest.raises(DataError, match="key 'density'"):
        write_samples([bad], tmp_path / "out", "deeph-new")
    assert not list((tmp_path / "out").glob("*"))


def test_id_that_is_no_folder_name(molecules, tmp_path):
    with pytest.raises(DataError, match=r"structure '../s01': key 'id': cannot be the name of a folder"):
        write_samples([replace(molecules.sample("s01"), id="../s01")], tmp_path, "deeph-new")


def test_registry_names_what_it_does_not_know(tmp_path, molecules):
    with pytest.raises(DataError, match=r"none of the known formats \(deeph-new.*was recognised"):
        detect_format(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        detect_format(tmp_path / "none")
    with pytest.raises(DataError, match="unknown format 'xyz'; known: deeph-new"):
        write_samples([], tmp_path, "xyz")
    with pytest.raises(DataError, match="no folder with POSCAR and info.json"):
        list(read_samples(tmp_path, "deeph-new"))


def test_format_that_is_only_read_and_two_that_fit(tmp_path, monkeypatch, molecules):
    write_samples([molecules.sample("s01")], tmp_path, "deeph-new")
    twin = replace(FORMATS["deeph-new"], name="twin", write=None)
    monkeypatch.setitem(FORMATS, "twin", twin)
    with pytest.raises(DataError, match="more than one format is possible: deeph-new"):
        read_samples(tmp_path)
    with pytest.raises(DataError, match="format twin can be read, not written"):
        write_samples([], tmp_path, "twin")
    assert [sample.id for sample in read_samples(tmp_path, "twin")] == ["s01"]


def test_written_texts_hold_every_digit(molecules, tmp_path):
    sample = molecules.sample("s05")
    write_samples([sample], tmp_path, "deeph-new")
    info = json.loads((tmp_path / "s05/info.json").read_text())
    assert info["elements_orbital_map"] == {"B": [0, 0, 1], "N": [0, 1, 2]}
    np.testing.assert_array_equal(read_structure(tmp_path / "s05").atoms.positions, sample.atoms.positions)
