"""Thermal displacements of a harmonic toy crystal whose spread is known in closed form."""

import numpy as np
import pytest
from ase import Atoms

from slembench.core.errors import DataError
from slembench.data.recipes import displacements

pytest.importorskip("phonopy", reason="phonopy is not installed (pip install slembench[recipes])")

SPRING = 5.0  # eV / Angstrom^2, to each of six neighbours along the bond and across it alike
PBC = (True, True, True)


@pytest.fixture
def chain():
    return Atoms("Ar", positions=[[0, 0, 0]], cell=[3.0, 3.0, 3.0], pbc=PBC)


def spring_forces(displaced, rest, spring):
    """Isotropic springs between nearest neighbours of a 2 x 2 x 2 simple cubic lattice."""
    moved = displaced.positions - rest.positions
    moved -= np.rint(moved @ np.linalg.inv(rest.cell.array)) @ rest.cell.array
    apart = rest.get_all_distances(mic=True)
    neighbours = 2 * (np.abs(apart - 3.0) < 1e-6)  # both images
    return -spring * (neighbours.sum(1)[:, None] * moved - neighbours @ moved)


def with_springs(cell, spring):
    phonons = displacements.supercell_phonons(cell, (2, 2, 2))
    rest = displacements.supercell(phonons, PBC)
    forces = [spring_forces(moved, rest, spring) for moved in displacements.finite_displacements(phonons, PBC)]
    return phonons, displacements.set_forces(phonons, forces)


def test_frequencies_are_those_of_the_springs(chain):
    _, frequencies = with_springs(chain, SPRING)
    expected = np.sqrt(12 * SPRING * 1.602176634e-19 * 1e20 / (chain.get_masses()[0] * 1.66053906892e-27))
    assert frequencies.max() == pytest.approx(expected / (2 * np.pi * 1e12), rel=1e-3)


def test_draws_repeat_with_their_seed_and_differ_otherwise(chain):
    phonons, _ = with_springs(chain, SPRING)
    first, again, other = (displacements.thermal_displacement(phonons, 300, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first.mean(axis=0)).max() < 1e-10  # no rigid shift


def test_spread_is_that_of_the_quantum_oscillators(chain):
    phonons, frequencies = with_springs(chain, SPRING)
    draws = np.array([displacements.thermal_displacement(phonons, 300, seed) for seed in range(400)])
    omega = 2 * np.pi * 1e12 * frequencies[frequencies > displacements.MIN_FREQUENCY_THZ]
    hbar, boltzmann, mass = 1.054571817e-34, 1.380649e-23, chain.get_masses()[0] * 1.66053906892e-27
    variance = hbar / (2 * mass * omega) / np.tanh(hbar * omega / (2 * boltzmann * 300)) * 1e20
    assert (draws**2).mean() == pytest.approx(variance.sum() / (3 * 8), rel=0.05)


def test_imaginary_modes_are_refused(chain):
    with pytest.raises(DataError, match="imaginary"):
        with_springs(chain, -SPRING)
