"""Densities of states hold as many states as there are, wherever their zero lies."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.inference.spectra import Spectrum, density_of_states, insulating, mesh_of, spectrum
from slembench.metrics.spectrum import fill


def made_up(shift, gap):
    eps = shift + np.array([[-3.0, -1.0, -1.0 + gap, 2.0 + gap], [-2.0, -0.5, -0.5 + gap, 3.0 + gap]])
    weights = np.array([0.25, 0.75])
    return Spectrum(eps, weights, fill(eps, weights, 4.0), 2)


@pytest.mark.parametrize("unit", ["eV", "Hartree"])
def test_states_and_gap(unit):
    scale = 1.0 if unit == "eV" else 1 / 27.211386245981
    spectra = [made_up(shift, 2.0) for shift in (0.0, 5.0)]
    spectra = [Spectrum(s.eps * scale, s.weights, fill(s.eps * scale, s.weights, 4.0), 2) for s in spectra]
    assert insulating(spectra, unit)
    dos = density_of_states(spectra, unit, True)
    assert np.trapezoid(dos.density, dos.energy) == pytest.approx(2 * 4 / 2, rel=1e-3)
    occupied = dos.energy < dos.edges[1] / 2
    assert np.trapezoid(dos.density[occupied], dos.energy[occupied]) == pytest.approx(2 * 2 / 2, rel=1e-3)
    assert dos.edges == pytest.approx((0.0, 1.5 * scale))


def test_a_metal_is_measured_from_the_fermi_level():
    metal = made_up(1.0, 0.2)
    assert not insulating([metal], "eV")
    dos = density_of_states([metal], "eV", False)
    assert dos.edges == (0.0, 0.0)


def test_levels_of_a_stored_structure(crystals):
    sample = crystals.sample(crystals.ids[0])
    own = spectrum(crystals.card, sample.operators["hamiltonian"], sample.operators["overlap"], sample.info.electrons)
    kpoints, weights = mesh_of(crystals.card)
    h, s = (sample.operators[name].at_k(kpoints[1:2])[0] for name in ("hamiltonian", "overlap"))
    assert own.eps[1] == pytest.approx(np.sort(np.linalg.eigvals(np.linalg.solve(s, h)).real))
    assert own.filling.occupied == 4
    assert weights.sum() == pytest.approx(1)


def test_no_electrons(crystals):
    sample = crystals.sample(crystals.ids[0])
    with pytest.raises(DataError, match="no number of electrons"):
        spectrum(crystals.card, sample.operators["hamiltonian"], sample.operators["overlap"], None)
