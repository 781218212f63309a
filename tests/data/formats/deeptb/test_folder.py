"""DeePTB folders: a real silicon cell against plain NumPy, every way to write one, and damage."""

import json

import ase
import ase.io
import h5py
import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples, write_samples
from slembench.data.formats.deeptb.blocks import parse_basis
from slembench.data.formats.deeptb.folder import infer_energy_unit, notes, read_folder
from slembench.operators.blocks import BlockMatrix
from slembench.operators.units import HARTREE_EV


@pytest.fixture
def folder(tmp_path, crystals):
    """A folder of one frame that this project writes, without its note of the unit, to be changed by the tests."""
    write_samples([crystals.sample("s00")], tmp_path, "deeptb")
    path = tmp_path / "data.s00"
    (path / "units.json").unlink()
    return path


def same(found, wanted, exact=True):
    """The same operators: equal blocks on the pairs of the wanted one, and nothing else than zeros beyond."""
    full = wanted.complete()
    aligned, missing, extra = found.align(full.pair_index, full.pair_shift)
    np.testing.assert_array_max_ulp(aligned.values, full.values, 0 if exact else 2)
    assert not len(missing)
    assert not np.any(found.take(extra).values)
    assert (found.reverse >= 0).all()


def edit_h5(file, change):
    """Replace the blocks of frame 0 by what ``change`` makes of the dict of them: name of a frame -> blocks."""
    with h5py.File(file, "r+") as target:
        blocks = {name: item[()] for name, item in target["0"].items()}
        del target["0"]
        for group, content in change(blocks).items():
            for name, block in content.items():
                target[f"{group}/{name}"] = block


# -- a real file ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silicon(real_files):
    return next(read_samples(real_files / "deeptb/Si64"))


@pytest.mark.real_files
def test_silicon(real_files, silicon):
    h, s = (silicon.operators[name] for name in ("hamiltonian", "overlap"))
    assert (len(silicon.atoms), silicon.basis.to_dict(), silicon.info.energy_unit) == (64, {"Si": "1s1p"}, "eV")
    assert (h.n_pairs, s.n_pairs) == (9434, 5562)
    assert (h.reverse >= 0).all()
    assert h.hermiticity_error() == 0
    overlap = s.dense()
    assert np.linalg.eigvalsh(overlap)[[0, -1]] == pytest.approx([0.170, 2.83], abs=5e-3)
    levels = scipy.linalg.eigvalsh(h.dense(), overlap)
    assert levels[[0, -1, 127, 128]] == pytest.approx([-6.01, 18.3, 6.53, 8.28], abs=3e-2)
    assert detect_format(real_files / "deeptb/Si64")[0].name == "deeptb"
    assert notes(real_files / "deeptb/Si64")[1].startswith("energies in eV (not recorded): the lowest level of Si")


@pytest.mark.real_files
def test_silicon_against_a_loop_over_the_raw_blocks(real_files, silicon):
    k = np.array([0.31, 0.17, 0.44])
    for key, file in (("hamiltonian", "hamiltonians.h5"), ("overlap", "overlaps.h5")):
        matrix = np.zeros((256, 256), dtype=complex)
        with h5py.File(real_files / "deeptb/Si64/Si64.0" / file) as source:
            for name, item in source["0"].items():
                i, j, *shift = map(int, name.split("_"))
                matrix[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] += np.exp(2j * np.pi * np.dot(k, shift)) * item[()]
        np.testing.assert_allclose(silicon.operators[key].at_k(k)[0], matrix, atol=1e-6)


@pytest.mark.real_files
def test_silicon_overlaps_point_along_the_pairs(silicon, s_p_cosines):
    cosines = s_p_cosines(silicon)
    assert len(cosines) > 1000
    assert cosines.max() < -1 + 1e-6


# -- round trips ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["crystals", "molecules"])
def test_round_trip(request, tmp_path, kind):
    data = request.getfixturevalue(kind)
    samples = {name: data.sample(name) for name in data.ids[:4]}
    write_samples(samples.values(), tmp_path, "deeptb")
    for back in read_samples(tmp_path):
        sample = samples.pop(back.id)
        factor = 1.0 if sample.info.energy_unit == "eV" else HARTREE_EV
        for key, operator in sample.operators.items():
            scaled = operator * factor if key == "hamiltonian" else operator
            same(back.operators[key], scaled)
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
        np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
        np.testing.assert_array_equal(back.atoms.numbers, sample.atoms.numbers)
        np.testing.assert_array_equal(back.atoms.pbc, sample.atoms.pbc)
        assert back.basis.shells == sample.basis.shells
        assert back.info.energy_unit == "eV"
    assert not samples


@pytest.mark.real_files
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("deeptb/Si64", marks=pytest.mark.slow),
        "deeph_new/MoTe2_bands",
        "deeph_new/water_predicted/reference/138",
    ],
)
def test_real_files_through_deeptb(real_files, tmp_path, path):
    sample = next(read_samples(real_files / path))
    write_samples([sample], tmp_path, "deeptb")
    back = next(read_samples(tmp_path))
    for key, operator in sample.operators.items():
        same(back.operators[key], operator)


def test_files_are_as_deeptb_wants_them(folder, crystals):
    sample = crystals.sample("s00")
    assert json.loads((folder / "info.json").read_text()) == {
        "nframes": 1, "natoms": 2, "pos_type": "cart", "pbc": [True, True, False],
    }  # fmt: skip
    assert (folder / "basis.dat").read_text() == "{'B': '2s1p', 'N': '1s1p1d'}"
    np.testing.assert_array_equal(np.loadtxt(folder / "positions.dat"), sample.atoms.positions)
    np.testing.assert_array_equal(np.loadtxt(folder / "atomic_numbers.dat"), [5, 7])
    with h5py.File(folder / "hamiltonians.h5") as source:
        assert list(source) == ["0"]
        assert source["0/0_1_0_0_0"].shape == (5, 9)
        full = sample.operators["hamiltonian"].complete()
        assert len(source["0"]) == full.n_pairs
        np.testing.assert_array_equal(source["0/1_0_0_0_0"][()].T, source["0/0_1_0_0_0"][()])


def test_writer_does_not_touch_what_is_there(tmp_path, crystals):
    write_samples([crystals.sample("s00")], tmp_path, "deeptb")
    with pytest.raises(DataError, match="structure 's00': .*exists already"):
        write_samples([crystals.sample("s00")], tmp_path, "deeptb")


# -- ways to write a folder -------------------------------------------------------------------------------


def first_of(folder, unit="eV"):
    return next(read_folder(folder, unit))


def test_atoms_counted_from_one_and_frames_too(folder, crystals):
    def shifted(blocks):
        names = {name: [int(part) for part in name.split("_")] for name in blocks}
        return {"1": {"_".join(map(str, (i + 1, j + 1, *r))): blocks[n] for n, (i, j, *r) in names.items()}}

    for file in ("hamiltonians.h5", "overlaps.h5"):
        edit_h5(folder / file, shifted)
    for key, operator in crystals.sample("s00").operators.items():
        same(first_of(folder).operators[key], operator)


def test_one_direction_stands_for_both(folder, crystals):
    def upper(blocks):
        triple = {name: tuple(int(part) for part in name.split("_")) for name in blocks}
        return {
            "0": {n: b for n, b in blocks.items() if triple[n][:2] < triple[n][1::-1] or triple[n][2:] >= (0, 0, 0)}
        }

    for file in ("hamiltonians.h5", "overlaps.h5"):
        edit_h5(folder / file, upper)
    for key, operator in crystals.sample("s00").operators.items():
        same(first_of(folder).operators[key], operator)


def test_absent_blocks_are_zero(folder, crystals):
    edit_h5(folder / "overlaps.h5", lambda b: {"0": {n: v for n, v in b.items() if n.endswith("_0_0_0")}})
    found, wanted = first_of(folder), crystals.sample("s00")
    same(found.operators["hamiltonian"], wanted.operators["hamiltonian"])
    near = wanted.operators["overlap"].complete()
    same(found.operators["overlap"], near.take(np.flatnonzero((near.pair_shift == 0).all(axis=1))))


def test_single_precision(folder, crystals):
    edit_h5(folder / "hamiltonians.h5", lambda b: {"0": {n: v.astype(np.float32) for n, v in b.items()}})
    wanted = crystals.sample("s00").operators["hamiltonian"]
    found = first_of(folder).operators["hamiltonian"]
    assert found.values.dtype == np.float64
    same(found, wanted.with_values(wanted.values.astype(np.float32).astype(np.float64)))


@pytest.mark.parametrize("name", ["DM.h5", "density_matrices.h5"])
def test_density(folder, crystals, name):
    (folder / "overlaps.h5").rename(folder / name)
    (folder / "hamiltonians.h5").unlink()
    found = next(read_folder(folder))  # without a Hamiltonian the unit does not matter
    assert set(found.operators) == {"density"}
    same(found.operators["density"], crystals.sample("s00").operators["overlap"])


def test_several_frames(folder, crystals):
    """Fixed cell and numbers, one for all frames, or one for each."""
    samples = [crystals.sample(f"s0{k}") for k in range(3)]
    positions = np.concatenate([sample.atoms.positions for sample in samples])
    np.savetxt(folder / "positions.dat", positions, fmt="%.17e")
    (folder / "info.json").write_text(json.dumps({"nframes": 3, "pos_type": "cart", "pbc": [True, True, False]}))
    for key, file in (("hamiltonian", "hamiltonians.h5"), ("overlap", "overlaps.h5")):
        with h5py.File(folder / file, "w") as target:
            for frame, sample in enumerate(samples):
                full = sample.operators[key].complete()
                for p, (pair, shift) in enumerate(zip(full.pair_index.tolist(), full.pair_shift.tolist(), strict=True)):
                    name = "_".join(map(str, pair + shift))
                    target[f"{frame}/{name}"] = full.gather(np.array([p]))[0]
    for tiled in (False, True):
        if tiled:
            np.savetxt(folder / "cell.dat", np.tile(samples[0].atoms.cell.array, (3, 1)), fmt="%.17e")
            np.savetxt(folder / "atomic_numbers.dat", np.tile(samples[0].atoms.numbers, 3), fmt="%d")
        found = list(read_folder(folder, "eV"))
        assert [sample.id for sample in found] == ["s00_0", "s00_1", "s00_2"]
        for back, sample in zip(found, samples, strict=True):
            np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
            np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
            same(back.operators["hamiltonian"], sample.operators["hamiltonian"])
    (folder / "info.json").write_text('{"nframes": 4, "natoms": 2, "pbc": true}')
    with pytest.raises(DataError, match="positions.dat: shape \\(6, 3\\), must be \\(4 frames x atoms, 3\\)"):
        list(read_folder(folder, "eV"))


@pytest.mark.parametrize("shells", ["2s1p\n1s1p1d\n", "{'N': ['2s', '2p', 'd*'], 'B': ['2s', '3s', '2p']}"])
def test_ways_to_write_the_basis(folder, crystals, shells):
    (folder / "basis.dat").write_text(shells)
    same(first_of(folder).operators["overlap"], crystals.sample("s00").operators["overlap"])


def test_info_one_level_up_or_nowhere(folder, crystals):
    wanted = crystals.sample("s00")
    (folder / "info.json").rename(folder.parent / "info.json")
    assert first_of(folder).atoms.pbc.tolist() == [True, True, False]
    (folder.parent / "info.json").unlink()
    assert first_of(folder).atoms.pbc.tolist() == [True, True, False]  # pbc.dat
    (folder / "pbc.dat").unlink()
    assert first_of(folder).atoms.pbc.all()  # there is a cell
    (folder / "cell.dat").unlink()
    found = first_of(folder)
    assert not found.atoms.pbc.any()
    np.testing.assert_array_equal(found.atoms.positions, wanted.atoms.positions)


def test_fractional_positions(folder, crystals):
    atoms = crystals.sample("s00").atoms
    np.savetxt(folder / "positions.dat", atoms.get_scaled_positions(wrap=False), fmt="%.17e")
    (folder / "info.json").write_text('{"nframes": 1, "pos_type": "frac", "pbc": true}')
    np.testing.assert_allclose(first_of(folder).atoms.positions, atoms.positions, atol=1e-14)


def test_ase_trajectory(folder, crystals):
    sample = crystals.sample("s00")
    for name in ("positions.dat", "cell.dat", "atomic_numbers.dat", "pbc.dat"):
        (folder / name).unlink()
    ase.io.write(folder / "xdat.traj", sample.atoms)
    (folder / "info.json").write_text('{"pos_type": "ase"}')
    found = first_of(folder)
    np.testing.assert_array_equal(found.atoms.positions, sample.atoms.positions)
    np.testing.assert_array_equal(found.atoms.pbc, sample.atoms.pbc)
    same(found.operators["hamiltonian"], sample.operators["hamiltonian"])
    (folder / "xdat.traj").write_bytes((folder / "xdat.traj").read_bytes()[:200])
    with pytest.raises(DataError, match="xdat.traj: not readable as ASE trajectory"):
        first_of(folder)


# -- the unit ---------------------------------------------------------------------------------------------


def sp_operator(gap):
    """On-site block of silicon with an s and a p shell that far apart."""
    basis = parse_basis("{'Si': '1s1p'}", np.array([14]), "x")
    return {"hamiltonian": BlockMatrix.from_dense(basis, np.array([14]), np.diag([3.0, *[3.0 + gap] * 3]))}


@pytest.mark.parametrize(("gap", "unit"), [(0.25, "Hartree"), (7.0, "eV"), (1.4, None), (1000.0, None)])
def test_unit_is_told_from_the_levels_or_asked_for(gap, unit):
    if unit is None:
        with pytest.raises(DataError, match="set: the energy unit is not recorded .*Si lies .*give the option unit"):
            infer_energy_unit(sp_operator(gap), "set")
    else:
        assert infer_energy_unit(sp_operator(gap), "set") == unit


@pytest.mark.real_files
def test_unit_of_real_files_in_either_unit(real_files):
    for path in (
        "deeptb/Si64",
        "deeph_new/benzene/1000",
        "deeph_new/MoTe2_bands",
        "abacus/MoS2_deeph",
        "siesta/Si_deeph",
    ):
        operators = dict(next(read_samples(real_files / path)).operators)
        assert infer_energy_unit(operators, "set") == "eV"
        assert (
            infer_energy_unit({**operators, "hamiltonian": operators["hamiltonian"] * (1 / HARTREE_EV)}, "set")
            == "Hartree"
        )
    molecule = next(read_samples(real_files / "qh9_lmdb", overlap=True)).operators
    assert infer_energy_unit(molecule, "set") == "Hartree"
    assert infer_energy_unit({**molecule, "hamiltonian": molecule["hamiltonian"] * HARTREE_EV}, "set") == "eV"


def test_unit_can_be_given(folder):
    for unit in ("eV", "Hartree"):
        assert next(read_samples(folder, unit=unit)).info.energy_unit == unit
    (folder / "units.json").write_text('{"energy": "Hartree"}')
    assert next(read_samples(folder)).info.energy_unit == "Hartree"
    assert notes(folder)[1] == "energies in Hartree: units.json says so"
    (folder / "units.json").write_text('{"energy": "Ry"}')
    with pytest.raises(DataError, match="units.json: key 'energy': 'Ry' is not eV or Hartree"):
        list(read_samples(folder))


# -- refusals ---------------------------------------------------------------------------------------------


def one_block(name, change):
    def apply(blocks):
        return {"0": {**blocks, name: change(blocks[name])}}

    return apply


def renamed(old, new):
    def apply(blocks):
        return {"0": {new if name == old else name: block for name, block in blocks.items()}}

    return apply


def spinful(blocks):
    return {"0": {name: np.kron(np.eye(2), block).astype(np.complex64) for name, block in blocks.items()}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spinful, "block 0_0_.*: has spin \\(spin-orbit coupling\\), which is not supported"),
        (one_block("0_0_0_0_0", lambda b: b + 0j), "block 0_0_0_0_0: has spin"),
        (
            one_block("0_1_0_0_0", lambda b: b.T),
            "block 0_1_0_0_0: is \\(9, 5\\), the shells of its atoms make it \\(5, 9\\)",
        ),
        (one_block("0_1_0_0_0", lambda b: b * np.nan), "block 0_1_0_0_0: holds values that are not finite"),
        (one_block("0_1_0_0_0", lambda b: b + 1), "not Hermitian: block i=0 j=1 R=\\(0, 0, 0\\)"),
        (one_block("0_1_0_0_0", np.ravel), "key '0_1_0_0_0': is no matrix of numbers"),
        (renamed("1_1_0_0_0", "1_1_9_9_9"), "atom 1 has no block with itself"),
        (renamed("0_1_0_0_0", "1_1_0_0_00"), "a block is named twice"),
        (renamed("0_1_0_0_0", "0_2_0_0_0"), "do not count 2 atoms from 0 or from 1"),
        (renamed("0_1_0_0_0", "0_1_0_0"), "names of blocks must be i_j_Rx_Ry_Rz"),
        (renamed("0_1_0_0_0", "0_1_0_0_R"), "names of blocks must be i_j_Rx_Ry_Rz"),
        (lambda b: {"7": b}, "frame 0: missing; the file holds 7"),
    ],
)
def test_bad_blocks_are_named(folder, change, message):
    edit_h5(folder / "hamiltonians.h5", change)
    with pytest.raises(DataError, match=f"hamiltonians.h5: .*{message}"):
        first_of(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("info.json", "[]", "info.json: must hold an object"),
        ("info.json", '{"nframes": 0, "pbc": true}', "'pos_type' cart, frac or ase"),
        ("info.json", '{"pos_type": "spherical", "pbc": true}', "'pos_type' cart, frac or ase"),
        ("info.json", '{"pbc": [1, 1]}', "key 'pbc': must be true, false or three of them"),
        ("positions.dat", "1 2\n3 4", "positions.dat: shape \\(2, 2\\)"),
        ("positions.dat", "1 2 x\n3 4 5", "positions.dat: not readable as a table of numbers"),
        ("positions.dat", "1 2 3\n3 4 nan", "positions.dat: holds values that are not finite"),
        ("cell.dat", "1 2 3", "cell.dat: shape \\(1, 3\\)"),
        ("atomic_numbers.dat", "5\n7\n7", "atomic_numbers.dat: must hold 2 atomic numbers"),
        ("atomic_numbers.dat", "5\n7.5", "atomic_numbers.dat: must hold 2 atomic numbers"),
        ("basis.dat", "{'B': '2s1p'}", "basis.dat: not readable as basis: element N has no shells"),
        ("basis.dat", "{'B': __import__('os')}", "basis.dat: not readable as basis"),
        ("basis.dat", "2s1p", "basis.dat: has 1 lines for 2 atoms"),
        ("basis.dat", "{'B': '2s1p', 'N': 'spd'}", "basis.dat: not readable as basis: .*must look like"),
        ("basis.dat", None, "basis.dat: not readable"),
    ],
)
def test_bad_text_is_named(folder, file, text, message):
    (folder / file).unlink() if text is None else (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        first_of(folder)


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="no folder with positions.dat"):
        list(read_samples(tmp_path, "deeptb"))
    with pytest.raises(DataError, match="format deeptb has no option 'overlap'; it has: unit"):
        list(read_samples(tmp_path, "deeptb", overlap=True))
