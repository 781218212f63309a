"""Levels of the generalised problem H c = eps S c and the errors of predicted levels, float64.

Of H(k) and S(k) the lower triangle counts, as in LAPACK and most codes; take `BlockMatrix.hermitise` first where both
directions of a pair disagree. Levels are (n_k, n) arrays, ascending in each row; a direction that was projected out of
a nearly singular S is NaN at the end of its row. Weights are (n_k,) and sum to 1. Energies are in the unit of H.

Eigenpairs of molecules and crystals, and levels of a predicted H in the basis of the reference orbitals.

With C the reference orbitals, C^dagger S C = 1, the generalised problem of any H in the same metric is the ordinary one
of C^dagger H C, which is the diagonal reference levels plus the error C^dagger dH C: two products and one symmetric
diagonalisation, no overlap and no Cholesky factor. Its eigenvectors are the overlaps C^dagger S C_pred themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray

Matrices = NDArray[Any]
Treatment = Literal["canonical", "legacy"]

S_THRESHOLD = 1e-8
"""Eigenvalues of S below this are projected out (canonical) or raised to it (legacy, as QH9 does)."""

INSULATOR_EV = 0.1
"""Smallest gap of an insulator (eV); its levels are aligned at the valence-band maximum, others at the Fermi level."""

_BATCH_BYTES = 1 << 28
_ONE_THREAD_BELOW = 512


@lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """The BLAS libraries of NumPy and SciPy that are loaded."""
    return ThreadpoolController()


def blas_threads(size: int) -> AbstractContextManager[Any]:
    """One BLAS thread for small matrices: more cost more than they bring, and much more on a busy machine."""
    return _threads().limit(limits=1, user_api="blas") if size < _ONE_THREAD_BELOW else nullcontext()


def k_mesh(size: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Gamma-centred k mesh, one of each pair k, -k: their levels are equal for real H(R), S(R).

    Args:
        size: points along each reciprocal vector.

    Returns:
        (n_k, 3) fractional points in (-1/2, 1/2] and (n_k,) weights that sum to 1.

    Raises:
        ValueError: a size that is not three positive integers.
    """
    if len(size) != 3 or any(int(n) != n or n < 1 for n in size):
        raise ValueError(f"a k mesh is three positive integers, got {tuple(size)}")
    n = np.array([int(s) for s in size])
    steps = np.stack(np.meshgrid(*(np.arange(s) for s in n), indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.ravel_multi_index(tuple(steps.T), tuple(n))
    partner = np.ravel_multi_index(tuple((-steps % n).T), tuple(n))
    kept = number <= partner
    weights = np.where(number == partner, 1.0, 2.0)[kept] / len(steps)
    points = steps[kept] / n
    return np.where(points > 0.5, points - 1, points), weights


def is_gamma(kpoints: FloatArray) -> bool:
    """True for the Gamma point alone, where matrices are real."""
    return len(kpoints) == 1 and not np.any(kpoints)


def overlap_minimum(overlap: BlockMatrix, kpoints: FloatArray) -> float:
    """`s_min_eig`: smallest eigenvalue of S(k) over all k; not positive (`s_not_pd`) where S is no metric.

    Args:
        overlap: S, reference or predicted.
        kpoints: (n_k, 3) fractional.

    Returns:
        Dimensionless.
    """
    with blas_threads(overlap.n_orbitals):
        return min(float(np.linalg.eigvalsh(s).min()) for (s,) in matrices_at_k(kpoints, overlap))


def levels(
    hamiltonian: BlockMatrix, overlap: BlockMatrix | None, kpoints: FloatArray, treatment: Treatment = "canonical"
) -> FloatArray:
    """Eigenvalues eps of H(k) c = eps S(k) c at every k.

    Args:
        hamiltonian: H; absent directions are completed.
        overlap: S on any pairs (absent blocks are zero); None for an orthonormal basis.
        kpoints: (n_k, 3) fractional.
        treatment: what happens to eigenvalues of S below `S_THRESHOLD`: ``canonical`` projects their directions out,
            ``legacy`` raises them to the threshold.

    Returns:
        (n_k, n) in the unit of H, ascending; NaN for projected directions.
    """
    rows = []
    with blas_threads(hamiltonian.n_orbitals):
        for matrices in matrices_at_k(kpoints, hamiltonian, *([overlap] if overlap is not None else [])):
            if len(matrices) == 1:
                rows.append(np.linalg.eigvalsh(matrices[0]))
            else:
                rows.extend(_generalised(h, s, treatment)[None] for h, s in zip(*matrices))
    return np.concatenate(rows)


def _generalised(h: Matrices, s: Matrices, treatment: Treatment) -> FloatArray:
    """(n,) levels at one k: LAPACK's solver where S > threshold, else H in the basis U s^-1/2 of S = U s U^dagger."""
    if exceeds_threshold(s):
        return np.asarray(scipy.linalg.eigh(h, s, eigvals_only=True, check_finite=False))
    basis = orthonormal_basis(s, treatment)
    eps = np.full(len(s), np.nan)
    eps[: basis.shape[1]] = np.linalg.eigvalsh(basis.conj().T @ h @ basis)
    return eps


def orthonormal_basis(s: Matrices, treatment: Treatment) -> Matrices:
    """(n, m) basis X = U s^-1/2, X^dagger S X = 1, where S = U s U^dagger and small s are treated as in `levels`."""
    s_values, vectors = np.linalg.eigh(s)
    kept = s_values >= S_THRESHOLD if treatment == "canonical" else np.ones(len(s_values), dtype=bool)
    return np.asarray(vectors[:, kept] / np.sqrt(np.maximum(s_values[kept], S_THRESHOLD)))


def exceeds_threshold(s: Matrices) -> bool:
    """True where every eigenvalue of S (n, n) exceeds `S_THRESHOLD`: S - threshold has a Cholesky factor."""
    try:
        np.linalg.cholesky(s - S_THRESHOLD * np.eye(len(s)))
    except np.linalg.LinAlgError:
        return False
    return True


def matrices_at_k(kpoints: FloatArray, *operators: BlockMatrix) -> Iterator[tuple[Matrices, ...]]:
    """Matrices (b, n, n) of each operator, a batch of k points at a time; real at Gamma alone."""
    kpoints = np.atleast_2d(kpoints)
    if is_gamma(kpoints):
        yield tuple(operator.dense()[None] for operator in operators)
        return
    batch = max(1, _BATCH_BYTES // (16 * operators[0].n_orbitals ** 2))
    for start in range(0, len(kpoints), batch):
        yield tuple(operator.at_k(kpoints[start : start + batch]) for operator in operators)


@dataclass(frozen=True)
class Filling:
    """How electrons fill the levels of a mesh, two to a level.

    Attributes:
        occupied: number of occupied bands at each k, electrons / 2 rounded up.
        valence_top: highest level of the occupied bands (VBM; HOMO of a molecule).
        conduction_bottom: lowest level of the others (CBM; LUMO); NaN where there are none.
        fermi: middle between the highest filled and the lowest empty level when levels of all k are filled in order.
    """

    occupied: int
    valence_top: float
    conduction_bottom: float
    fermi: float

    @property
    def gap(self) -> float:
        """conduction_bottom - valence_top, zero where the bands overlap."""
        return max(0.0, self.conduction_bottom - self.valence_top)


def fill(eps: FloatArray, weights: FloatArray, electrons: float) -> Filling:
    """Fill levels with electrons, two to a level, the lowest first.

    Args:
        eps: (n_k, n) levels.
        weights: (n_k,) sum to 1.
        electrons: electrons in the cell.

    Raises:
        ValueError: no electrons, or more than the levels can hold.
    """
    occupied = occupied_levels(eps, electrons)
    empty = eps[:, occupied:]
    bottom = float(np.nanmin(empty)) if np.isfinite(empty).any() else float("nan")
    flat, load = eps.reshape(-1), 2 * np.repeat(weights, eps.shape[1])
    order = np.argsort(flat, kind="stable")
    filled = int(np.searchsorted(np.cumsum(load[order]), electrons - 1e-6))
    highest = flat[order[filled]]
    lowest = flat[order[min(filled + 1, len(flat) - 1)]]
    fermi = float(highest if np.isnan(lowest) else (highest + lowest) / 2)
    return Filling(occupied, float(eps[:, :occupied].max()), bottom, fermi)


def occupied_levels(eps: FloatArray, electrons: float) -> int:
    """Number of occupied levels at each k, electrons / 2 rounded up.

    Args:
        eps: (n_k, n) levels.
        electrons: electrons in the cell.

    Raises:
        ValueError: no electrons, or more than the levels can hold.
    """
    occupied, held = int(np.ceil(electrons / 2 - 1e-6)), int(np.isfinite(eps).all(axis=0).sum())
    if not 0 < occupied <= held:
        raise ValueError(f"{electrons} electrons do not fit the {held} levels of this basis")
    return occupied


def mean_level_error(
    predicted: FloatArray, reference: FloatArray, weights: FloatArray, chosen: NDArray[np.bool_]
) -> float:
    """k-weighted mean of |eps_pred - eps_ref| over chosen levels: sum_kn w_k |d_kn| / sum_kn w_k.

    Args:
        predicted: (n_k, n) levels.
        reference: (n_k, n) levels, band by band.
        weights: (n_k,).
        chosen: (n_k, n) levels to take.

    Returns:
        Unit of the levels; NaN where nothing is chosen.
    """
    total = float((weights[:, None] * chosen).sum())
    error = np.where(chosen, np.abs(predicted - reference), 0.0)
    return float((weights[:, None] * error).sum() / total) if total else float("nan")


def level_metrics(predicted: FloatArray, reference: FloatArray, electrons: float) -> dict[str, float]:
    """Errors of a molecule's levels.

    Args:
        predicted: (1, n) levels of the predicted H with the reference S.
        reference: (1, n) reference levels.
        electrons: electrons; electrons / 2 levels are occupied.

    Returns:
        ``eps_mae_occ`` (mean over occupied), ``homo_mae``, ``lumo_mae``, ``gap_mae``, unit of the levels.
    """
    occupied = occupied_levels(reference, electrons)
    ours, theirs = predicted[0], reference[0]
    error = np.abs(ours - theirs)
    lumo = error[occupied] if occupied < len(error) else np.nan
    gaps = [max(0.0, eps[occupied] - eps[occupied - 1]) if np.isfinite(lumo) else 0.0 for eps in (ours, theirs)]
    return {
        "eps_mae_occ": float(error[:occupied].mean()),
        "homo_mae": float(error[occupied - 1]),
        "lumo_mae": float(lumo),
        "gap_mae": float(abs(gaps[0] - gaps[1])),
    }


def band_metrics(
    predicted: FloatArray,
    reference: FloatArray,
    weights: FloatArray,
    *,
    electrons: float,
    mu: float,
    window: float,
    insulating: float,
) -> dict[str, float]:
    """Errors of a crystal's bands on a k mesh.

    The plain names compare absolute levels after the gauge shift ``mu`` of `slembench.metrics.matrix.gauge_shift`; the
    ``_aligned`` ones put both at their own valence-band maximum where the reference gap exceeds ``insulating``, else
    at their own Fermi level.

    Args:
        predicted: (n_k, n) levels of the predicted H with the reference S.
        reference: (n_k, n) reference levels.
        weights: (n_k,).
        electrons: electrons in the cell.
        mu: gauge shift, unit of the levels.
        window: half width of the window around the reference's Fermi level, unit of the levels.
        insulating: smallest gap of an insulator (`INSULATOR_EV`), unit of the levels.

    Returns:
        ``band_mae_occ``, ``band_mae_window``, ``band_mae_occ_aligned``, ``band_mae_window_aligned``, ``gap_mae``, unit
        of the levels; a window metric is NaN where no reference level lies in the window.
    """
    ours, theirs = fill(predicted, weights, electrons), fill(reference, weights, electrons)
    insulator = theirs.gap > insulating
    zero = (ours.valence_top, theirs.valence_top) if insulator else (ours.fermi, theirs.fermi)
    chosen = {"occ": _first(reference, theirs.occupied), "window": np.abs(reference - theirs.fermi) <= window}
    errors = {"gap_mae": abs(ours.gap - theirs.gap)}
    for name, mask in chosen.items():
        errors[f"band_mae_{name}"] = mean_level_error(predicted - mu, reference, weights, mask)
        errors[f"band_mae_{name}_aligned"] = mean_level_error(predicted - zero[0], reference - zero[1], weights, mask)
    return errors


def _first(eps: FloatArray, bands: int) -> NDArray[np.bool_]:
    return np.broadcast_to(np.arange(eps.shape[1]) < bands, eps.shape)


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
