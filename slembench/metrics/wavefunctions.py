"""How well occupied orbitals of a molecule are predicted, orbital by orbital and as a space.

``overlaps`` is C_ref^dagger S C_pred with the reference S in which both sets of orbitals are orthonormal. Coefficients
of a predicted S are not scored: they live in another metric.
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
    """
    inner = np.abs((predicted.conj() * reference).sum(axis=0))
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
    """
    starts = _group_starts(eps, occupied, tolerance)
    sizes = np.diff(starts, append=occupied)
    label = np.repeat(np.arange(len(starts)), sizes)
    own = np.abs(overlaps[:occupied, :occupied]) ** 2 * (label[:, None] == label)
    return float((sizes * np.sqrt(np.add.reduceat(own.sum(axis=1), starts) / sizes)).sum() / occupied)


def occ_subspace(overlaps: NDArray[Any], occupied: int) -> float:
    """`occ_subspace`: ||C_ref^dagger S C_pred||_F^2 / occupied over the whole occupied space; higher is better.

    Args:
        overlaps: (m, m') with m, m' >= occupied | C_ref^dagger S C_pred.
        occupied: number of occupied orbitals.

    Returns:
        Dimensionless, 0 to 1.
    """
    return float(np.linalg.norm(overlaps[:occupied, :occupied]) ** 2 / occupied)
