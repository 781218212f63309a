"""Sparse levels against dense ones."""

import numpy as np
import pytest

from slembench.metrics.sparse import count_below, levels_between, sparse_at_k, window_error
from slembench.metrics.spectrum import band_metrics, fill, k_mesh, levels

KPOINTS, WEIGHTS = k_mesh((3, 3, 1))


@pytest.fixture(scope="module")
def operators(crystals):
    """H, S, predicted H of a supercell's worth of orbitals."""
    from slembench.data import load_dataset

    sample = load_dataset("mos2-mini").sample("mos2-2x2-0000")
    h, s = sample.operators["hamiltonian"].complete(), sample.operators["overlap"].complete()
    noise = np.random.default_rng(0).normal(size=len(h.values))
    return h, s, h.with_values(h.values + 2e-3 * noise).hermitise(), sample.info.electrons


def test_matrix_and_count(operators):
    h, s, _, _ = operators
    for k in KPOINTS[[0, 2]]:
        matrix, metric = sparse_at_k(h, k), sparse_at_k(s, k)
        np.testing.assert_allclose(matrix.toarray(), h.hermitise().at_k(k)[0], atol=1e-10)
        eps = levels(h, s, k[None])[0]
        for energy in (eps[40] + 1e-3, eps[60] + 1e-3, eps.max() + 1):
            assert count_below(matrix, metric, energy) == (eps < energy).sum()


def test_levels_between(operators):
    h, s, _, _ = operators
    eps = levels(h, s, KPOINTS[1:2])[0]
    low, high = eps[50] - 1e-3, eps[70] + 1e-3
    found, first = levels_between(h, s, KPOINTS[1], low, high)
    expected = eps[(eps > low) & (eps < high)]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert first == (eps < low).sum()
    assert len(levels_between(h, s, KPOINTS[1], eps.max() + 1, eps.max() + 2)[0]) == 0


def test_window_error_is_that_of_all_levels(operators):
    h, s, p, electrons = operators
    eps, eps_p = (levels(m.hermitise(), s, KPOINTS) for m in (h, p))
    fermi, mu = fill(eps, WEIGHTS, electrons).fermi, 0.01
    dense = band_metrics(eps_p, eps, WEIGHTS, electrons=electrons, mu=mu, window=2.0, insulating=0.1)
    found = window_error(p, h, s, KPOINTS, WEIGHTS, mu=mu, centre=fermi, window=2.0)
    assert found == pytest.approx(dense["band_mae_window"], rel=1e-7)
    with pytest.raises(ArithmeticError, match="outside twice the window"):
        window_error(p, h, s, KPOINTS[:1], np.ones(1), mu=-6.0, centre=fermi, window=2.0)
