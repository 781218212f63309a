"""Wigner matrices and Clebsch-Gordan coefficients against their definitions and SciPy's harmonics."""

import numpy as np
import pytest
from scipy.special import sph_harm_y

from slembench.operators.rotations import clebsch_gordan, random_rotation, spherical_harmonics, wigner_d


def scipy_real_harmonics(l, vectors):
    """Real harmonics in canonical order from SciPy's complex ones, without the Condon-Shortley sign."""
    x, y, z = vectors.T
    theta, phi = np.arccos(z / np.linalg.norm(vectors, axis=1)), np.arctan2(y, x)
    columns = []
    for m in range(-l, l + 1):
        value = sph_harm_y(l, abs(m), theta, phi) * (-1) ** m
        columns.append(value.real if m == 0 else np.sqrt(2) * (value.real if m > 0 else value.imag))
    return np.stack(columns, axis=1) * np.sqrt(4 * np.pi)


@pytest.mark.parametrize("l", range(7))
def test_harmonics_equal_scipy(l):
    vectors = np.random.default_rng(l).normal(size=(20, 3))
    assert np.allclose(spherical_harmonics(l, vectors), scipy_real_harmonics(l, vectors), atol=1e-12)


def test_p_is_y_z_x():
    assert np.allclose(spherical_harmonics(1, np.array([1.0, 2.0, 3.0])), np.array([2, 3, 1]) * np.sqrt(3 / 14))


@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize("l", range(7))
def test_wigner_matrix_rotates_the_harmonics(l, improper):
    rotation = random_rotation(l, improper)
    vectors = np.random.default_rng(l).normal(size=(9, 3))
    d = wigner_d(l, rotation)
    rotated = scipy_real_harmonics(l, vectors @ rotation.T)
    assert np.allclose(rotated, scipy_real_harmonics(l, vectors) @ d.T, atol=1e-12)
    assert np.allclose(d @ d.T, np.eye(2 * l + 1), atol=1e-13)


def test_wigner_matrices_multiply_like_rotations():
    a, b = random_rotation(1), random_rotation(2)
    assert np.allclose(wigner_d(3, a @ b), wigner_d(3, a) @ wigner_d(3, b), atol=1e-13)
    stacked = wigner_d(2, np.stack([a, b]))
    assert np.allclose(stacked[1], wigner_d(2, b))


def test_a_matrix_that_is_no_rotation_is_refused():
    with pytest.raises(ValueError, match="not an orthogonal matrix"):
        wigner_d(1, np.diag([1.0, 1.0, 1.01]))


@pytest.mark.parametrize(("l1", "l2"), [(0, 0), (1, 1), (1, 2), (2, 2), (3, 2)])
def test_clebsch_gordan_couples_orthogonally_and_equivariantly(l1, l2):
    tables = [clebsch_gordan(l1, l2, l3) for l3 in range(abs(l1 - l2), l1 + l2 + 1)]
    matrix = np.concatenate([t.reshape((2 * l1 + 1) * (2 * l2 + 1), -1) for t in tables], axis=1)
    assert np.allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-13)
    rotation = random_rotation(4)
    for l3, table in zip(range(abs(l1 - l2), l1 + l2 + 1), tables):
        left = np.einsum("ai,bj,ijm->abm", wigner_d(l1, rotation), wigner_d(l2, rotation), table)
        assert np.allclose(left, table @ wigner_d(l3, rotation), atol=1e-12)
