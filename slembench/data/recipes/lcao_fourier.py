"""Bloch matrices on a k mesh to real-space blocks and back, for any localised-orbital code.

Conventions: ``M(k) = sum_R exp(2 pi i k.R) M(R)`` with k in fractional coordinates, and
``M_ij(R) = <i in cell 0 | M | j in cell R>`` (j displaced by +R). Only one triangle of pairs is kept:
``i < j`` with any R, and ``i == j`` with R lexicographically non-negative; ``M_ji(-R) = M_ij(R)^T`` for
the real operators of a time-reversal invariant system. Orbitals are in canonical order (shells grouped
by l, then zeta; m = -l..l).

Pure NumPy; no loop over pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import expit

from slembench.core.errors import DataError
from slembench.operators.orbitals import FloatArray, IntArray

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True)
class PairBlocks:
    """One triangle of atom pairs and where their blocks lie in a flat array.

    Attributes:
        index: (P, 2) | atoms i, j.
        shift: (P, 3) | lattice translation R of j.
        sizes: (N,) | orbitals of each atom.
    """

    index: IntArray
    shift: IntArray
    sizes: IntArray

    @cached_property
    def first_orbital(self) -> IntArray:
        """(N + 1,) | first orbital of each atom and, last, the number of orbitals."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @cached_property
    def offsets(self) -> IntArray:
        """(P + 1,) | start of each row-major block in the flat array and, last, its length."""
        return np.concatenate([[0], np.cumsum(self.sizes[self.index].prod(axis=1))])

    @property
    def onsite(self) -> NDArray[np.bool_]:
        """(P,) | pairs of an atom with itself in the same cell."""
        same: NDArray[np.bool_] = self.index[:, 0] == self.index[:, 1]
        return same & ~self.shift.any(axis=1)

    def groups(self) -> Iterator[tuple[IntArray, IntArray, IntArray, IntArray]]:
        """Pairs of equal block shape together.

        Yields:
            Pair numbers (G,), orbital rows (G, n, 1), orbital columns (G, 1, m), places in the flat array (G, n, m).
        """
        shapes = self.sizes[self.index]
        for n, m in np.unique(shapes, axis=0):
            pairs = np.flatnonzero((shapes == (n, m)).all(axis=1))
            first = self.first_orbital[self.index[pairs]]
            rows = first[:, 0, None, None] + np.arange(n)[:, None]
            columns = first[:, 1, None, None] + np.arange(m)
            yield pairs, rows, columns, self.offsets[pairs, None, None] + np.arange(n * m).reshape(n, m)


def half_mesh(size: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """One of each pair k, -k of the odd Gamma-centred mesh.

    Args:
        size: three odd numbers of k points.

    Returns:
        k points (nk, 3) fractional in (-1/2, 1/2), and weights (nk,) that sum to 1.

    Raises:
        DataError: an even size, on which +R and -R at the zone boundary cannot be told apart.

    Example:
        >>> points, weights = half_mesh((3, 1, 1))
        >>> points[:, 0].round(3).tolist(), weights.round(3).tolist()
        ([0.0, 0.333], [0.333, 0.667])
    """
    if any(n < 1 or n % 2 == 0 for n in size):
        raise DataError(f"the Fourier mesh must be odd along every axis, got {tuple(size)}")
    # M(-k) = M(k)^* for real operators: one of each pair is enough, with twice the weight, and Gamma with one
    axes = [np.arange(-(n // 2), n // 2 + 1) for n in size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    middle = len(grid) // 2  # Gamma; the points after it are minus the points before it
    weights = np.full(len(grid) - middle, 2.0 / len(grid))
    weights[0] /= 2
    return grid[middle:] / np.asarray(size), weights


def pairs_within(
    positions: FloatArray,
    cell: FloatArray,
    pbc: Sequence[bool],
    sizes: IntArray,
    radii: FloatArray,
    mesh: Sequence[int],
) -> PairBlocks:
    """Triangle of all pairs closer than half the sum of their radii, each the nearest image on the mesh.

    The Fourier transform on a mesh of n1 x n2 x n3 points gives one block for all translations that agree
    modulo (n1, n2, n3); it belongs to the nearest of them (Wigner-Seitz cell of the supercell, seen from i).

    Args:
        positions: (N, 3) Angstrom.
        cell: (3, 3) Angstrom, lattice vectors in rows.
        pbc: (3,) translations run only along periodic axes.
        sizes: (N,) orbitals of each atom.
        radii: (N,) Angstrom; the cutoff of a pair is ``(radii[i] + radii[j]) / 2``.
        mesh: points of the Fourier mesh.

    Returns:
        Pairs sorted by i, j, R.

    Raises:
        DataError: two images of one mesh class lie within the cutoff; the mesh is too coarse.
    """
    # how many cells to search: the longest cutoff plus the extent of the cell's contents, over the cell's heights
    reach = radii.max() + np.ptp(positions, axis=0) @ np.abs(np.linalg.inv(cell)) @ np.linalg.norm(cell, axis=1)
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    limit = np.where(pbc, np.ceil(reach / heights), 0).astype(int)
    axes = [np.arange(-n, n + 1) for n in limit]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = (positions[None, :] - positions[:, None])[:, :, None] + shifts @ cell
    cutoff = (radii[:, None] + radii[None, :]) / 2
    i, j, r = np.nonzero(np.linalg.norm(vectors, axis=-1) <= cutoff[:, :, None])
    shift = shifts[r]
    # a mesh of n points cannot tell R from R + n: each class must hold one translation within the cutoff
    classes = np.column_stack([i, j, np.mod(shift, mesh)])
    if len(np.unique(classes, axis=0)) < len(classes):
        raise DataError(f"mesh {tuple(mesh)} is too coarse: a pair within the cutoff has two images in one class")
    sign = np.sign(shift @ [4 * limit.max() ** 2 + 4, 2 * limit.max() + 1, 1])  # lexicographic sign of R
    keep = (i < j) | ((i == j) & (sign >= 0))
    return PairBlocks(np.column_stack([i, j])[keep], shift[keep], np.asarray(sizes, dtype=np.int64))


def to_real_space(
    matrices: ComplexArray, kpoints: FloatArray, weights: FloatArray, pairs: PairBlocks, mesh: Sequence[int]
) -> FloatArray:
    """Blocks ``M(R) = sum_k w_k exp(-2 pi i k.R) M(k)`` of a real operator.

    Args:
        matrices: (nk, nao, nao) on the points of `half_mesh`, canonical orbital order.
        kpoints: (nk, 3) fractional.
        weights: (nk,).
        pairs: which blocks, in which order.
        mesh: points of the Fourier mesh.

    Returns:
        Flat row-major blocks in the order of ``pairs``; unit of ``matrices``.
    """
    classes = np.stack(np.meshgrid(*map(np.arange, mesh), indexing="ij"), axis=-1).reshape(-1, 3)
    # one block for every class of translations; its real part alone, as the sum over k and -k makes it real:
    # Re[w exp(-2 pi i k.R) M(k)] = Re(phase) Re(M) - Im(phase) Im(M)
    phase = weights * np.exp(-2j * np.pi * classes @ kpoints.T)
    dense = np.tensordot(phase.real, matrices.real, 1) - np.tensordot(phase.imag, matrices.imag, 1)
    which = np.ravel_multi_index(tuple(np.mod(pairs.shift, mesh).T), tuple(mesh))
    flat = np.empty(pairs.offsets[-1])
    for members, rows, columns, places in pairs.groups():
        flat[places] = dense[which[members, None, None], rows, columns]
    return flat


def to_bloch(flat: FloatArray, pairs: PairBlocks, kpoints: FloatArray) -> ComplexArray:
    """Bloch matrices ``M(k) = sum_R exp(2 pi i k.R) M(R)`` of the triangle and its mirror image.

    Args:
        flat: blocks of ``pairs``.
        pairs: one triangle.
        kpoints: (nk, 3) fractional, any points.

    Returns:
        (nk, nao, nao), Hermitian.
    """
    nao = pairs.first_orbital[-1]
    matrices = np.zeros((len(kpoints), nao, nao), dtype=complex)
    # adding the conjugate transpose brings the other direction of every pair; on-site blocks would count twice
    share = np.where(pairs.onsite, 0.5, 1.0)
    for matrix, k in zip(matrices, kpoints):
        phase = share * np.exp(2j * np.pi * pairs.shift @ k)
        for members, rows, columns, places in pairs.groups():
            # add.at: pairs of equal i, j and different R add up on the same elements
            np.add.at(matrix, (rows, columns), phase[members, None, None] * flat[places])
    return np.asarray(matrices + matrices.conj().transpose(0, 2, 1))


def density_matrices(
    hamiltonian: ComplexArray, overlap: ComplexArray, weights: FloatArray, electrons: float, width: float
) -> tuple[ComplexArray, float]:
    """Spin-summed density matrices ``D(k) = sum_n f_n c_n c_n^dagger`` with f between 0 and 2.

    Args:
        hamiltonian: (nk, nao, nao) eV.
        overlap: (nk, nao, nao).
        weights: (nk,) summing to 1.
        electrons: number of electrons a cell.
        width: Fermi-Dirac width in eV.

    Returns:
        D(k) of shape (nk, nao, nao), which `to_real_space` turns into blocks, and the Fermi level in eV.
    """
    solved = [eigh(h, s) for h, s in zip(hamiltonian, overlap)]
    energies = np.array([values for values, _ in solved])

    def occupations(level: float) -> FloatArray:
        """Electrons (k, orbital) in the levels under a Fermi level, eV."""
        return np.asarray(2 * expit((level - energies) / width))

    # electrons rise with the Fermi level; it lies between the lowest and the highest level
    level = brentq(lambda mu: weights @ occupations(mu).sum(axis=1) - electrons, energies.min(), energies.max())
    filled = occupations(level)
    return np.array([(c * f) @ c.conj().T for (_, c), f in zip(solved, filled)]), float(level)


def contract(left: FloatArray, right: FloatArray, pairs: PairBlocks) -> float:
    """``sum_R sum_ij L_ij(R) . R_ij(R)`` over the triangle and its mirror image; electrons for D and S."""
    per_pair = np.add.reduceat(left * right, pairs.offsets[:-1])
    return float(np.where(pairs.onsite, 1.0, 2.0) @ per_pair)  # off-site blocks stand for both directions
