"""The shipped sets of bulk crystals and graphene: complete, within their size, physics from the stored values alone."""

import numpy as np
import pytest
import scipy.linalg

from slembench.data import load_dataset
from slembench.data.readme import dataset_readme
from slembench.data.recipes.verify import crystal_density_error, crystal_electrons_error

MEGABYTES = {"si-mini": 6, "hfo2-mini": 7.5, "gan-mini": 6, "graphene-mini": 5}
NAMES = tuple(MEGABYTES)
WITH_DENSITY = ("si-mini", "hfo2-mini", "gan-mini")
SMALLEST_GAP = {"si-mini": 0.2, "hfo2-mini": 3.0, "gan-mini": 1.0}
"""eV; between the bands at a few k points of a displaced structure, below what this level gives for the crystal."""
KPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [0.13, 0.29, 0]])


@pytest.fixture(scope="module")
def sets():
    return {name: load_dataset(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_card_fits_data_and_readme(sets, name):
    data = sets[name]
    (data_file,) = data.card.origin.files
    assert (data.root / "README.md").read_text() == dataset_readme(data.card, data.root / data_file)
    assert sum(path.stat().st_size for path in data.root.rglob("*") if path.is_file()) < MEGABYTES[name] * 1e6
    assert data.card.checks["structures_verified"] == len(data)
    assert data.card.checks["max_eigenvalue_error_meV"] < 1
    assert ("density" in data.card.operators) == (name in WITH_DENSITY)
    assert data.card.numerical_noise["hamiltonian_mean_abs_eV"] < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_nothing_and_leave_nothing_out(sets, name):
    data = sets[name]
    together = [identifier for split in data.splits for identifier in data.split(split)]
    assert sorted(together) == sorted(data.ids)
    assert len(set(together)) == len(together)
    partitions = [data.partition(percent) for percent in (20, 40, 60, 80, 100)]
    assert all(set(small) < set(large) for small, large in zip(partitions, partitions[1:], strict=False))


def test_shells(sets):
    assert sets["hfo2-mini"].basis.lmax == 3
    assert [sets[name].basis.lmax for name in ("si-mini", "gan-mini", "graphene-mini")] == [2, 2, 2]


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_density_is_that_of_the_stored_operators(sets, name):
    data = sets[name]
    sample = data.sample(data.split("test")[0])
    mesh = data.card.level_of_theory.kmesh_ft
    mesh = next(iter(mesh.values())) if isinstance(mesh, dict) else mesh
    assert crystal_electrons_error(sample) < 1e-3
    assert crystal_density_error(sample, mesh) < 2e-3
    largest = np.abs(sample.operators["density"].values).max()
    assert 0.5 < largest < 3


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_insulators_have_a_gap_at_the_fermi_level(sets, name):
    data = sets[name]
    sample = data.sample(data.split("val")[0])
    occupied, level = round(sample.info.electrons / 2), sample.info.fermi_level
    bloch = (sample.operators[key].at_k(KPOINTS) for key in ("hamiltonian", "overlap"))
    energies = np.array([scipy.linalg.eigvalsh(h, s) for h, s in zip(*bloch, strict=True)])
    assert ((energies < level).sum(axis=1) == occupied).all()
    assert (energies[:, occupied] - energies[:, occupied - 1]).min() > SMALLEST_GAP[name]


def test_cones_of_graphene_meet_near_k(sets):
    """At K of the unit cell, folded into the 2x2 cell, two bands come close at the Fermi level; not at Gamma."""
    data = sets["graphene-mini"]
    sample = next(s for s in data.iterate(data.split("test")) if len(s.atoms) == 8)
    occupied = round(sample.info.electrons / 2)
    points = np.array([[2 / 3, 2 / 3, 0], [0, 0, 0]])  # twice K of the primitive cell, and Gamma
    bloch = (sample.operators[key].at_k(points) for key in ("hamiltonian", "overlap"))
    energies = np.array([scipy.linalg.eigvalsh(h, s) for h, s in zip(*bloch, strict=True)])
    gap = energies[:, occupied] - energies[:, occupied - 1]
    assert gap[0] < 1.0 < 0.5 * gap[1]
    assert energies[0, occupied - 1 : occupied + 1].mean() == pytest.approx(sample.info.fermi_level, abs=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_overlap_decays_with_distance(sets, name):
    data = sets[name]
    sample = data.sample(data.split("test")[0])
    overlap = sample.operators["overlap"]
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    largest = np.maximum.reduceat(np.abs(overlap.values), overlap.offsets[:-1])
    near, far = (largest[(length > a) & (length <= b)].max() for a, b in ((1.0, 3.0), (5.5, 6.5)))
    assert near > 20 * far


def test_kinds_of_structures(sets):
    assert all(name.startswith("si-600k") for name in sets["si-mini"].split("test_600k"))
    sizes = {len(sample.atoms) for sample in sets["graphene-mini"].iterate(sets["graphene-mini"].split("test_3x3"))}
    assert sizes == {18}


def test_hot_silicon_is_displaced_further(sets):
    data = sets["si-mini"]

    def spread(split):
        bonds = [
            np.sort(sample.atoms.get_all_distances(mic=True), axis=1)[:, 1:5]
            for sample in data.iterate(data.split(split))
        ]
        return np.std(bonds)

    assert spread("test_600k") > 1.1 * spread("test")
