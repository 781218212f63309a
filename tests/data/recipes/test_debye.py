"""Displacements of the Debye model against the oscillators it is made of."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from slembench.data.recipes.displacements import debye_amplitude, debye_displacement

HBAR, BOLTZMANN, DALTON = 1.054571817e-34, 1.380649e-23, 1.66053906892e-27


@pytest.mark.parametrize(
    ("mass", "debye", "temperature"), [(28.0, 640.0, 300.0), (16.0, 700.0, 50.0), (178.0, 300.0, 900.0)]
)
def test_amplitude_is_the_mean_over_the_debye_spectrum(mass, debye, temperature):
    """<u^2> = integral of g(w) hbar / (2 m w) coth(hbar w / 2 k T), g = 3 w^2 / w_D^3, by the midpoint rule."""
    top = BOLTZMANN * debye / HBAR
    omega = (np.arange(20_000) + 0.5) / 20_000 * top
    oscillator = HBAR / (2 * mass * DALTON * omega) / np.tanh(HBAR * omega / (2 * BOLTZMANN * temperature))
    expected = np.sqrt((3 * omega**2 / top**3 * oscillator).mean() * top) * 1e10
    assert debye_amplitude(mass, debye, temperature) == pytest.approx(expected, rel=1e-6)


def test_draws_have_that_spread_element_by_element_and_keep_the_centre_of_mass():
    atoms: Atoms = bulk("GaN", "wurtzite", a=3.2, c=5.2).repeat((4, 4, 2))
    draws = np.array([debye_displacement(atoms, {"Ga": 400.0, "N": 850.0}, 300.0, seed) for seed in range(100)])
    symbols = np.array(atoms.get_chemical_symbols())
    for symbol, mass, debye in (("Ga", 69.723, 400.0), ("N", 14.007, 850.0)):
        spread = draws[:, symbols == symbol].std()
        assert spread == pytest.approx(debye_amplitude(mass, debye, 300.0), rel=0.05)
    np.testing.assert_allclose(atoms.get_masses() @ draws.transpose(1, 0, 2).reshape(len(atoms), -1), 0, atol=1e-10)
