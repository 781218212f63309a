"""What a predicted density matrix must obey, and the density matrix of a molecule's orbitals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def electrons_of(density: NDArray[Any], overlap: NDArray[Any]) -> float:
    """Electrons in the cell, sum over R of sum_ij D_ij(R) . S_ij(R) (real part): Tr(D S) of a molecule.

    Args:
        density: D, any shape: dense matrix of a molecule, or the values of a crystal's blocks in both directions.
        overlap: S, the same elements in the same order; zero where S has no block.

    Returns:
        Dimensionless.

    Example:
        H2 in its bonding orbital (1, 1) / sqrt(2 + 2 S_01): two electrons.

        >>> import numpy as np
        >>> s, orbital = np.array([[1, 0.6], [0.6, 1]]), np.array([[1], [1]]) / np.sqrt(3.2)
        >>> round(electrons_of(closed_shell_density(orbital, 1), s), 6)
        2.0
    """
    # D is Hermitian, so that Tr(D S) = sum_ij D_ij S_ji = sum_ij conj(S_ij) D_ij, block by block in a crystal, too
    return float(np.vdot(overlap, density).real)


def d_trace_error(density: NDArray[Any], overlap: NDArray[Any], electrons: float) -> float:
    """`d_trace_error`: |sum D . S - electrons|, with the reference S; lower is better.

    Args:
        density: predicted D, as in `electrons_of`.
        overlap: reference S, likewise.
        electrons: electrons in the cell.

    Returns:
        Electrons.

    Example:
        >>> import numpy as np
        >>> round(d_trace_error(1.01 * np.eye(2), np.eye(2), 2.0), 6)
        0.02
    """
    return abs(electrons_of(density, overlap) - electrons)


def d_idempotency(density: NDArray[Any], overlap: NDArray[Any]) -> float:
    """`d_idempotency`: max |D S D / 2 - D| of a molecule; zero for every closed-shell determinant, lower is better.

    A crystal's D(R) on the scored pairs is truncated and smeared, and not idempotent even as a reference.

    Args:
        density: (n, n) predicted D, the factor 2 of spin inside.
        overlap: (n, n) reference S.

    Returns:
        Unit of D (dimensionless).

    Example:
        Two electrons in one orbital obey it; the same two spread over two orbitals do not.

        >>> import numpy as np
        >>> d_idempotency(np.diag([2.0, 0.0]), np.eye(2)), d_idempotency(np.diag([1.0, 1.0]), np.eye(2))
        (0.0, 0.5)
    """
    return float(np.abs(density @ overlap @ density / 2 - density).max())


def closed_shell_density(orbitals: NDArray[Any], occupied: int) -> NDArray[Any]:
    """D = 2 C_occ C_occ^dagger.

    Args:
        orbitals: (n, m) coefficients, occupied ones first.
        occupied: number of occupied orbitals.

    Returns:
        (n, n), the factor 2 of spin inside.

    Example:
        >>> import numpy as np
        >>> closed_shell_density(np.eye(3), 2)
        array([[2., 0., 0.],
               [0., 2., 0.],
               [0., 0., 0.]])
    """
    chosen = orbitals[:, :occupied]
    return np.asarray(2 * chosen @ chosen.conj().T)
