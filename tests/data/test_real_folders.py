"""Every folder of the third-party files: what it is told to be, what is in it, and converting it."""

import h5py
import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.convert import Source, convert
from slembench.data.formats import detect_format, read_samples
from slembench.data.inspection import inspect_path

pytestmark = pytest.mark.real_files

FOLDERS = {
    "abacus/MoS2_deeph": ("deeph-new", 1, ["MoS2"], None, None),
    "abacus/MoS2_raw": ("abacus", 1, ["MoS2"], None, 26),
    "deeph_new/MoTe2_bands": ("deeph-new", 1, ["MoTe2"], None, 46),
    "deeph_new/benzene": ("deeph-new", 3, ["C6H6"], None, None),
    "deeph_new/ethanol": ("deeph-new", 4, ["C2H6O"], None, 20),
    "deeph_new/water": ("deeph-new", 6, ["H2O"], None, None),
    "deeph_new/water_predicted/predicted": ("deeph-new", 6, ["H2O"], None, None),
    "deeph_new/water_predicted/reference": ("deeph-new", 6, ["H2O"], 8, None),
    "deeph_new/water_rotated": ("deeph-new", 4, ["H2O"], None, None),
    "deeph_pairs/MoTe2_legacy": ("deeph-legacy", 1, ["MoTe2"], None, None),
    "deeph_pairs/MoTe2_new": ("deeph-new", 1, ["MoTe2"], None, None),
    "deeptb/CH4_lmdb": ("deeptb-lmdb", 2, ["CH4"], None, None),
    "deeptb/Si64": ("deeptb", 1, ["Si64"], None, None),
    "qh9_lmdb": (
        "qh9",
        10,
        ["C4H6N2O2", "C6H10N2O", "C6H10O3", "C6H12O3", "C6H3NO2", "C6H8N2O", "C7H13NO", "C7H14O2", "C8H10O", "C8H9N"],
        None,
        70,
    ),
    "siesta/H2O_dimer": ("siesta", 1, ["H4O2"], 16, 16),
    "siesta/Si_deeph": ("deeph-new", 1, ["Si2"], None, None),
    "siesta/Si_raw": ("siesta", 1, ["Si2"], 8, 8),
    "siesta/SrTiO3": ("siesta", 1, ["O3SrTi"], 40, 40),
}
"""Folder -> format, structures, formulas, Tr(DS) where D is there, electrons that the first structure states."""

MIXED = ("abacus", "deeph_pairs", "deeptb", "siesta")
"""Folders of folders of more than one format."""


@pytest.mark.parametrize("path", FOLDERS)
def test_inspect(real_files, path):
    name, count, formulas, electrons, stated = FOLDERS[path]
    found = inspect_path(real_files / path, limit=20)
    assert (found.format.name, len(found.structures), found.more) == (name, count, False)
    assert sorted({structure.formula for structure in found.structures}) == formulas
    for structure in found.structures:
        assert structure.electrons == (None if electrons is None else pytest.approx(electrons, abs=1e-8))
        assert structure.overlap_minimum is None or structure.overlap_minimum > 5e-6
    assert found.structures[0].stated_electrons == stated


@pytest.mark.parametrize("path", FOLDERS)
def test_convert_to_parquet_and_back(real_files, tmp_path, path):
    """Every structure comes back to the bit."""
    source, out = Source(real_files / path), tmp_path / "out.parquet"
    assert convert(source, "parquet", out) == []
    wanted = {sample.id: sample for sample in source}
    assert len(wanted) == source.count == FOLDERS[path][1]
    for back in read_samples(out):
        sample = wanted.pop(back.id)
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
        np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
        assert back.info.energy_unit == sample.info.energy_unit
        assert set(back.operators) == set(sample.operators)
        for name, operator in sample.operators.items():
            found = back.operators[name].complete()
            aligned, missing, extra = found.align(operator.pair_index, operator.pair_shift)
            # one triangle is stored: where the two differ by rounding, the other one comes back as its mirror image
            tolerance = operator.hermiticity_error()
            assert np.abs(aligned.values - operator.values).max() <= tolerance
            assert not len(missing)
            assert not found.take(extra).values.any()
    assert not wanted


def test_no_folder_is_left_out(real_files):
    """Whatever folder holds files is, or lies in, one of the table, and is told to be of that format by itself."""
    for folder in sorted({file.parent for file in real_files.rglob("*") if file.is_file()} - {real_files}):
        name = str(folder.relative_to(real_files))
        (row,) = [row for path, row in FOLDERS.items() if f"{name}/".startswith(f"{path}/")]
        assert detect_format(folder)[0].name == row[0]


@pytest.mark.parametrize("name", MIXED)
def test_mixed_folders_name_what_can_be_read_by_itself(real_files, name):
    with pytest.raises(DataError, match="more than one format is possible") as caught:
        inspect_path(real_files / name)
    for path, row in FOLDERS.items():
        if path.startswith(f"{name}/"):
            assert f"{real_files / path} ({row[0]})" in str(caught.value)


def test_folders_too_deep_are_named(real_files, copy_of_tree):
    root = copy_of_tree(real_files / "deeph_new/water/4990", "a/b/c")
    with pytest.raises(DataError, match=r"none of the known formats .*; deeper in there are: \S+/a \(deeph-new\)"):
        inspect_path(root)


@pytest.fixture
def copy_of_tree(tmp_path):
    """Function that links a folder's files into a place below a root, which it returns."""

    def copy(source, place):
        target = tmp_path / "root" / place
        target.mkdir(parents=True)
        for file in source.iterdir():
            (target / file.name).symlink_to(file)
        return tmp_path / "root"

    return copy


def test_predictions_find_their_geometry(real_files, copy_of_tree):
    waters = real_files / "deeph_new/water_predicted"
    reference = {sample.id: sample for sample in read_samples(waters / "reference")}
    errors = []
    for sample in read_samples(waters / "predicted"):
        wanted = reference.pop(sample.id)
        np.testing.assert_array_equal(sample.atoms.positions, wanted.atoms.positions)
        assert list(sample.operators) == ["hamiltonian"]
        difference = wanted.operators["hamiltonian"] - sample.operators["hamiltonian"]
        assert difference.n_pairs == 9
        errors.append(np.mean([np.abs(difference.gather(np.array([pair]))).mean() for pair in range(9)]))
    assert not reference
    assert (min(errors), max(errors)) == pytest.approx((0.74, 1.62), abs=5e-3)  # eV, every block counting alike
    lines = (inspect_path(waters / name, limit=1).notes for name in ("", "reference", "predicted"))
    assert list(lines) == [
        [f"6 folder(s) that hold a prediction alone are left out; to read them give {waters / 'predicted'}"],
        [],
        ["predicted Hamiltonian (hamiltonian_pred.h5) of 6 structure(s)"],
    ]
    root = copy_of_tree(waters / "predicted/138", "predicted/138")
    with pytest.raises(
        DataError, match=r"138: has no POSCAR and info.json, nor has the folder above .* put a copy of bot"
    ):
        inspect_path(root / "predicted")
    for name in ("first", "second"):
        copy_of_tree(waters / "reference/138", f"{name}/138")
        if name == "first":
            assert inspect_path(root / "predicted").structures[0].formula == "H2O"
    with pytest.raises(
        DataError, match=r"138: has no POSCAR and info.json, and more than one may be its: .*first.*second"
    ):
        inspect_path(root / "predicted")
    copy_of_tree(waters / "reference/138", "predicted/138/dft")
    (copied,) = (root / "predicted/138").glob("*.h5")
    copied.rename(root / "predicted/138/dft" / copied.name)
    (structure,) = inspect_path(root / "predicted").structures
    assert structure.electrons == pytest.approx(8)  # the calculation's own files come first


def test_density_of_water_is_that_of_its_hamiltonian(real_files):
    for sample in read_samples(real_files / "deeph_new/water_predicted/reference"):
        h, s, d = (sample.operators[name].dense() for name in ("hamiltonian", "overlap", "density"))
        _, c = scipy.linalg.eigh(h, s)
        np.testing.assert_allclose(2 * c[:, :4] @ c[:, :4].T, d, atol=1e-13)


def test_overlaps_of_silicon_are_a_strict_subset_of_the_pairs(real_files):
    folder = real_files / "deeptb/Si64/Si64.0"
    with h5py.File(folder / "hamiltonians.h5") as h, h5py.File(folder / "overlaps.h5") as s:
        assert set(s["0"]) < set(h["0"])
    (sample,) = read_samples(folder)
    hamiltonian, overlap = (sample.operators[name] for name in ("hamiltonian", "overlap"))
    assert set(overlap.pair_keys().tolist()) < set(hamiltonian.pair_keys().tolist())
