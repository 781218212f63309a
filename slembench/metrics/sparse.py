"""Levels around one energy of cells too large for dense matrices: sparse shift-invert, and counting by inertia."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray

_MARGIN = 4  # levels more than are wanted, so that the farthest wanted ones converge


def sparse_at_k(operator: BlockMatrix, kpoint: FloatArray) -> Any:
    """M(k) = sum_R exp(2 pi i k.R) M(R) as a sparse (n, n) matrix in CSC form; real at Gamma.

    Args:
        operator: H or S; absent directions are completed.
        kpoint: (3,) fractional.
    """
    shifts, parts = operator.sparse()
    phases = np.exp(2j * np.pi * shifts @ np.asarray(kpoint))
    total = sum(phase * part for phase, part in zip(phases, parts))
    total = (total + total.conj().T) / 2
    return scipy.sparse.csc_matrix(total if np.any(kpoint) else total.real)


def count_below(h: Any, s: Any, energy: float) -> int:
    """Number of levels of H c = eps S c below an energy: negative pivots of H - energy S (Sylvester's law of inertia).

    Args:
        h: (n, n) sparse Hermitian, CSC.
        s: (n, n) sparse Hermitian, positive definite.
        energy: unit of ``h``.

    Raises:
        ArithmeticError: a level lies at the energy, so that a pivot vanishes.
    """
    try:
        factor = scipy.sparse.linalg.splu(
            scipy.sparse.csc_matrix(h - energy * s),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError as error:
        raise ArithmeticError(f"H - E S is singular at E = {energy}; move the energy") from error
    if not np.array_equal(factor.perm_r, factor.perm_c):
        raise ArithmeticError(f"a pivot vanishes at E = {energy}; move the energy")
    return int((factor.U.diagonal().real < 0).sum())


def levels_between(
    hamiltonian: BlockMatrix, overlap: BlockMatrix, kpoint: FloatArray, low: float, high: float
) -> tuple[FloatArray, int]:
    """All levels of one k between two energies, and the number of levels below them.

    Args:
        hamiltonian: H.
        overlap: S.
        kpoint: (3,) fractional.
        low: lower energy, unit of H.
        high: higher energy.

    Returns:
        (m,) levels, ascending, and the number of the first one, counted from 0 over all levels of this k.

    Raises:
        ArithmeticError: a level lies at one of the two energies, or the iteration did not find all levels.
    """
    h, s = sparse_at_k(hamiltonian, kpoint), sparse_at_k(overlap, kpoint)
    first = count_below(h, s, low)
    wanted = count_below(h, s, high) - first
    if wanted <= 0:
        return np.zeros(0), first
    middle = (low + high) / 2
    asked = min(wanted + _MARGIN, h.shape[0] - 2)
    try:
        found = scipy.sparse.linalg.eigsh(h, asked, M=s, sigma=middle, which="LM", return_eigenvectors=False)
    except scipy.sparse.linalg.ArpackError as error:
        raise ArithmeticError(f"levels around {middle}: {error}") from error
    inside = np.sort(found[(found > low) & (found < high)])
    if len(inside) != wanted:
        raise ArithmeticError(f"{len(inside)} levels found between {low} and {high}, there are {wanted}")
    return inside, first


def window_error(
    predicted: BlockMatrix,
    reference: BlockMatrix,
    overlap: BlockMatrix,
    kpoints: FloatArray,
    weights: FloatArray,
    *,
    mu: float,
    centre: float,
    window: float,
) -> float:
    """`band_mae_window` of a large cell: the same number as from all levels, which are never computed.

    Args:
        predicted: H.
        reference: H.
        overlap: reference S.
        kpoints: (n_k, 3) fractional.
        weights: (n_k,) sum to 1.
        mu: gauge shift of the predicted H.
        centre: the reference's Fermi level.
        window: half width; unit of H, as the two above.

    Returns:
        k-weighted mean |eps_pred - mu - eps_ref| over reference levels in the window, compared band by band.

    Raises:
        ArithmeticError: see `levels_between`, or a predicted band lies outside twice the window.
    """
    total, load = 0.0, 0.0
    for kpoint, weight in zip(kpoints, weights):
        theirs, first = levels_between(reference, overlap, kpoint, centre - window, centre + window)
        wide = (centre + mu - 2 * window, centre + mu + 2 * window)
        ours, start = levels_between(predicted, overlap, kpoint, *wide)
        bands: IntArray = first + np.arange(len(theirs)) - start
        if len(bands) and (bands[0] < 0 or bands[-1] >= len(ours)):
            raise ArithmeticError("a predicted band lies outside twice the window")
        total += weight * float(np.abs(ours[bands] - mu - theirs).sum())
        load += weight * len(theirs)
    return total / load if load else float("nan")
