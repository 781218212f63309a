"""The shipped data set: complete, within its size, and physics that follows from the stored values alone."""

import numpy as np
import pytest
import scipy.linalg

from slembench.data import load_dataset
from slembench.data.readme import dataset_readme

MEGABYTES = 16


@pytest.fixture(scope="module")
def mos2():
    return load_dataset("mos2-mini")


def test_enough_structures_for_its_purpose(mos2):
    sizes = {name: len(mos2.split(name)) for name in mos2.splits}
    assert sizes["test"] >= 20
    assert sizes["test_3x3"] >= 3
    assert [len(mos2.partition(percent)) for percent in (100, 80, 60, 40, 20)] == [
        round(sizes["train"] * percent / 100) for percent in (100, 80, 60, 40, 20)
    ]
    for name in mos2.splits:
        cells = {len(sample.atoms) for sample in mos2.iterate(mos2.split(name))}
        assert cells == ({27} if name == "test_3x3" else {12})
    assert mos2.basis.lmax >= 2


def test_small_enough_to_ship_and_unchanged(mos2):
    assert sum(path.stat().st_size for path in mos2.root.rglob("*") if path.is_file()) < MEGABYTES * 1e6
    assert len(mos2.fingerprint) == 64


def test_readme_is_that_of_the_card(mos2):
    (data_file,) = mos2.card.origin.files
    assert (mos2.root / "README.md").read_text() == dataset_readme(mos2.card, mos2.root / data_file)


def test_checks_of_the_card_are_within_their_limits(mos2):
    checks = mos2.card.checks
    assert checks["structures_verified"] == len(mos2)
    assert checks["max_eigenvalue_error_meV"] < 1
    assert checks["max_electrons_error"] < 1e-3


def test_values_are_multiples_of_the_quanta_on_the_card(mos2):
    sample = mos2.sample(mos2.split("val")[0])
    for name, quantum in mos2.card.rounding.items():
        multiples = sample.operators[name].values / quantum
        assert np.array_equal(multiples, np.round(multiples))
        assert not np.array_equal(multiples / 2, np.round(multiples / 2))


@pytest.mark.parametrize("split", ["train", "test_3x3"])
def test_occupied_bands_lie_below_the_fermi_level(mos2, split):
    """Half as many levels as electrons lie below it at every k point, half a volt of gap above: an insulator."""
    sample = mos2.sample(mos2.split(split)[0])
    occupied, level = round(sample.info.electrons / 2), sample.info.fermi_level
    kpoints = np.array([[0, 0, 0], [0.5, 0, 0], [0.13, 0.29, 0]])
    bloch = (sample.operators[name].at_k(kpoints) for name in ("hamiltonian", "overlap"))
    energies = np.array([scipy.linalg.eigvalsh(h, s) for h, s in zip(*bloch, strict=True)])
    assert ((energies < level).sum(axis=1) == occupied).all()
    assert energies[:, occupied].min() - energies[:, occupied - 1].max() > 0.5


def test_overlap_decays_with_distance(mos2):
    sample = mos2.sample(mos2.split("test")[0])
    overlap = sample.operators["overlap"]
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    largest = np.maximum.reduceat(np.abs(overlap.values), overlap.offsets[:-1])
    near, middle, far = (largest[(length > a) & (length <= a + 1.5)].max() for a in (3.0, 4.5, 6.0))
    assert near > 10 * middle > 100 * far


def test_reading_is_float64_and_without_a_copy(mos2):
    values = mos2.sample(mos2.ids[0]).operators["hamiltonian"].values
    assert values.dtype == np.float64
    assert not values.flags.owndata
