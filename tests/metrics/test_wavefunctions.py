"""Orbital metrics against SciPy, and under mixing of degenerate orbitals."""

import numpy as np
import pytest
import scipy.linalg

from slembench.metrics.spectrum import in_reference_basis, orbitals
from slembench.metrics.wavefunctions import degenerate_groups, occ_subspace, psi_cos_legacy, psi_overlap

N, OCCUPIED = 12, 5
RNG = np.random.default_rng(5)


def symmetric(scale):
    matrix = RNG.normal(size=(N, N))
    return scale * (matrix + matrix.T)


H, S = symmetric(1.0), np.eye(N) + symmetric(0.03)
P = H + symmetric(0.05)
EPS, C = scipy.linalg.eigh(H, S)
EPS_P, C_P = scipy.linalg.eigh(P, S)
OVERLAPS = C.T @ S @ C_P


def test_levels_and_overlaps_in_the_reference_basis():
    eps, overlaps, error = in_reference_basis(P - H, *orbitals(H, S))
    np.testing.assert_allclose(eps, EPS_P, atol=1e-12)
    np.testing.assert_allclose(np.abs(overlaps), np.abs(OVERLAPS), atol=1e-10)
    np.testing.assert_allclose(EPS + np.diag(error), np.einsum("ij,ij->j", C, P @ C), atol=1e-12)


def test_legacy_cosine():
    expected = [abs(C_P[:, k] @ C[:, k]) / np.linalg.norm(C_P[:, k]) / np.linalg.norm(C[:, k]) for k in range(OCCUPIED)]
    assert psi_cos_legacy(C_P[:, :OCCUPIED], -C[:, :OCCUPIED]) == pytest.approx(np.mean(expected), rel=1e-12)


def test_overlap_of_single_orbitals():
    expected = np.mean([abs(C[:, k] @ S @ C_P[:, k]) for k in range(OCCUPIED)])
    assert psi_overlap(OVERLAPS, EPS, OCCUPIED, 1e-9) == pytest.approx(expected, rel=1e-12)


def test_overlap_of_groups_is_the_rms_singular_value():
    eps = np.array([0.0, 1.0, 1.0005, 1.0010, 3.0, 3.0001, *range(4, 10)])
    assert [(g.start, g.stop) for g in degenerate_groups(eps, OCCUPIED, 6e-4)] == [(0, 1), (1, 4), (4, 5)]
    singular = np.linalg.svd(OVERLAPS[1:4, 1:4], compute_uv=False)
    expected = (abs(OVERLAPS[0, 0]) + 3 * np.sqrt((singular**2).mean()) + abs(OVERLAPS[4, 4])) / 5
    assert psi_overlap(OVERLAPS, eps, OCCUPIED, 6e-4) == pytest.approx(expected, rel=1e-12)


def test_occupied_space():
    angles = scipy.linalg.subspace_angles(scipy.linalg.sqrtm(S) @ C[:, :5], scipy.linalg.sqrtm(S) @ C_P[:, :5])
    assert occ_subspace(OVERLAPS, OCCUPIED) == pytest.approx((np.cos(angles) ** 2).mean(), rel=1e-10)
    assert occ_subspace(np.eye(N), OCCUPIED) == pytest.approx(1)


def test_only_the_legacy_number_sees_mixing():
    """Two degenerate orbitals, mixed by hand: the same state in every respect."""
    eps = EPS.copy()
    eps[2] = eps[1]
    mixed = C.copy()
    angle = 0.7
    mixed[:, 1] = np.cos(angle) * C[:, 1] + np.sin(angle) * C[:, 2]
    mixed[:, 2] = -np.sin(angle) * C[:, 1] + np.cos(angle) * C[:, 2]
    overlaps = C.T @ S @ mixed
    assert psi_overlap(overlaps, eps, OCCUPIED, 1e-6) == pytest.approx(1, abs=1e-12)
    assert occ_subspace(overlaps, OCCUPIED) == pytest.approx(1, abs=1e-12)
    assert psi_cos_legacy(mixed[:, :OCCUPIED], C[:, :OCCUPIED]) < 0.95


def test_singular_overlap_loses_directions():
    vectors = np.linalg.qr(RNG.normal(size=(N, N)))[0]
    s = vectors @ np.diag([1e-12, *np.linspace(0.5, 2, N - 1)]) @ vectors.T
    eps, c = orbitals(H, s)
    assert c.shape == (N, N - 1)
    kept = vectors[:, 1:]
    np.testing.assert_allclose(
        eps, scipy.linalg.eigh(kept.T @ H @ kept, kept.T @ s @ kept, eigvals_only=True), atol=1e-9
    )
    np.testing.assert_allclose(c.T @ s @ c, np.eye(N - 1), atol=1e-10)
    assert len(orbitals(H, s, "legacy")[0]) == N
