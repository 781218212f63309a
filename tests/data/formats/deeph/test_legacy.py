"""The legacy DeepH layout: the same MoTe2 as in the new layout, and writing back."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples, write_samples
from slembench.data.formats.deeph.current import read_structure as read_new
from slembench.data.formats.deeph.legacy import read_structure
from slembench.operators.units import HARTREE_EV


@pytest.fixture
def mote2(real_files, tmp_path):
    """Copy of the structure folder, to be spoilt."""
    source = real_files / "deeph_pairs/MoTe2_legacy"
    folder = shutil.copytree(source, tmp_path / "MoTe2", copy_function=shutil.copyfile)
    folder.chmod(0o755)
    return folder


def assert_same(found, wanted, *, factor=1.0):
    """The same operators, whatever the order of pairs, to the last bit."""
    assert found.basis.shells == wanted.basis.shells
    assert set(found.operators) == set(wanted.operators)
    for name, matrix in wanted.operators.items():
        full = matrix.complete()
        aligned, missing, extra = found.operators[name].align(full.pair_index, full.pair_shift)
        assert len(missing) == len(extra) == 0
        np.testing.assert_array_equal(aligned.values, full.values * (factor if name == "hamiltonian" else 1.0))


@pytest.mark.real_files
def test_legacy_and_new_layout_are_the_same_to_the_bit(real_files):
    chosen, evidence = detect_format(real_files / "deeph_pairs/MoTe2_legacy")
    assert chosen.name == "deeph-legacy"
    assert evidence == ["element.dat", "lat.dat", "orbital_types.dat", "site_positions.dat"]
    legacy, new = (
        read_structure(real_files / "deeph_pairs/MoTe2_legacy"),
        read_new(real_files / "deeph_pairs/MoTe2_new"),
    )
    assert_same(legacy, new)
    assert legacy.atoms.get_chemical_symbols() == new.atoms.get_chemical_symbols() == ["Te", "Te", "Mo"]
    np.testing.assert_allclose(legacy.atoms.positions, new.atoms.positions, atol=1e-14)
    np.testing.assert_allclose(legacy.atoms.cell.array, new.atoms.cell.array, atol=1e-14)
    assert legacy.info.fermi_level == new.info.fermi_level == -4.1934752874697425


@pytest.mark.real_files
def test_another_release_of_it_is_shifted_by_a_multiple_of_the_overlap(real_files):
    legacy, bands = (
        read_structure(real_files / "deeph_pairs/MoTe2_legacy"),
        read_new(real_files / "deeph_new/MoTe2_bands"),
    )
    difference = bands.operators["hamiltonian"] - legacy.operators["hamiltonian"]
    overlap = legacy.operators["overlap"].align(difference.pair_index, difference.pair_shift)[0].values
    shift = difference.values @ overlap / (overlap @ overlap)
    assert shift == pytest.approx(13.0882, abs=5e-5)
    assert np.abs(difference.values - shift * overlap).max() < 1e-6
    np.testing.assert_allclose(bands.operators["overlap"].align(
        legacy.operators["overlap"].pair_index, legacy.operators["overlap"].pair_shift
    )[0].values, legacy.operators["overlap"].values, atol=1e-12)  # fmt: skip


@pytest.mark.real_files
def test_real_structure_round_trip_to_the_bit(real_files, tmp_path):
    sample = read_structure(real_files / "deeph_pairs/MoTe2_legacy")
    write_samples([sample], tmp_path, "deeph-legacy")
    back = read_structure(tmp_path / "MoTe2_legacy")
    assert_same(back, sample)
    assert back.info == sample.info
    for name, matrix in sample.operators.items():  # even the order of pairs
        np.testing.assert_array_equal(back.operators[name].pair_index, matrix.pair_index)
        np.testing.assert_array_equal(back.operators[name].pair_shift, matrix.pair_shift)
    np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
    np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
    old, new = real_files / "deeph_pairs/MoTe2_legacy", tmp_path / "MoTe2_legacy"
    for file in ("element.dat", "lat.dat", "orbital_types.dat", "site_positions.dat", "rlat.dat"):
        np.testing.assert_allclose(np.loadtxt(new / file), np.loadtxt(old / file), atol=1e-14)
    with h5py.File(old / "hamiltonians.h5") as a, h5py.File(new / "hamiltonians.h5") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name][()], b[name][()])


def test_sample_new_legacy_sample_to_the_bit(crystals, molecules, tmp_path):
    for dataset in (crystals, molecules):
        first = dataset.sample("s03")
        folder = tmp_path / first.info.energy_unit
        write_samples([first], folder / "new", "deeph-new")
        new = next(read_samples(folder / "new"))
        write_samples([new], folder / "legacy", "deeph-legacy")
        legacy = next(read_samples(folder / "legacy"))
        assert_same(legacy, new)
        write_samples([first], folder / "direct", "deeph-legacy")
        factor = HARTREE_EV if first.info.energy_unit == "Hartree" else 1.0
        assert_same(next(read_samples(folder / "direct")), first, factor=factor)


def test_operators_keep_pairs_of_their_own(crystals, tmp_path):
    sample = crystals.sample("s00")
    overlap = sample.operators["overlap"].complete()
    few = overlap.take(np.flatnonzero(overlap.onsite))
    write_samples([replace(sample, operators=sample.operators | {"overlap": few})], tmp_path, "deeph-legacy")
    back = read_structure(tmp_path / "s00")
    assert back.operators["overlap"].n_pairs == 2
    assert back.operators["hamiltonian"].n_pairs == sample.operators["hamiltonian"].complete().n_pairs


def test_existing_folder_and_bad_id_are_refused(crystals, tmp_path):
    write_samples([crystals.sample("s00")], tmp_path, "deeph-legacy")
    with pytest.raises(DataError, match="structure 's00': .* exists already"):
        write_samples([crystals.sample("s00")], tmp_path, "deeph-legacy")
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        write_samples([replace(crystals.sample("s00"), id="a/b")], tmp_path, "deeph-legacy")
    assert [path.name for path in tmp_path.iterdir()] == ["s00"]


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("info.json", lambda t: t.replace('"isspinful": false', '"isspinful": true'), "key 'isspinful': true"),
        ("info.json", lambda t: t.replace("3", "4", 1), "key 'nsites': says 4, element.dat has 3 atoms"),
        ("info.json", lambda t: t[:-3], "not readable as JSON"),
        ("element.dat", lambda t: "52\n52\n420\n", "must hold one atomic number a line"),
        ("element.dat", lambda t: "52\n52\nMo\n", "not readable as a table of numbers"),
        ("lat.dat", lambda t: t.replace("\n", " "), "has 1 rows of 9 numbers, must be 3 of 3"),
        ("site_positions.dat", lambda t: t.replace("1.8723", "nan"), "not finite|not readable as a table"),
        ("orbital_types.dat", lambda t: t.replace("0 ", "1 ", 1), "another Te has"),
        ("orbital_types.dat", lambda t: t + t, "has 6 rows, element.dat has 3 atoms"),
    ],
)
def test_wrong_texts_are_named(mote2, file, change, message):
    (mote2 / file).write_text(change((mote2 / file).read_text()))
    with pytest.raises(DataError, match=message) as caught:
        read_structure(mote2)
    assert str(caught.value).startswith(f"{mote2 / file}: structure 'MoTe2'")


def rename(old, new):
    return lambda source: source.move(old, new)


def replaced(value):
    def change(source):
        block = value(source["[0, 0, 0, 1, 2]"][()])
        del source["[0, 0, 0, 1, 2]"]
        source["[0, 0, 0, 1, 2]"] = block

    return change


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename("[0, 0, 0, 1, 2]", "[0, 0, 0, 1, 4]"), r"key '\[0, 0, 0, 1, 4\]': atom numbers must lie in 1..3"),
        (rename("[0, 0, 0, 1, 2]", "[0,0,0,1,1]"), "a pair occurs more than once"),
        (rename("[0, 0, 0, 1, 2]", "0_0_0_1_2"), "dataset names must look like"),
        (rename("[0, 0, 0, 1, 2]", "[0, 0, 1, 2]"), "dataset names must"),
        (replaced(lambda b: b[:18]), r"is \(18, 19\) of float64, the shells of its atoms make it \(19, 19\)"),
        (replaced(lambda b: np.kron(np.eye(2), b).astype(complex)), r"is \(38, 38\) of complex128"),
        (replaced(lambda b: b * np.nan), r"361 of 47291 values are NaN or infinite, the first in block i=0 j=1"),
        (replaced(lambda b: b + 1), r"not Hermitian: block i=. j=. R=\(0, 0, 0\) .* differ by 1 "),
    ],
)
def test_wrong_blocks_are_named(mote2, change, message):
    with h5py.File(mote2 / "hamiltonians.h5", "r+") as source:
        change(source)
    with pytest.raises(DataError, match=message) as caught:
        read_structure(mote2)
    assert str(caught.value).startswith(f"{mote2 / 'hamiltonians.h5'}: structure 'MoTe2'")


@pytest.mark.real_files
def test_missing_and_truncated_matrices(mote2):
    data = (mote2 / "overlaps.h5").read_bytes()
    (mote2 / "overlaps.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"overlaps.h5: structure 'MoTe2': not readable as HDF5"):
        read_structure(mote2)
    for file in ("overlaps.h5", "hamiltonians.h5"):
        (mote2 / file).unlink()
    with pytest.raises(DataError, match="none of hamiltonians.h5, overlaps.h5, density_matrixs.h5 is there"):
        read_structure(mote2)
    with pytest.raises(DataError, match="no folder with element.dat"):
        read_samples(mote2 / "nothing", "deeph-legacy")


def test_texts_hold_columns(crystals, tmp_path):
    sample = crystals.sample("s07")
    write_samples([sample], tmp_path, "deeph-legacy")
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "s07/lat.dat"), sample.atoms.cell.array.T)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "s07/site_positions.dat"), sample.atoms.positions.T)
    product = np.loadtxt(tmp_path / "s07/rlat.dat").T @ np.loadtxt(tmp_path / "s07/lat.dat")
    np.testing.assert_allclose(product, 2 * np.pi * np.eye(3), atol=1e-12)
    info = json.loads((tmp_path / "s07/info.json").read_text())
    assert info == {"nsites": 2, "isorthogonal": False, "isspinful": False, "norbits": 14}
