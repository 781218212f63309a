"""The error budget: how an error of H (or S) becomes an error of energy levels.

First order: d eps = c^dagger (dH - eps dS) c for an orbital c with c^dagger S c = 1. Amplification: how much larger the
error is in an orthonormal basis than in the stored one, because S(k) has small eigenvalues.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from slembench.operators.orbitals import FloatArray

NO_METRIC = tuple(
    f"overlap.{name}" for name in ("eps_shift_occ", "budget_first_order", "budget_residual", "budget_amplification")
)
"""Columns that have no value where the predicted S is not positive definite."""


def first_order_shifts(change: NDArray[Any], orbitals: NDArray[Any]) -> FloatArray:
    """First-order shifts of levels c^dagger M c, with M = dH - eps dS for the orbital's own eps (or dH alone).

    Args:
        change: (n, n) Hermitian | M.
        orbitals: (n, m) coefficients c, orthonormal in S.

    Returns:
        (m,) unit of ``change``.
    """
    return np.asarray(np.einsum("ij,ij->j", orbitals.conj(), change @ orbitals).real)


def overlap_shifts(change: NDArray[Any], orbitals: NDArray[Any], eps: FloatArray) -> FloatArray:
    """First-order shifts of levels -eps c^dagger dS c by an error of S.

    Args:
        change: (n, n) Hermitian | dS.
        orbitals: (n, m) coefficients.
        eps: (m,) their levels.

    Returns:
        (m,) unit of ``eps``.
    """
    return np.asarray(-eps * first_order_shifts(change, orbitals))


def orthonormal_norm(change: NDArray[Any], overlap: NDArray[Any]) -> float:
    """||S^-1/2 M S^-1/2||_F, the size of an error where the basis is made orthonormal.

    Args:
        change: (n, n) Hermitian | M.
        overlap: (n, n) | S, positive definite.

    Returns:
        Unit of ``change``.

    Raises:
        numpy.linalg.LinAlgError: S is not positive definite.
    """
    lower = np.linalg.cholesky(overlap)
    half = scipy.linalg.solve_triangular(lower, change, lower=True, check_finite=False)
    return float(np.linalg.norm(scipy.linalg.solve_triangular(lower, half.conj().T, lower=True, check_finite=False)))


def budget_metrics(
    shifts: FloatArray, estimates: FloatArray, weights: FloatArray, amplification: float
) -> dict[str, float]:
    """The rows of the budget for occupied levels.

    Args:
        shifts: (n_k, m) true level errors.
        estimates: (n_k, m) first-order ones.
        weights: (n_k,) sum to 1.
        amplification: ||S^-1/2 M S^-1/2||_F / ||M||_F over all k.

    Returns:
        ``budget_first_order`` = mean |estimate|, ``budget_residual`` = mean |shift - estimate| (unit of the levels) and
        ``budget_amplification`` (dimensionless); k-weighted means.
    """
    return {
        "budget_first_order": float(weights @ np.abs(estimates).mean(axis=1)),
        "budget_residual": float(weights @ np.abs(shifts - estimates).mean(axis=1)),
        "budget_amplification": amplification,
    }
