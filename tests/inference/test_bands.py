"""Spectra: densities of states against sums of Gaussians, energy zeros, bands, and what is written."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import eigh

from slembench.core.errors import DataError
from slembench.inference.bands import (
    Spectrum,
    dos_edges,
    draw_bands,
    energy_zeros,
    mean_dos,
    spectrum,
    structure_path,
    write_arrays,
)
from slembench.metrics.spectrum import fill, k_mesh
from slembench.operators.units import energy_factor

WIDTH_EV = 0.1


def made_up(shift, gap, unit="eV", n_atoms=2):
    """Four bands at two k points, two of them filled, ``gap`` apart at least; numbers in eV."""
    eps = shift + np.array([[-3.0, -1.0, -1.0 + gap, 2.0 + gap], [-2.0, -0.5, -0.5 + gap, 3.0 + gap]])
    eps, weights = eps * energy_factor("eV", unit), np.array([0.25, 0.75])
    return Spectrum(eps, weights, eps[:0], n_atoms, unit, fill(eps, weights, 4.0))


def sum_of_gaussians(energies, eps, weights, width):
    """Both spins, one level after the other."""
    density = np.zeros_like(energies)
    for row, weight in zip(eps, weights):
        for level in row[np.isfinite(row)]:
            density += 2 * weight * np.exp(-(((energies - level) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
    return density


@pytest.mark.parametrize("unit", ["eV", "Hartree"])
def test_dos_is_the_sum_of_gaussians(unit):
    s, zero = made_up(1.7, 2.0, unit), 0.4 * energy_factor("eV", unit)
    edges = dos_edges((-6.0, 6.0), unit)
    energies, width = (edges[1:] + edges[:-1]) / 2 + zero, WIDTH_EV * energy_factor("eV", unit)
    expected = sum_of_gaussians(energies, s.eps, s.weights, width)
    assert np.abs(s.dos(edges, zero) - expected).max() < 0.003 * expected.max()


def test_integral_of_the_dos_is_twice_the_levels_on_any_bins():
    s = made_up(0.0, 2.0)
    for edges in (dos_edges((-6.0, 7.0), "eV"), np.array([-6.0, -1.3, 0.2, 7.0])):
        assert (s.dos(edges) * np.diff(edges)).sum() == pytest.approx(2 * 4, abs=1e-9)


def test_levels_that_were_projected_out_hold_no_states():
    s = made_up(0.0, 2.0)
    s = replace(s, eps=np.where(s.eps == s.eps.max(), np.nan, s.eps))  # one level at the k point of weight 3/4
    edges = dos_edges((-6.0, 7.0), "eV")
    assert (s.dos(edges) * np.diff(edges)).sum() == pytest.approx(2 * (4 - 0.75), abs=1e-9)


@pytest.mark.parametrize("name", ["crystals", "molecules"])
def test_up_to_the_middle_of_the_gap_the_dos_counts_the_electrons(name, request):
    """Stored H with the empty bands raised by 5 eV, so that the broadened edges do not reach the middle of the gap."""
    data = request.getfixturevalue(name)
    sample, unit = data.sample(data.ids[0]), data.card.units.energy
    mesh = data.card.bands.kmesh if data.card.periodic else (1, 1, 1)
    h, s = sample.operators["hamiltonian"], sample.operators["overlap"]
    own = spectrum(h, s, mesh, sample.info.electrons, unit)
    empty = np.arange(own.eps.shape[1]) >= own.filling.occupied
    own = replace(own, eps=own.eps + 5 * energy_factor("eV", unit) * empty)
    middle = (own.filling.valence_top + own.eps[:, empty].min()) / 2
    edges = np.linspace(own.eps.min() - 1, middle, 3000)
    assert (own.dos(edges) * np.diff(edges)).sum() == pytest.approx(sample.info.electrons, abs=1e-6)


def test_mean_dos_is_per_atom_and_from_each_zero():
    spectra = [made_up(0.0, 2.0, n_atoms=2), made_up(5.0, 2.0, n_atoms=4)]
    assert all(s.insulating for s in spectra)
    dos = mean_dos(spectra, True)
    edges, step = dos.edges, dos.energy[1] - dos.energy[0]
    assert dos.density.sum() * step == pytest.approx((8 / 2 + 8 / 4) / 2, rel=1e-4)
    occupied = dos.energy < edges[1] / 2
    assert dos.density[occupied].sum() * step == pytest.approx((4 / 2 + 4 / 4) / 2, rel=1e-4)
    assert edges == pytest.approx((0.0, 1.5))
    valence = sum_of_gaussians(dos.energy, made_up(0.5, 2.0).eps, np.array([0.25, 0.75]), WIDTH_EV)
    np.testing.assert_allclose(dos.density, valence * (1 / 2 + 1 / 4) / 2, atol=0.003 * dos.density.max())


def test_a_metal_is_measured_from_the_fermi_level():
    metal = made_up(1.0, 0.2)
    assert not metal.insulating
    assert metal.zero() == metal.filling.fermi
    assert mean_dos([metal], False).edges == (0.0, 0.0)


def test_a_prediction_has_the_zero_of_its_references_kind():
    """A gap that the model invents in a metal, or closes in an insulator, does not shift the levels by half of it."""
    metal, insulator = made_up(0.0, 0.2), made_up(0.0, 2.0)
    zeros = energy_zeros({"predicted": insulator, "reference": metal})
    assert zeros == {"predicted": insulator.filling.fermi, "reference": metal.filling.fermi}
    zeros = energy_zeros({"predicted": metal, "reference": insulator})
    assert zeros == {"predicted": metal.filling.valence_top, "reference": insulator.filling.valence_top}
    assert energy_zeros({"predicted": insulator}) == {"predicted": insulator.filling.valence_top}
    assert energy_zeros({"predicted": replace(metal, filling=None)}) == {"predicted": 0.0}


def test_levels_and_bands_of_a_stored_structure(crystals):
    sample = crystals.sample(crystals.ids[0])
    h, s = (sample.operators[name] for name in ("hamiltonian", "overlap"))
    path = structure_path(sample.atoms, 0.5)
    own = spectrum(h, s, crystals.card.bands.kmesh, sample.info.electrons, "eV", path)
    kpoints, weights = k_mesh(crystals.card.bands.kmesh)
    np.testing.assert_array_equal(own.weights, weights)
    for eps, points in ((own.eps, kpoints), (own.bands, path.kpoints)):
        for row, h_k, s_k in zip(eps, h.at_k(points), s.at_k(points)):
            assert row == pytest.approx(np.sort(np.linalg.eigvals(np.linalg.solve(s_k, h_k)).real))
    assert own.filling.occupied == 4
    assert own.n_atoms == len(sample.atoms)


def test_without_electrons_energies_stay_as_they_are(crystals):
    sample = crystals.sample(crystals.ids[0])
    own = spectrum(sample.operators["hamiltonian"], sample.operators["overlap"], (1, 1, 1), None, "eV")
    assert own.zero() == 0.0
    assert np.isnan(own.gap)
    assert not own.insulating
    assert own.bands.shape == (0, own.eps.shape[1])


def test_electrons_that_do_not_fit(crystals):
    sample = crystals.sample(crystals.ids[0])
    with pytest.raises(DataError, match="do not fit"):
        spectrum(sample.operators["hamiltonian"], sample.operators["overlap"], (1, 1, 1), 99, "eV")


def test_arrays_are_what_is_drawn(crystals, tmp_path):
    sample = crystals.sample(crystals.ids[0])
    h, s = (sample.operators[name] for name in ("hamiltonian", "overlap"))
    path = structure_path(sample.atoms, 0.3)
    spectra = {
        name: spectrum(operator, s, (3, 3, 1), sample.info.electrons, "eV", path)
        for name, operator in (("predicted", h * 1.01), ("reference", h))
    }
    write_arrays(tmp_path / "b.npz", path, spectra, (-4.0, 3.0))
    bands_axes, dos_axes = draw_bands(path, spectra, (-4.0, 3.0)).axes
    with np.load(tmp_path / "b.npz") as arrays:
        drawn = np.stack([line.get_ydata() for line in bands_axes.lines[: len(h.basis.sizes(h.numbers))]], axis=1)
        np.testing.assert_allclose(drawn, arrays["reference_bands"][:, : drawn.shape[1]])
        for line, name in zip(dos_axes.lines, ("reference", "predicted")):
            np.testing.assert_allclose(line.get_xdata(), arrays[f"{name}_dos"])
            np.testing.assert_allclose(line.get_ydata(), arrays[f"{name}_energies"])
        eps = eigh(h.at_k(path.kpoints[:1])[0], s.at_k(path.kpoints[:1])[0], eigvals_only=True)
        np.testing.assert_allclose(arrays["reference_bands"][0] + arrays["reference_zero"], eps, atol=1e-10)
        assert arrays["energy_unit"] == "eV"
