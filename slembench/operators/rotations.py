"""Real spherical harmonics, their Wigner D matrices and Clebsch-Gordan coefficients, in canonical order.

Canonical order: m = -l..l, polar axis z, so l = 1 is (y, z, x). e3nn's functions are the same ones with the
axes called otherwise (its x, y, z are our y, z, x), so its harmonics and 3j symbols serve here after that
permutation of the coordinates.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def spherical_harmonics(l: int, vectors: FloatArray) -> FloatArray:
    """Real spherical harmonics of the directions of ``vectors``, orthonormal up to the factor sqrt(4 pi).

    Args:
        l: angular momentum.
        vectors: (..., 3) | x, y, z; any unit, normalised here.

    Returns:
        (..., 2l + 1); the mean square over the sphere of every component is 1.

    Example:
        >>> (spherical_harmonics(1, [0.0, 0.0, 2.0]) / np.sqrt(3)).round(12)  # p = y, z, x
        array([0., 1., 0.])
    """
    # e3nn's polar axis is y: its (x, y, z) are our (y, z, x)
    points = torch.as_tensor(np.asarray(vectors, dtype=np.float64)[..., [1, 2, 0]].copy())
    values: FloatArray = o3.spherical_harmonics(l, points, normalize=True, normalization="component").numpy()
    return values


@cache
def _sphere_quadrature(degree: int) -> tuple[FloatArray, FloatArray]:
    """Points (K, 3) and weights (K,) of an exact mean over the sphere, for polynomials up to ``degree``."""
    # Gauss-Legendre in cos(theta), n points exact to degree 2n - 1; equidistant in phi, degree + 1 points exact for all
    # exp(i m phi) with |m| <= degree
    cosines, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    phi = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    sines = np.sqrt(1 - cosines**2)
    points = np.stack(
        [np.outer(sines, np.cos(phi)), np.outer(sines, np.sin(phi)), np.outer(cosines, np.ones_like(phi))], axis=-1
    )
    # leggauss weights sum to 2, the length of [-1, 1]
    return points.reshape(-1, 3), np.repeat(weights / 2 / len(phi), len(phi))


def wigner_d(l: int, rotation: FloatArray) -> FloatArray:
    """Matrix D with Y(Q x) = D(Q) Y(x), for proper and improper Q, from an exact quadrature over the sphere.

    Args:
        l: angular momentum.
        rotation: (..., 3, 3) orthogonal matrix Q acting on column vectors (x, y, z).

    Returns:
        (..., 2l + 1, 2l + 1) orthogonal, float64, accurate to about 1e-14.

    Raises:
        ValueError: Q is not orthogonal to 1e-6.

    Example:
        >>> quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # about z: x -> y, y -> -x
        >>> wigner_d(1, quarter).round(12) + 0.0  # of p = y, z, x
        array([[ 0.,  0.,  1.],
               [ 0.,  1.,  0.],
               [-1.,  0.,  0.]])
        >>> wigner_d(1, -np.eye(3)).round(12).diagonal()  # parity (-1)^l under inversion
        array([-1., -1., -1.])
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    if not np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-6):
        raise ValueError("rotation is not an orthogonal matrix")
    # D_mn = <Y_m(Q x) Y_n(x)> over the sphere, as the Y_n are orthonormal there; a product of two has degree 2l
    points, weights = _sphere_quadrature(2 * l)
    rotated = spherical_harmonics(l, np.einsum("...ab,kb->...ka", rotation, points))
    return np.asarray(np.einsum("k,...km,kn->...mn", weights, rotated, spherical_harmonics(l, points)))


@cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> FloatArray:
    """Orthogonal coupling l1 (x) l2 -> l3 of real harmonics: block[m1, m2] = sum_m3 C[m1, m2, m3] irrep[m3].

    Args:
        l1: row angular momentum.
        l2: column angular momentum.
        l3: coupled angular momentum, |l1 - l2| <= l3 <= l1 + l2.

    Returns:
        (2 l1 + 1, 2 l2 + 1, 2 l3 + 1) float64; over all l3 the matrix (m1 m2, l3 m3) is orthogonal. Read-only.

    Example:
        >>> (clebsch_gordan(1, 1, 0)[:, :, 0] * np.sqrt(3)).round(12)  # p x p -> s is the scalar product
        array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 1.]])
        >>> every = np.concatenate([clebsch_gordan(1, 2, l).reshape(15, -1) for l in (1, 2, 3)], axis=1)
        >>> bool(np.allclose(every @ every.T, np.eye(15)))
        True
    """
    # a 3j symbol is normalised to sum of squares 1; times sqrt(2 l3 + 1) each of the 2 l3 + 1 columns has norm 1
    table: FloatArray = o3.wigner_3j(l1, l2, l3, dtype=torch.float64).numpy() * np.sqrt(2 * l3 + 1)
    table.setflags(write=False)  # the cache hands out one array to everybody
    return table


def random_rotation(seed: int, improper: bool = False) -> FloatArray:
    """Random orthogonal (3, 3) matrix, uniform over rotations; with ``improper`` times the inversion."""
    from scipy.spatial.transform import Rotation  # heavy, and models do without

    matrix: FloatArray = Rotation.random(random_state=np.random.RandomState(seed)).as_matrix()
    return -matrix if improper else matrix
