"""Densities of states against SciPy's Wasserstein distance and loops over levels."""

import numpy as np
import pytest
import scipy.stats

from slembench.metrics.dos import dos_w1, ghost_states, states_below

RNG = np.random.default_rng(2)
REFERENCE = np.sort(RNG.uniform(-3, 3, size=(4, 9)), axis=1)
PREDICTED = np.sort(REFERENCE + RNG.normal(0, 0.2, size=REFERENCE.shape), axis=1)
WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])


def test_states_below():
    energies = np.linspace(-4, 4, 7)
    expected = [
        sum(w * scipy.stats.norm.cdf(e, level, 0.3) for row, w in zip(REFERENCE, WEIGHTS) for level in row)
        for e in energies
    ]
    np.testing.assert_allclose(states_below(REFERENCE, WEIGHTS, energies, 0.3), expected, atol=1e-8)


def test_distance_over_all_levels_is_scipys():
    width, grid = 0.1, np.linspace(-6, 6, 6001)
    densities = [
        sum(w * scipy.stats.norm.pdf(grid, level, width) for row, w in zip(eps, WEIGHTS) for level in row)
        for eps in (PREDICTED, REFERENCE)
    ]
    expected = scipy.stats.wasserstein_distance(grid, grid, *densities)
    assert dos_w1(PREDICTED, REFERENCE, WEIGHTS, 0.0, 6.0, width) == pytest.approx(expected, rel=1e-4)


def test_a_rigid_shift_moves_every_state_by_itself():
    assert dos_w1(REFERENCE + 0.25, REFERENCE, WEIGHTS, 0.0, 8.0, 0.1) == pytest.approx(0.25, rel=1e-6)
    assert dos_w1(REFERENCE, REFERENCE, WEIGHTS, 0.0, 8.0, 0.1) == 0


def test_window_without_states():
    assert np.isnan(dos_w1(PREDICTED, REFERENCE, WEIGHTS, 50.0, 1.0, 0.1))


def brute_force(predicted, reference, centre, window, shift):
    worst = 0
    for ours, theirs in zip(predicted, reference):
        for energy in np.linspace(centre - window, centre + window, 20001):
            worst = max(worst, (ours <= energy).sum() - (theirs <= energy + shift).sum())
    return worst


def test_ghosts_are_found_where_bands_are_dense():
    ghostly = np.sort(np.concatenate([PREDICTED, [[0.1, 0.2]] * 4], axis=1), axis=1)
    assert ghost_states(REFERENCE, REFERENCE, 0.0, 2.0, 0.05) == 0
    for shift in (0.05, 0.5):
        found = ghost_states(ghostly, REFERENCE, 0.0, 2.0, shift)
        assert found == brute_force(ghostly, REFERENCE, 0.0, 2.0, shift)
    assert ghost_states(ghostly, REFERENCE, 0.0, 2.0, 0.05) >= 2
    assert ghost_states(REFERENCE, REFERENCE + 1.0, 0.0, 2.0, 0.5) == brute_force(REFERENCE, REFERENCE + 1, 0, 2, 0.5)
