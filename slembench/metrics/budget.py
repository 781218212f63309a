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

NEEDS_POSITIVE_S = tuple(
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

    Example:
        Bonding and antibonding orbital of two sites whose hopping is off by 0.1: one level falls, one rises.

        >>> import numpy as np
        >>> orbitals = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
        >>> first_order_shifts(np.array([[0, -0.1], [-0.1, 0]]), orbitals).round(6)
        array([-0.1,  0.1])
    """
    # diagonal of C^dagger M C alone: column by column, sum_i conj(c_i) (M c)_i
    return np.asarray(np.einsum("ij,ij->j", orbitals.conj(), change @ orbitals).real)


def overlap_shifts(change: NDArray[Any], orbitals: NDArray[Any], eps: FloatArray) -> FloatArray:
    """First-order shifts of levels -eps c^dagger dS c by an error of S.

    Args:
        change: (n, n) Hermitian | dS.
        orbitals: (n, m) coefficients.
        eps: (m,) their levels.

    Returns:
        (m,) unit of ``eps``.

    Example:
        One orbital at -10 eV whose norm is predicted 1 % too large: its level rises by 0.1 eV.

        >>> import numpy as np
        >>> overlap_shifts(np.array([[0.01]]), np.array([[1.0]]), np.array([-10.0])).round(6)
        array([0.1])
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

    Example:
        The antibonding direction (1, -1) of S has the eigenvalue 0.1: an error along it counts ten times.

        >>> import numpy as np
        >>> s, m = np.array([[1, 0.9], [0.9, 1]]), 0.5 * np.array([[1, -1], [-1, 1]])
        >>> round(float(np.linalg.norm(m)), 6), round(orthonormal_norm(m, s), 6)
        (1.0, 10.0)
    """
    # S = L L^dagger; L^-1 M L^-dagger is S^-1/2 M S^-1/2 up to a unitary rotation, which leaves the norm alone
    lower = np.linalg.cholesky(overlap)
    half = scipy.linalg.solve_triangular(lower, change, lower=True, check_finite=False)
    return float(np.linalg.norm(scipy.linalg.solve_triangular(lower, half.conj().T, lower=True, check_finite=False)))


def amplification(raw_square: float, inner_square: float) -> float:
    """`budget_amplification`: ||S^-1/2 M S^-1/2||_F / ||M||_F of an error M.

    Args:
        raw_square: ||M||_F^2, in crystals the weighted sum over k.
        inner_square: ||S^-1/2 M S^-1/2||_F^2, likewise.

    Returns:
        Dimensionless; NaN where there is no error.

    Example:
        >>> amplification(4.0, 36.0), amplification(0.0, 0.0)
        (3.0, nan)
    """
    return float(np.sqrt(inner_square / raw_square)) if raw_square > 0 else float("nan")


def mean_shift(shifts: FloatArray, weights: FloatArray) -> float:
    """`eps_shift_occ`: k-weighted mean of |shift| over levels, sum_k w_k mean_n |shift_kn|.

    Args:
        shifts: (n_k, m) shifts of the occupied levels.
        weights: (n_k,) sum to 1.

    Returns:
        Unit of the shifts.

    Example:
        >>> import numpy as np
        >>> round(mean_shift(np.array([[0.1, -0.3], [0.4, 0.4]]), np.array([0.75, 0.25])), 6)
        0.25
    """
    return float(weights @ np.abs(shifts).mean(axis=1))


def budget_metrics(
    shifts: FloatArray, estimates: FloatArray, weights: FloatArray, amplified: float
) -> dict[str, float]:
    """The rows of the budget for occupied levels.

    Args:
        shifts: (n_k, m) true level errors.
        estimates: (n_k, m) first-order ones.
        weights: (n_k,) sum to 1.
        amplified: from `amplification`.

    Returns:
        ``budget_first_order`` = mean |estimate|, ``budget_residual`` = mean |shift - estimate| (unit of the levels) and
        ``budget_amplification`` (dimensionless); k-weighted means.

    Example:
        >>> import numpy as np
        >>> rows = budget_metrics(np.array([[0.11, -0.2]]), np.array([[0.1, -0.2]]), np.ones(1), 3.0)
        >>> {name: round(value, 6) for name, value in rows.items()}
        {'budget_first_order': 0.15, 'budget_residual': 0.005, 'budget_amplification': 3.0}
    """
    return {
        "budget_first_order": mean_shift(estimates, weights),
        "budget_residual": mean_shift(shifts - estimates, weights),
        "budget_amplification": amplified,
    }
