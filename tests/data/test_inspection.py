"""What inspection says of made-up and of real files, against plain NumPy and the numbers that their origin states."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import write_samples
from slembench.data.inspection import inspect_path, inspect_sample

REAL = {
    "deeph_new/water": ("deeph-new", "eV", {"H": "2s1p", "O": "2s2p1d"}),
    "deeph_new/MoTe2_bands": ("deeph-new", "eV", {"Mo": "3s2p2d", "Te": "3s2p2d"}),
    "deeph_pairs/MoTe2_legacy": ("deeph-legacy", "eV", {"Mo": "3s2p2d", "Te": "3s2p2d"}),
    "abacus/MoS2_raw": ("abacus", "eV", {"S": "2s2p1d", "Mo": "4s2p2d1f"}),
    "siesta/SrTiO3": ("siesta", "eV", None),
    "deeptb/CH4_lmdb": ("deeptb-lmdb", "Hartree", {"H": "3s1p", "C": "5s4p1d"}),
    "qh9_lmdb": ("qh9", "Hartree", None),
}


@pytest.mark.real_files
@pytest.mark.parametrize("path", REAL)
def test_real_files(real_files, path):
    name, unit, shells = REAL[path]
    found = inspect_path(real_files / path, limit=2)
    assert (found.format.name, found.energy_unit) == (name, unit)
    assert found.reasons
    assert found.structures[0].levels.startswith(f"{unit}: ")
    if shells is not None:
        assert found.shells == shells
    for structure in found.structures:
        assert structure.overlap_minimum is None or structure.overlap_minimum > 0
        for operator in structure.operators.values():
            assert operator.hermiticity_error <= 1e-4 * operator.largest
            assert 1 < operator.reach < 20


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("path", "electrons"),
    [("siesta/SrTiO3", 40), ("siesta/H2O_dimer", 16), ("siesta/Si_raw", 8), ("deeph_new/water_predicted", 8)],
)
def test_electrons_of_real_files(real_files, path, electrons):
    assert inspect_path(real_files / path, limit=1).structures[0].electrons == pytest.approx(electrons, abs=1e-4)


@pytest.mark.real_files
def test_more_than_one_format(real_files):
    with pytest.raises(DataError, match="more than one format is possible: .*deeph-new.*abacus.*name the one"):
        inspect_path(real_files / "abacus")
    assert inspect_path(real_files / "abacus", "abacus").reasons == ["given"]
    found = inspect_path(real_files / "qh9_lmdb", limit=1, overlap=True).structures[0]
    assert found.overlap_minimum == pytest.approx(8e-4, abs=8e-4)
    assert set(found.operators) == {"hamiltonian", "overlap"}


def test_numbers_of_a_crystal(crystals):
    sample = crystals.sample("s00")
    found = inspect_sample(sample)
    assert (found.id, found.formula, found.atoms, found.orbitals, found.periodic) == ("s00", "BN", 2, 14, "ab")
    overlap, hamiltonian = sample.operators["overlap"], sample.operators["hamiltonian"].complete()
    lowest = min(np.linalg.eigvalsh(overlap.at_k(np.array(k))[0]).min() for k in ((0, 0, 0), (0.31, 0.17, 0.44)))
    assert found.overlap_minimum == pytest.approx(lowest, abs=1e-12)
    report = found.operators["hamiltonian"]
    assert report.pairs == hamiltonian.n_pairs
    assert report.largest == np.abs(hamiltonian.values).max()
    length = np.linalg.norm(hamiltonian.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    assert report.reach == pytest.approx(length.max())
    assert report.hermiticity_error == 0
    assert (found.electrons, found.stated_electrons) == (None, 8.0)


def test_blocks_of_zeros_do_not_reach(crystals):
    from dataclasses import replace

    sample = crystals.sample("s00")
    matrix = sample.operators["overlap"].complete()
    length = np.linalg.norm(matrix.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    short = matrix.with_values(np.where(length[matrix.element_pair] < 2.0, matrix.values, 0.0))
    found = inspect_sample(replace(sample, operators={"overlap": short}))
    assert found.operators["overlap"].reach == pytest.approx(length[length < 2.0].max())
    assert found.levels == "no Hamiltonian"


def test_electrons_are_the_trace_of_ds(molecules):
    sample = molecules.sample("s01")
    density, overlap = (sample.operators[name].dense() for name in ("density", "overlap"))
    assert inspect_sample(sample).electrons == pytest.approx(np.trace(density @ overlap), abs=1e-10)


def test_limit(tmp_path, crystals):
    write_samples([crystals.sample(name) for name in crystals.ids[:3]], tmp_path, "deeptb")
    assert (len(inspect_path(tmp_path, limit=2).structures), inspect_path(tmp_path, limit=2).more) == (2, True)
    found = inspect_path(tmp_path, limit=3)
    assert (len(found.structures), found.more) == (3, False)
    assert found.shells == {"B": "2s1p", "N": "1s1p1d"}
    assert found.notes[0] == "3 folder(s) of frames"
