"""The shells of an element from its overlap blocks, for files that give only the number of orbitals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import SHELL_LETTERS, FloatArray
from slembench.operators.rotations import wigner_d

TOLERANCE = 1e-4
"""Largest deviation from symmetry, as a fraction of the largest value, in blocks that may be single precision."""

_ANGLE = 1.1  # radian; a multiple of 2 pi / n would leave some m components as they are


def infer_shells(size: int, own: FloatArray, others: list[tuple[FloatArray, FloatArray]]) -> tuple[int, ...] | None:
    """Angular momenta of an element's shells, canonical order, that its overlaps are symmetric with.

    S of an atom with itself does not change under any rotation, S with another atom not under rotations about the line
    between them. Splitting a shell into s orbitals would not break that, so of what fits the fewest shells are taken.

    Args:
        size: number of orbitals n.
        own: (n, n) overlap of the atom's orbitals.
        others: direction (3,) to another atom and overlap (n, m) with its orbitals.

    Returns:
        Ascending l of the shells; None where nothing fits or more than one set does.
    """
    with np.errstate(all="ignore"):  # numbers of a damaged file fit nothing
        # B B^T of a block with another atom has the symmetry of their line, whatever shells the other one has
        tests = [(axis, block @ block.T) for axis, block in others]
        tests += [(axis, own) for axis in (np.array([0.0, 0.6, 0.8]), np.array([0.8, -0.6, 0.0]))]
        rotations = [(_rotations(axis), matrix) for axis, matrix in tests]
        fitting = [shells for shells in _candidates(size) if all(_fits(shells, *test) for test in rotations)]
    fewest = min((len(shells) for shells in fitting), default=0)
    found = [shells for shells in fitting if len(shells) == fewest]
    return found[0] if len(found) == 1 else None


def shells_of_overlap(overlap: BlockMatrix, vectors: FloatArray, z: int) -> tuple[int, ...] | None:
    """`infer_shells` for an element of a structure.

    Args:
        overlap: S on a basis that gives the right number of orbitals (their shells do not matter).
        vectors: (P, 3) | from atom i to atom j of every block.
        z: atomic number.
    """
    atom = int(np.flatnonzero(overlap.numbers == z)[0])
    mine = overlap.pair_index[:, 0] == atom
    own = np.flatnonzero(mine & overlap.onsite)
    length = np.linalg.norm(vectors, axis=1)
    near = np.flatnonzero(mine & (length > 0))
    near = near[np.argsort(length[near])][:6]  # the strongest overlaps say most
    others = [(vectors[p] / length[p], overlap.gather(np.array([p]))[0]) for p in near.tolist()]
    return infer_shells(overlap.basis.size(z), overlap.gather(own)[0], others) if len(own) else None


def _candidates(size: int) -> Iterator[tuple[int, ...]]:
    """All shells of that many orbitals with no more shells of an l than of the one below, at least one s."""

    def extend(l: int, left: int, most: int) -> Iterator[list[int]]:
        """Numbers of shells of l, l + 1, ... that make ``left`` orbitals, at most ``most`` of l."""
        yield from [[]] if left == 0 else []
        if l < len(SHELL_LETTERS) and left > 0:
            for count in range(1, min(most, left // (2 * l + 1)) + 1):
                for rest in extend(l + 1, left - count * (2 * l + 1), count):
                    yield [count, *rest]

    for counts in filter(None, extend(0, size, size)):
        yield tuple(l for l, count in enumerate(counts) for _ in range(count))


def _fits(shells: tuple[int, ...], rotations: list[FloatArray], matrix: FloatArray) -> bool:
    """Whether a matrix of the atom's orbitals is unchanged by the rotation."""
    rotated = matrix.copy()
    starts = np.concatenate([[0], np.cumsum([2 * l + 1 for l in shells])])
    for l, a, b in zip(shells, starts[:-1], starts[1:]):
        rotated[a:b] = rotations[l] @ rotated[a:b]
    for l, a, b in zip(shells, starts[:-1], starts[1:]):
        rotated[:, a:b] = rotated[:, a:b] @ rotations[l].T
    return bool(np.abs(rotated - matrix).max() <= TOLERANCE * np.abs(matrix).max())


def _rotations(axis: FloatArray) -> list[FloatArray]:
    """Real Wigner matrices of every l for a turn about a unit axis (3,)."""
    # Rodrigues: R = 1 + sin(a) K + (1 - cos(a)) K^2 with K the cross-product matrix of the axis
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + np.sin(_ANGLE) * cross + (1 - np.cos(_ANGLE)) * cross @ cross
    return [wigner_d(l, turn) for l in range(len(SHELL_LETTERS))]
