"""What the matrices of any sound file obey, whatever its format."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from slembench.blocks import BlockMatrix
from slembench.data.sample import Sample
from slembench.errors import DataError
from slembench.orbitals import FloatArray

GENERAL_K = (0.31, 0.17, 0.44)
"""A k point without symmetry, looked at beside Gamma in crystals."""

LARGEST = 2500
"""Orbitals up to which the overlap is looked at as a whole matrix."""

NEGATIVE = 1e-4
"""How far below zero an eigenvalue of S may lie (single precision, and pairs that were left out)."""


def check_physical(sample: Sample, where: str) -> Sample:
    """The sample itself, once its overlap has been found to be positive definite.

    Args:
        sample: what a reader made.
        where: path that was read, named in errors.

    Raises:
        DataError: S(k) at Gamma, or in crystals at `GENERAL_K`, has an eigenvalue below -`NEGATIVE`.
    """
    overlap = sample.operators.get("overlap")
    if overlap is None or overlap.n_orbitals > LARGEST:
        return sample
    for matrix in overlap_matrices(overlap):
        try:
            scipy.linalg.cholesky(matrix + NEGATIVE * np.eye(len(matrix)), overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError as error:
            lowest = float(np.linalg.eigvalsh(matrix).min())
            raise DataError(
                f"{where}: structure {sample.id!r}: key 'overlap': S(k) has the eigenvalue {lowest:.3g}, so that this"
                " is no overlap of orbitals; the file is damaged"
            ) from error
    return sample


def overlap_matrices(overlap: BlockMatrix) -> list[FloatArray]:
    """S at Gamma and, in crystals, at `GENERAL_K`: (n, n) each."""
    matrices = [overlap.dense()]
    if overlap.pair_shift.any():
        matrices.append(overlap.at_k(np.array(GENERAL_K))[0])
    return matrices
