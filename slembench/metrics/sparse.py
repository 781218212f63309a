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

    Example:
        Chain with the hopping -1 between neighbours, at the border of the zone.

        >>> from slembench.operators.orbitals import Basis
        >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), [[0, 0]], [[0, 0, 1]], np.array([-1.0]))
        >>> sparse_at_k(chain, np.array([0, 0, 0.5])).toarray().round(6)
        array([[2.+0.j]])
    """
    shifts, parts = operator.sparse()
    phases = np.exp(2j * np.pi * shifts @ np.asarray(kpoint))
    total = sum(phase * part for phase, part in zip(phases, parts))
    total = (total + total.conj().T) / 2  # exactly Hermitian, as the factorisations below take it to be
    return scipy.sparse.csc_matrix(total if np.any(kpoint) else total.real)


def count_below(h: Any, s: Any, energy: float) -> int:
    """Number of levels of H c = eps S c below an energy: negative pivots of H - energy S (Sylvester's law of inertia).

    Args:
        h: (n, n) sparse Hermitian, CSC.
        s: (n, n) sparse Hermitian, positive definite.
        energy: unit of ``h``.

    Raises:
        ArithmeticError: a level lies at the energy, so that a pivot vanishes.

    Example:
        >>> h, s = scipy.sparse.diags_array([-3.0, -1.0, 2.0]), scipy.sparse.eye_array(3)
        >>> [count_below(h, s, energy) for energy in (-5.0, -2.0, 0.0, 5.0)]
        [0, 1, 2, 3]
    """
    # H - E S = L D L^dagger has as many negative pivots as there are levels below E (Sylvester). SuperLU gives them on
    # the diagonal of U as long as it exchanges rows and columns alike: the symmetric mode without a pivot threshold.
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

    Example:
        Twelve atoms in a row, and the levels of the middle of the band.

        >>> from slembench.operators.orbitals import Basis
        >>> matrix = -np.eye(12, k=1) - np.eye(12, k=-1)
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.ones(12, int)
        >>> h, s = (BlockMatrix.from_dense(basis, atoms, m) for m in (matrix, np.eye(12)))
        >>> eps, first = levels_between(h, s, np.zeros(3), -0.8, 0.8)
        >>> eps.round(4), first
        (array([-0.7092, -0.2411,  0.2411,  0.7092]), 4)
    """
    h, s = sparse_at_k(hamiltonian, kpoint), sparse_at_k(overlap, kpoint)
    first = count_below(h, s, low)
    wanted = count_below(h, s, high) - first
    if wanted <= 0:
        return np.zeros(0), first
    middle = (low + high) / 2
    asked = min(wanted + _MARGIN, h.shape[0] - 2)  # Arnoldi's method needs a space larger than what is asked for
    try:
        # shift-invert: the levels closest to the middle are the largest 1 / (eps - middle)
        eps = scipy.sparse.linalg.eigsh(h, asked, M=s, sigma=middle, which="LM", return_eigenvectors=False)
    except scipy.sparse.linalg.ArpackError as error:
        raise ArithmeticError(f"levels around {middle}: {error}") from error
    inside = np.sort(eps[(eps > low) & (eps < high)])
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

    Example:
        A row of twelve atoms whose hopping is predicted 1 % too large: the error grows with the distance from zero.

        >>> from slembench.operators.orbitals import Basis
        >>> matrix = -np.eye(12, k=1) - np.eye(12, k=-1)
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.ones(12, int)
        >>> h, s = (BlockMatrix.from_dense(basis, atoms, m) for m in (matrix, np.eye(12)))
        >>> gamma = np.zeros((1, 3)), np.ones(1)
        >>> round(float(window_error(h * 1.01, h, s, *gamma, mu=0.0, centre=0.0, window=0.8)), 6)
        0.004751
    """
    total, load = 0.0, 0.0
    for kpoint, weight in zip(kpoints, weights):
        ref, first = levels_between(reference, overlap, kpoint, centre - window, centre + window)
        wide = (centre + mu - 2 * window, centre + mu + 2 * window)
        pred, start = levels_between(predicted, overlap, kpoint, *wide)
        # band by band: the number of each level over all levels of this k is known from the counts below the windows
        bands: IntArray = first + np.arange(len(ref)) - start
        if len(bands) and (bands[0] < 0 or bands[-1] >= len(pred)):
            raise ArithmeticError("a predicted band lies outside twice the window")
        total += weight * float(np.abs(pred[bands] - mu - ref).sum())
        load += weight * len(ref)
    return total / load if load else float("nan")
