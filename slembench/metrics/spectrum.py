"""Levels of the generalised problem H c = eps S c, their filling, and the errors of predicted levels, float64.

Of H(k) and S(k) the lower triangle counts, as in LAPACK and most codes; take `BlockMatrix.hermitise` first where both
directions of a pair disagree. Levels are (n_k, n) arrays, ascending in each row; a direction that was projected out of
a nearly singular S is NaN at the end of its row. Weights are (n_k,) and sum to 1. Energies are in the unit of H.

Molecules are scored in the basis of their reference orbitals. With C^dagger S C = 1, the generalised problem of any H
in the same metric is the ordinary one of C^dagger H C, which is the diagonal reference levels plus the error
C^dagger dH C: two products and one symmetric diagonalisation, no overlap and no Cholesky factor. Its eigenvectors are
the overlaps C^dagger S C_pred themselves (`in_reference_basis`).

Example:
    H2 with one s orbital an atom: eps = (h + t) / (1 + s) and (h - t) / (1 - s).

    >>> import numpy as np
    >>> from slembench.operators.orbitals import Basis
    >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
    >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.7], [-0.7, -0.5]]))
    >>> s = BlockMatrix.from_dense(basis, atoms, np.array([[1, 0.6], [0.6, 1]]))
    >>> eps = levels(h, s, np.zeros((1, 3)))
    >>> eps.round(4), round(fill(eps, np.ones(1), 2).gap, 4)
    (array([[-0.75,  0.5 ]]), 1.25)
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
    """One BLAS thread for matrices of fewer than 512 orbitals: more cost more than they bring, on a busy machine much.

    Args:
        size: orbitals of the matrices that are diagonalised inside the ``with`` block.
    """
    return _threads().limit(limits=1, user_api="blas") if size < _ONE_THREAD_BELOW else nullcontext()


def k_mesh(size: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Gamma-centred k mesh, one of each pair k, -k: their levels are equal for real H(R), S(R).

    Args:
        size: points along each reciprocal vector.

    Returns:
        (n_k, 3) fractional points in (-1/2, 1/2] and (n_k,) weights that sum to 1.

    Raises:
        ValueError: a size that is not three positive integers.

    Example:
        Of the points 0, 1/3 and 2/3 = -1/3 of one direction the last two are one pair.

        >>> points, weights = k_mesh((3, 1, 1))
        >>> points[:, 0].round(4), weights.round(4)
        (array([0.    , 0.3333]), array([0.3333, 0.6667]))
    """
    if len(size) != 3 or any(int(n) != n or n < 1 for n in size):
        raise ValueError(f"a k mesh is three positive integers, got {tuple(size)}")
    n = np.array([int(s) for s in size])
    steps = np.stack(np.meshgrid(*(np.arange(s) for s in n), indexing="ij"), axis=-1).reshape(-1, 3)
    # k and -k are the same point of the mesh where -k = k modulo a reciprocal vector; else the one numbered first stays
    number = np.ravel_multi_index(tuple(steps.T), tuple(n))
    partner = np.ravel_multi_index(tuple((-steps % n).T), tuple(n))
    kept = number <= partner
    weights = np.where(number == partner, 1.0, 2.0)[kept] / len(steps)
    points = steps[kept] / n
    return np.where(points > 0.5, points - 1, points), weights


def is_gamma(kpoints: FloatArray) -> bool:
    """True for the Gamma point alone, where matrices are real.

    Example:
        >>> import numpy as np
        >>> is_gamma(np.zeros((1, 3))), is_gamma(k_mesh((2, 2, 1))[0])
        (True, False)
    """
    return len(kpoints) == 1 and not np.any(kpoints)


def min_eigenvalue(s: Matrices) -> float:
    """`s_min_eig`: smallest eigenvalue of S; not positive (`s_not_pd`) where S is no metric.

    Args:
        s: (n, n) or (n_k, n, n) Hermitian | S, reference or predicted, at one or more k points.

    Returns:
        Dimensionless.

    Example:
        Two s orbitals that overlap by 0.9, and by an impossible 1.1.

        >>> import numpy as np
        >>> [round(min_eigenvalue(np.array([[1, o], [o, 1]])), 4) for o in (0.9, 1.1)]
        [0.1, -0.1]
    """
    return float(np.linalg.eigvalsh(s).min())


def overlap_minimum(overlap: BlockMatrix, kpoints: FloatArray) -> float:
    """`min_eigenvalue` of S(k) over all k of a mesh.

    Args:
        overlap: S, reference or predicted.
        kpoints: (n_k, 3) fractional.

    Returns:
        Dimensionless.

    Example:
        Chain of atoms whose neighbours overlap by 0.3: S(k) = 1 + 0.6 cos 2 pi k, smallest at the zone border.

        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> basis, pairs = Basis.parse({"H": "1s"}), ([[0, 0], [0, 0]], [[0, 0, 0], [0, 0, 1]])
        >>> s = BlockMatrix(basis, np.array([1]), *pairs, np.array([1.0, 0.3]))
        >>> round(overlap_minimum(s, k_mesh((1, 1, 4))[0]), 6)
        0.4
    """
    with blas_threads(overlap.n_orbitals):
        return min(min_eigenvalue(s) for (s,) in matrices_at_k(kpoints, overlap))


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

    Example:
        The band -2 t cos 2 pi k of a chain with the hopping -t = -1 between neighbours.

        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), [[0, 0]], [[0, 0, 1]], np.array([-1.0]))
        >>> levels(chain, None, np.array([[0, 0, 0], [0, 0, 0.25], [0, 0, 0.5]])).round(4)
        array([[-2.],
               [-0.],
               [ 2.]])
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
    eps = np.full(len(s), np.nan)  # projected directions have no level, and stand at the end
    eps[: basis.shape[1]] = np.linalg.eigvalsh(basis.conj().T @ h @ basis)
    return eps


def orthonormal_basis(s: Matrices, treatment: Treatment) -> Matrices:
    """(n, m) basis X = U s^-1/2, X^dagger S X = 1, where S = U s U^dagger and small s are treated as in `levels`.

    Args:
        s: (n, n) Hermitian.
        treatment: ``canonical`` leaves the columns of small s out (m < n), ``legacy`` keeps all.

    Example:
        Three orbitals, of which two are the same function: one direction of three means nothing.

        >>> import numpy as np
        >>> s = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
        >>> orthonormal_basis(s, "canonical").shape, orthonormal_basis(s, "legacy").shape
        ((3, 2), (3, 3))
    """
    s_values, vectors = np.linalg.eigh(s)
    kept = s_values >= S_THRESHOLD if treatment == "canonical" else np.ones(len(s_values), dtype=bool)
    return np.asarray(vectors[:, kept] / np.sqrt(np.maximum(s_values[kept], S_THRESHOLD)))


def exceeds_threshold(s: Matrices) -> bool:
    """True where every eigenvalue of S (n, n) exceeds `S_THRESHOLD`: S - threshold has a Cholesky factor.

    Example:
        >>> import numpy as np
        >>> exceeds_threshold(np.diag([1.0, 1e-6])), exceeds_threshold(np.diag([1.0, 1e-10]))
        (True, False)
    """
    try:
        np.linalg.cholesky(s - S_THRESHOLD * np.eye(len(s)))
    except np.linalg.LinAlgError:
        return False
    return True


def matrices_at_k(kpoints: FloatArray, *operators: BlockMatrix) -> Iterator[tuple[Matrices, ...]]:
    """Matrices (b, n, n) of each operator, a batch of k points at a time; real at Gamma alone.

    Args:
        kpoints: (n_k, 3) fractional.
        operators: H, S ... of one structure.

    Example:
        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), [[0, 0]], [[0, 0, 1]], np.array([-1.0]))
        >>> [h.shape for (h,) in matrices_at_k(k_mesh((1, 1, 5))[0], chain)]
        [(3, 1, 1)]
    """
    kpoints = np.atleast_2d(kpoints)
    if is_gamma(kpoints):
        yield tuple(operator.dense()[None] for operator in operators)
        return
    # 16 bytes a complex number: a batch of n_k matrices (n, n) takes at most _BATCH_BYTES
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
        """`band_gap` of these two."""
        return band_gap(self.valence_top, self.conduction_bottom)


def band_gap(valence_top: float, conduction_bottom: float) -> float:
    """Gap, of whose error `gap_mae` is the mean: lowest empty level over all k - highest filled one, at least zero.

    Args:
        valence_top: highest level of the occupied bands.
        conduction_bottom: lowest level of the others; NaN where there are none.

    Returns:
        Unit of the levels; zero where bands overlap, or where there is no empty level.

    Example:
        >>> band_gap(-5.0, -3.5), band_gap(-5.0, -5.5)
        (1.5, 0.0)
    """
    return max(0.0, conduction_bottom - valence_top)


def fill(eps: FloatArray, weights: FloatArray, electrons: float) -> Filling:
    """Fill levels with electrons, two to a level, the lowest first.

    Args:
        eps: (n_k, n) levels.
        weights: (n_k,) sum to 1.
        electrons: electrons in the cell.

    Raises:
        ValueError: no electrons, or more than the levels can hold.

    Example:
        Two electrons in bands that overlap: the second band at the first k lies below the first one at the other.

        >>> import numpy as np
        >>> filling = fill(np.array([[-2.0, 0.0], [1.0, 3.0]]), np.array([0.5, 0.5]), 2)
        >>> filling.occupied, filling.valence_top, filling.conduction_bottom, filling.gap, filling.fermi
        (1, 1.0, 0.0, 0.0, 0.5)
    """
    occupied = occupied_levels(eps, electrons)
    empty = eps[:, occupied:]
    bottom = float(np.nanmin(empty)) if np.isfinite(empty).any() else float("nan")
    # levels of all k in order of energy, each with room for 2 w_k electrons; NaN ones are sorted to the end
    flat, load = eps.reshape(-1), 2 * np.repeat(weights, eps.shape[1])
    order = np.argsort(flat, kind="stable")
    filled = int(np.searchsorted(np.cumsum(load[order]), electrons - 1e-6))  # 1e-6: weights sum to 1 up to rounding
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

    Example:
        >>> import numpy as np
        >>> occupied_levels(np.zeros((4, 5)), 7)
        4
    """
    # an odd number of electrons fills the last level by half; 1e-6 as electrons of a card may be sums of decimals
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

    Example:
        The first band alone, at two k points of the weights 1/4 and 3/4.

        >>> import numpy as np
        >>> pred, ref = np.array([[0.1, 1.0], [0.3, 1.0]]), np.array([[0.0, 2.0], [0.0, 2.0]])
        >>> round(mean_level_error(pred, ref, np.array([0.25, 0.75]), np.array([[True, False]] * 2)), 6)
        0.25
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
        ``eps_mae_occ`` (mean over occupied), ``homo_mae``, ``lumo_mae``, ``gap_mae``, unit of the levels; lower is
        better.

    Source: QH9 (arXiv 2306.09549).

    Example:
        Four electrons, so that the second level is the HOMO.

        >>> import numpy as np
        >>> errors = level_metrics(np.array([[-10.1, -5.3, 1.0]]), np.array([[-10.0, -5.0, 1.2]]), 4)
        >>> {name: round(value, 4) for name, value in errors.items()}
        {'eps_mae_occ': 0.2, 'homo_mae': 0.3, 'lumo_mae': 0.2, 'gap_mae': 0.1}
    """
    occupied = occupied_levels(reference, electrons)
    pred, ref = predicted[0], reference[0]
    error = np.abs(pred - ref)
    lumo = error[occupied] if occupied < len(error) else np.nan
    gaps = [band_gap(eps[occupied - 1], eps[occupied]) if np.isfinite(lumo) else 0.0 for eps in (pred, ref)]
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

    The plain names compare absolute levels after the gauge shift ``mu`` of `slembench.metrics.matrix.gauge_shifts`; the
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
        of the levels; a window metric is NaN where no reference level lies in the window. Lower is better.

    Example:
        Every band 0.5 eV too high: an error of the energy zero, of which the aligned metrics know nothing.

        >>> import numpy as np
        >>> ref, weights = np.array([[-2.0, 3.0], [-1.0, 2.0]]), np.array([0.5, 0.5])
        >>> errors = band_metrics(ref + 0.5, ref, weights, electrons=2, mu=0.0, window=5.0, insulating=INSULATOR_EV)
        >>> [round(errors[name], 6) for name in ("gap_mae", "band_mae_occ", "band_mae_occ_aligned")]
        [0.0, 0.5, 0.0]
    """
    pred_fill, ref_fill = fill(predicted, weights, electrons), fill(reference, weights, electrons)
    # the Fermi level of an insulator is anywhere in its gap, so that its valence-band maximum is the better zero
    zeros = [f.valence_top if ref_fill.gap > insulating else f.fermi for f in (pred_fill, ref_fill)]
    chosen = {
        "occ": np.broadcast_to(np.arange(reference.shape[1]) < ref_fill.occupied, reference.shape),
        "window": np.abs(reference - ref_fill.fermi) <= window,
    }
    errors = {"gap_mae": abs(pred_fill.gap - ref_fill.gap)}
    for name, mask in chosen.items():
        errors[f"band_mae_{name}"] = mean_level_error(predicted - mu, reference, weights, mask)
        errors[f"band_mae_{name}_aligned"] = mean_level_error(predicted - zeros[0], reference - zeros[1], weights, mask)
    return errors


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

    Example:
        >>> import numpy as np
        >>> h, s = np.array([[-0.5, -0.7], [-0.7, -0.5]]), np.array([[1, 0.6], [0.6, 1]])
        >>> eps, c = orbitals(h, s)
        >>> eps.round(4), (c.T @ s @ c).round(4) + 0
        (array([-0.75,  0.5 ]), array([[1., 0.],
               [0., 1.]]))
    """
    if exceeds_threshold(s):
        eps, vectors = scipy.linalg.eigh(h, s, driver="gvd", check_finite=False)
        return np.asarray(eps), np.asarray(vectors)
    basis = orthonormal_basis(s, treatment)  # X; with c = X b the problem is X^dagger H X b = eps b
    eps, inner = np.linalg.eigh(basis.conj().T @ h @ basis)
    return eps, basis @ inner


def in_reference_basis(
    change: Matrices, levels: FloatArray, reference: Matrices
) -> tuple[FloatArray, Matrices, Matrices]:
    """Levels of a predicted H = H_ref + change in the metric of the reference, where H_ref is diagonal.

    Args:
        change: (n, n) Hermitian | predicted H - reference H.
        levels: (n,) or (m,) reference levels, unit of ``change``; those beyond m are ignored.
        reference: (n, m) orthonormal reference orbitals C.

    Returns:
        (m,) levels, (m, m) overlaps C^dagger S C_pred, column by column, and (m, m) C^dagger change C.

    Example:
        Reference levels 0 and 1, and an error that couples the two orbitals by 0.5.

        >>> import numpy as np
        >>> eps, overlaps, error = in_reference_basis(np.array([[0, 0.5], [0.5, 0]]), np.array([0.0, 1.0]), np.eye(2))
        >>> eps.round(4), np.abs(overlaps).round(4)
        (array([-0.2071,  1.2071]), array([[0.9239, 0.3827],
               [0.3827, 0.9239]]))
    """
    error = reference.conj().T @ (change @ reference)
    inner = error.copy()
    inner.flat[:: len(inner) + 1] += levels[: len(inner)]  # C^dagger H_ref C = diag(eps_ref)
    eps, overlaps = np.linalg.eigh(inner)
    return eps, overlaps, error


def bare_levels(h: NDArray[Any], s: NDArray[Any]) -> FloatArray:
    """(n,) levels of one generalised problem by LAPACK's own driver (sygvd / hegvd), as SciPy calls it.

    Args:
        h: (n, n) Hermitian.
        s: (n, n) Hermitian, positive definite; small eigenvalues are not treated.

    Example:
        >>> import numpy as np
        >>> bare_levels(np.array([[-0.5, -0.7], [-0.7, -0.5]]), np.array([[1, 0.6], [0.6, 1]])).round(4)
        array([-0.75,  0.5 ])
    """
    return np.asarray(scipy.linalg.eigh(h, s, eigvals_only=True, driver="gvd", check_finite=False))


def on_threads(work: Callable[[Task], Result], tasks: Sequence[Task], threads: int, size: int) -> Iterable[Result]:
    """Results of independent tasks in order, spread over threads.

    Args:
        work: what to do with one task; LAPACK and large products release the interpreter.
        tasks: the tasks.
        threads: at most so many at once.
        size: orbitals of the largest task; where it is small, each task has one BLAS thread of its own.

    Example:
        >>> list(on_threads(lambda x: x * x, [1, 2, 3], threads=2, size=10))
        [1, 4, 9]
    """
    with blas_threads(size):
        if threads <= 1 or len(tasks) <= 1:
            yield from map(work, tasks)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, tasks)
