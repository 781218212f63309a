"""Which order of orbitals a file has, by what its overlap matrix and its geometry say.

The overlap of an s orbital with the shell l of another atom is a multiple of the spherical harmonics Y_l of the
direction between them. Only the right order and relative signs of the components make every such row one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.errors import DataError
from slembench.orbitals import CONVENTIONS, Basis, FloatArray, IntArray, canonical_index
from slembench.rotations import spherical_harmonics

TOLERANCE = 1e-3
"""Largest angle (radian) between a row of the overlap and the spherical harmonics; single precision leaves 1e-5."""

SMALLEST = 1e-2
"""Rows shorter than this fraction of the longest one say nothing."""


def order_of_overlap(
    overlap: FloatArray,
    numbers: IntArray,
    positions: FloatArray,
    shells: Mapping[int, Sequence[int]],
    candidates: Sequence[str],
) -> str:
    """The convention that a molecule's overlap matrix is in.

    Args:
        overlap: (n, n) in the file's order.
        numbers: (N,) atomic numbers.
        positions: (N, 3) any unit.
        shells: atomic number -> l of each shell in the file's order.
        candidates: keys of `slembench.orbitals.CONVENTIONS`; the first one that fits is taken (for a linear molecule
            along z, say, several may).

    Returns:
        One of the candidates.

    Raises:
        DataError: none of them fits.
    """
    angles = {}
    for name in candidates:
        if any(l not in CONVENTIONS[name].order for ls in shells.values() for l in ls):
            continue
        angles[name] = largest_angle(_canonical(overlap, numbers, shells, name), positions)
        if angles[name] < TOLERANCE:
            return name
    found = ", ".join(f"{name} {angle:.2g}" for name, angle in angles.items())
    raise DataError(
        f"the overlap fits no known order of orbitals: its s-l rows should point along the bonds, the largest angles"
        f" (radian) are {found}; the geometry, its unit or the matrix is wrong"
    )


def largest_angle(overlap: BlockMatrix, positions: FloatArray) -> float:
    """Largest angle (radian) between an s-l row of S, in canonical order, and Y_l of the direction between the atoms.

    Args:
        overlap: S of a molecule.
        positions: (N, 3).
    """
    rows = list(_rows(overlap, overlap.vectors(positions, np.zeros((3, 3)))))
    longest = max((float(np.linalg.norm(found, axis=1).max(initial=0.0)) for found, _ in rows), default=0.0)
    worst = 0.0
    for found, wanted in rows:
        length = np.linalg.norm(found, axis=1)
        keep = length > SMALLEST * longest
        unit, wanted = found[keep] / length[keep, None], wanted[keep]
        away = unit - wanted * (unit * wanted).sum(axis=1, keepdims=True)
        worst = max(worst, float(np.linalg.norm(away, axis=1).max(initial=0.0)))
    return worst


def _rows(overlap: BlockMatrix, vectors: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """(p, 2l + 1) overlaps of one s shell with one shell l > 0, and unit Y_l of the directions, for all such shells."""
    for zi, zj, pairs in overlap.pair_type_groups():
        pairs = pairs[~overlap.onsite[pairs]]
        if not len(pairs):
            continue
        blocks, starts = overlap.gather(pairs), overlap.basis.shell_offsets(zj)
        for s in range(overlap.basis.shells[zi].count(0)):
            for l, start in zip(overlap.basis.shells[zj], starts):
                if l > 0:
                    wanted = spherical_harmonics(l, vectors[pairs])
                    yield blocks[:, s, start : start + 2 * l + 1], wanted / np.sqrt(2 * l + 1)


def _canonical(
    matrix: FloatArray, numbers: IntArray, shells: Mapping[int, Sequence[int]], convention: str
) -> BlockMatrix:
    index, sign = canonical_index(numbers, shells, convention)
    basis = Basis({z: tuple(sorted(ls)) for z, ls in shells.items()})
    return BlockMatrix.from_dense(basis, numbers, sign[:, None] * matrix[np.ix_(index, index)] * sign)
