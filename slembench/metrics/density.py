"""What a predicted density matrix must obey, and the density matrix of a molecule's orbitals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.metrics.matrix import completed_on
from slembench.operators.blocks import BlockMatrix


def electrons_of(density: BlockMatrix, overlap: BlockMatrix) -> float:
    """Electrons in the cell, sum over all blocks of D_ij(R) . S_ij(R) (real part).

    Args:
        density: D; both directions of its pairs count, absent ones are completed.
        overlap: S; absent blocks are zero.

    Returns:
        Dimensionless.
    """
    full = density.complete()
    s = completed_on(overlap, full.pair_index, full.pair_shift)[0].values
    return float(np.vdot(s, full.values).real)


def d_trace_error(density: BlockMatrix, overlap: BlockMatrix, electrons: float) -> float:
    """`d_trace_error`: |sum D . S - electrons|, with the reference S; lower is better.

    Args:
        density: predicted D.
        overlap: reference S.
        electrons: electrons in the cell.

    Returns:
        Electrons.
    """
    return abs(electrons_of(density, overlap) - electrons)


def d_idempotency(density: NDArray[Any], overlap: NDArray[Any]) -> float:
    """`d_idempotency`: max |D S D / 2 - D| of a molecule; zero for every closed-shell determinant, lower is better.

    Args:
        density: (n, n) predicted D, the factor 2 of spin inside.
        overlap: (n, n) reference S.

    Returns:
        Unit of D (dimensionless).
    """
    return float(np.abs(density @ overlap @ density / 2 - density).max())


def closed_shell_density(orbitals: NDArray[Any], occupied: int) -> NDArray[Any]:
    """D = 2 C_occ C_occ^dagger.

    Args:
        orbitals: (n, m) coefficients, occupied ones first.
        occupied: number of occupied orbitals.

    Returns:
        (n, n), the factor 2 of spin inside.
    """
    chosen = orbitals[:, :occupied]
    return np.asarray(2 * chosen @ chosen.conj().T)
