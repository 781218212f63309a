"""How well occupied orbitals of a molecule are predicted, orbital by orbital and as a space.

``overlaps`` is C_ref^dagger S C_pred with the reference S in which both sets of orbitals are orthonormal. Coefficients
of a predicted S are not scored: they live in another metric.

Example:
    Two degenerate orbitals mixed by 45 degrees, and the same state: only the raw cosines see a difference.

    >>> import numpy as np
    >>> mixed = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    >>> round(psi_cos_legacy(mixed, np.eye(2)), 4)
    0.7071
    >>> round(psi_overlap(mixed, np.zeros(2), 2, 1e-3), 4), round(occ_subspace(mixed, 2), 4)
    (1.0, 1.0)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.operators.orbitals import FloatArray, IntArray

DEGENERATE_EV = 1e-3
"""Reference levels that chain within this are one group (eV)."""


def psi_cos_legacy(predicted: NDArray[Any], reference: NDArray[Any]) -> float:
    """`psi_cos_legacy`: mean over orbitals of |cos| between raw coefficient columns, without S.

    Depends on how degenerate orbitals are mixed, and on the basis; kept for comparison. Higher is better.

    Args:
        predicted: (n, occupied) coefficients of the predicted H.
        reference: (n, occupied) coefficients, in the same order of orbitals.

    Returns:
        Dimensionless, 0 to 1.

    Source: the test script of QH9 (arXiv 2306.09549).

    Example:
        The sign of an orbital is free; the second one is wrong.

        >>> import numpy as np
        >>> psi_cos_legacy(np.array([[-1.0, 0], [0, 0], [0, 1]]), np.array([[1.0, 0], [0, 1], [0, 0]]))
        0.5
    """
    inner = np.abs((predicted.conj() * reference).sum(axis=0))
    # columns are orthonormal in S and not in the plain scalar product, so that their lengths are not 1
    squares = (np.abs(predicted) ** 2).sum(axis=0) * (np.abs(reference) ** 2).sum(axis=0)
    return float((inner / np.sqrt(squares)).mean())


def degenerate_groups(eps: FloatArray, occupied: int, tolerance: float) -> Iterator[slice]:
    """Occupied orbitals whose energies chain within a tolerance; a group never crosses HOMO and LUMO.

    Args:
        eps: (n,) reference levels, ascending.
        occupied: number of occupied ones.
        tolerance: largest step between neighbours of one group, unit of ``eps``.

    Yields:
        Slices that cover 0 .. occupied without gap.

    Example:
        The last of the three levels at 2 eV is empty and stands outside.

        >>> import numpy as np
        >>> list(degenerate_groups(np.array([1.0, 2.0, 2.0, 2.0]), 3, 1e-3))
        [slice(0, 1, None), slice(1, 3, None)]
    """
    starts = _group_starts(eps, occupied, tolerance).tolist()
    for start, stop in zip(starts, [*starts[1:], occupied]):
        yield slice(start, stop)


def _group_starts(eps: FloatArray, occupied: int, tolerance: float) -> IntArray:
    """(g,) first orbital of each group."""
    steps = eps[1:occupied] - eps[: occupied - 1] > tolerance
    return np.concatenate([[0], 1 + np.flatnonzero(steps)])


def psi_overlap(overlaps: NDArray[Any], eps: FloatArray, occupied: int, tolerance: float) -> float:
    """`psi_overlap`: mean over occupied orbitals of the overlap of predicted and reference ones, in the metric of S.

    Orbitals of one degenerate group are compared as a space: each counts with the root mean square of the singular
    values of the group's block of ``overlaps``, which no mixing within the group changes. Higher is better.

    Args:
        overlaps: (m, m') with m, m' >= occupied | C_ref^dagger S C_pred.
        eps: (n,) reference levels, ascending.
        occupied: number of occupied orbitals.
        tolerance: see `degenerate_groups`.

    Returns:
        Dimensionless, 0 to 1.

    Example:
        Turned by 0.5 rad within a pair of levels: the same space where they are degenerate, else cos(0.5) each.

        >>> import numpy as np
        >>> c, s = np.cos(0.5), np.sin(0.5)
        >>> turned = np.array([[c, s], [-s, c]])
        >>> [round(psi_overlap(turned, np.array([-5.0, second]), 2, 1e-3), 4) for second in (-5.0, -4.0)]
        [1.0, 0.8776]
    """
    starts = _group_starts(eps, occupied, tolerance)
    sizes = np.diff(starts, append=occupied)
    label = np.repeat(np.arange(len(starts)), sizes)
    # sum of squared singular values of a block = its squared Frobenius norm; blocks of groups lie on the diagonal
    own = np.abs(overlaps[:occupied, :occupied]) ** 2 * (label[:, None] == label)
    return float((sizes * np.sqrt(np.add.reduceat(own.sum(axis=1), starts) / sizes)).sum() / occupied)


def occ_subspace(overlaps: NDArray[Any], occupied: int) -> float:
    """`occ_subspace`: ||C_ref^dagger S C_pred||_F^2 / occupied over the whole occupied space; higher is better.

    Args:
        overlaps: (m, m') with m, m' >= occupied | C_ref^dagger S C_pred.
        occupied: number of occupied orbitals.

    Returns:
        Dimensionless, 0 to 1.

    Example:
        One of two occupied orbitals is right, the other is the reference's LUMO.

        >>> import numpy as np
        >>> occ_subspace(np.eye(3)[:, [0, 2, 1]], 2)
        0.5
    """
    return float(np.linalg.norm(overlaps[:occupied, :occupied]) ** 2 / occupied)
