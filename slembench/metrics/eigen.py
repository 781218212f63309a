"""Eigenpairs of molecules and crystals, and levels of a predicted H in the basis of the reference orbitals.

With C the reference orbitals, C^dagger S C = 1, the generalised problem of any H in the same metric is the ordinary one
of C^dagger H C, which is the diagonal reference levels plus the error C^dagger dH C: two products and one symmetric
diagonalisation, no overlap and no Cholesky factor. Its eigenvectors are the overlaps C^dagger S C_pred themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from slembench.metrics.spectrum import Matrices, Treatment, blas_threads, exceeds_threshold, orthonormal_basis
from slembench.orbitals import FloatArray

Task = TypeVar("Task")
Result = TypeVar("Result")


def orbitals(h: Matrices, s: Matrices, treatment: Treatment = "canonical") -> tuple[FloatArray, Matrices]:
    """Levels and orbitals of one generalised problem H c = eps S c.

    Args:
        h: (n, n) Hermitian; the lower triangle counts.
        s: (n, n) Hermitian.
        treatment: of eigenvalues of S below `slembench.metrics.spectrum.S_THRESHOLD`: projected out or raised to it.

    Returns:
        (m,) levels, ascending, and (n, m) coefficients with C^dagger S C = 1; m < n where directions are projected out.
    """
    if exceeds_threshold(s):
        eps, vectors = scipy.linalg.eigh(h, s, driver="gvd", check_finite=False)
        return np.asarray(eps), np.asarray(vectors)
    basis = orthonormal_basis(s, treatment)
    eps, inner = np.linalg.eigh(basis.conj().T @ h @ basis)
    return eps, basis @ inner


def in_reference_basis(
    change: Matrices, levels: FloatArray, reference: Matrices
) -> tuple[FloatArray, Matrices, Matrices]:
    """Levels of a predicted H = H_ref + change in the metric of the reference, where H_ref is diagonal.

    Args:
        change: (n, n) Hermitian | predicted H - reference H.
        levels: (n,) or (m,) reference levels, unit of ``change``; those beyond m are not looked at.
        reference: (n, m) orthonormal reference orbitals C.

    Returns:
        (m,) levels, (m, m) overlaps C^dagger S C_pred, column by column, and (m, m) C^dagger change C.
    """
    error = reference.conj().T @ (change @ reference)
    inner = error.copy()
    inner.flat[:: len(inner) + 1] += levels[: len(inner)]
    eps, overlaps = np.linalg.eigh(inner)
    return eps, overlaps, error


def bare_levels(h: NDArray[Any], s: NDArray[Any]) -> FloatArray:
    """(n,) levels of one generalised problem by LAPACK's own driver (sygvd / hegvd), as SciPy calls it."""
    return np.asarray(scipy.linalg.eigh(h, s, eigvals_only=True, driver="gvd", check_finite=False))


def on_threads(work: Callable[[Task], Result], tasks: Sequence[Task], threads: int, size: int) -> Iterable[Result]:
    """Results of independent tasks in order, spread over threads.

    Args:
        work: what to do with one task; LAPACK and large products release the interpreter.
        tasks: the tasks.
        threads: at most so many at once.
        size: orbitals of the largest task; where it is small, each task has one BLAS thread of its own.
    """
    with blas_threads(size):
        if threads <= 1 or len(tasks) <= 1:
            yield from map(work, tasks)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, tasks)
