"""First-order shifts against finite differences of SciPy's levels, amplification against the dense square root."""

import numpy as np
import pytest
import scipy.linalg

from slembench.metrics.budget import (
    amplification,
    budget_metrics,
    first_order_shifts,
    mean_shift,
    orthonormal_norm,
    overlap_shifts,
)

RNG = np.random.default_rng(8)


def hermitian(n=7):
    matrix = RNG.normal(size=(n, n)) + 1j * RNG.normal(size=(n, n))
    return (matrix + matrix.conj().T) / 2


H, S = hermitian(), np.eye(7) + 0.05 * hermitian()
EPS, C = scipy.linalg.eigh(H, S)


def test_first_order_is_the_derivative():
    change, step = hermitian(), 1e-6
    moved = scipy.linalg.eigh(H + step * change, S, eigvals_only=True)
    np.testing.assert_allclose(first_order_shifts(change, C), (moved - EPS) / step, atol=1e-4)
    moved = scipy.linalg.eigh(H, S + step * change, eigvals_only=True)
    np.testing.assert_allclose(overlap_shifts(change, C, EPS), (moved - EPS) / step, atol=1e-4)


def test_norm_in_the_orthonormal_basis():
    change, half = hermitian(), np.linalg.inv(scipy.linalg.sqrtm(S))
    expected = np.linalg.norm(half @ change @ half)
    assert orthonormal_norm(change, S) == pytest.approx(expected, rel=1e-12)
    assert np.linalg.norm(C.conj().T @ change @ C) == pytest.approx(expected, rel=1e-12)


def test_means_are_weighted():
    shifts, estimates = np.array([[1.0, -1.0], [3.0, 3.0]]), np.array([[0.5, -2.0], [3.0, 2.0]])
    found = budget_metrics(shifts, estimates, np.array([0.25, 0.75]), 2.0)
    assert found == pytest.approx(
        {
            "budget_first_order": 0.25 * 1.25 + 0.75 * 2.5,
            "budget_residual": 0.25 * 0.75 + 0.75 * 0.5,
            "budget_amplification": 2.0,
        }
    )


def test_amplification_is_the_ratio_of_norms():
    change = hermitian()
    raw, inner = np.linalg.norm(change), orthonormal_norm(change, S)
    assert amplification(raw**2, inner**2) == pytest.approx(inner / raw, rel=1e-14)
    assert np.isnan(amplification(0.0, 0.0))


def test_mean_shift_by_hand():
    assert mean_shift(np.array([[1.0, -1.0], [3.0, 2.0]]), np.array([0.25, 0.75])) == 0.25 * 1 + 0.75 * 2.5
