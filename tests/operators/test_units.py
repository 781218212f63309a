"""Unit factors against constants of another source (scipy's CODATA table)."""

import pytest
from scipy import constants

from slembench.operators.units import BOHR_ANGSTROM, ENERGY_UNITS, HARTREE_EV, energy_factor


def test_constants_agree_with_the_codata_table_of_scipy():
    table = constants.physical_constants
    assert pytest.approx(table["Hartree energy in eV"][0], rel=1e-10) == HARTREE_EV
    assert pytest.approx(table["Bohr radius"][0] * 1e10, rel=1e-9) == BOHR_ANGSTROM
    assert pytest.approx(table["Rydberg constant times hc in eV"][0], rel=1e-10) == ENERGY_UNITS["Ry"]


def test_energy_factor_there_and_back():
    for source in ENERGY_UNITS:
        assert energy_factor(source, source) == 1.0
        for target in ENERGY_UNITS:
            assert energy_factor(source, target) * energy_factor(target, source) == pytest.approx(1.0, rel=1e-15)
    assert energy_factor("eV", "meV") == pytest.approx(1000.0)


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match=r"unknown energy unit 'ev'; use one of eV, Hartree, Ry, meV"):
        energy_factor("ev", "Hartree")
