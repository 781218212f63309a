"""Orbital order of whole operators: conversion to and from canonical order, inference from an overlap, Hermiticity.

The overlap of an s orbital with the shell l of another atom is a multiple of the spherical harmonics Y_l of the
direction between them (two-centre integrals depend on nothing else). Only the right order and relative signs of the
components make every such row one, which tells the order of files that do not state it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from slembench.core.errors import DataError
from slembench.data.sample import pair_name
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import CONVENTIONS, Basis, FloatArray, IntArray, canonical_index
from slembench.operators.rotations import spherical_harmonics

HERMITIAN_TO = 1e-5
"""Both directions of a pair must agree to this fraction of the largest value; real files of all codes do to 1e-7."""

TOLERANCE = 1e-3
"""Largest angle (radian) between a row of the overlap and the spherical harmonics; single precision leaves 1e-5."""

SMALLEST = 1e-2
"""Rows shorter than this fraction of the longest one are left out: their direction is rounding."""


def to_canonical(matrix: BlockMatrix, shells: Mapping[int, Sequence[int]], convention: str) -> BlockMatrix:
    """Blocks as a file has them -> blocks in canonical order and signs.

    Args:
        matrix: blocks of the file's pairs; its basis gives the right sizes.
        shells: atomic number -> l of each shell in the file's order.
        convention: a key of `slembench.operators.orbitals.CONVENTIONS`.

    Returns:
        The same pairs with rows and columns reordered and signed; exact.

    Raises:
        DataError: an l that the convention does not define.
    """
    return _reordered(matrix, orbital_maps(shells, convention))


def from_canonical(matrix: BlockMatrix, convention: str) -> BlockMatrix:
    """Blocks in canonical order -> blocks in the order and signs of ``convention``, shells ascending in l; exact.

    Raises:
        DataError: an l that the convention does not define.
    """
    maps = {}
    for z, (index, sign) in orbital_maps(matrix.basis.shells, convention).items():
        back = np.argsort(index)  # inverse permutation; signs are their own inverse
        maps[z] = (back, sign[back])
    return _reordered(matrix, maps)


def orbital_maps(shells: Mapping[int, Sequence[int]], convention: str) -> dict[int, tuple[IntArray, FloatArray]]:
    """Atomic number -> (index, sign) of `OrbitalConvention.index`, with an l it does not define as a `DataError`."""
    try:
        return {z: CONVENTIONS[convention].index(ls) for z, ls in shells.items()}
    except ValueError as error:
        raise DataError(str(error)) from error


def check_hermitian(matrix: BlockMatrix, place: str, key: str) -> None:
    """Refuse an operator of a format with both directions of every pair if they contradict each other.

    Args:
        matrix: operator as it was read; a block that is not there counts as zero.
        place: file and structure, named in the error.
        key: what in the file, named in the error.

    Raises:
        DataError: they differ by more than `HERMITIAN_TO` of the largest value.
    """
    # a reverse pair that is missing counts as zero: its partner must then be zero too, to the tolerance
    other = np.zeros_like(matrix.values)
    there = (matrix.reverse >= 0)[matrix.element_pair]
    other[there] = matrix.take(matrix.reverse[matrix.reverse >= 0]).transposed().values
    difference = np.abs(matrix.values - other)
    largest = float(np.abs(matrix.values).max(initial=0.0))
    if difference.max(initial=0.0) > HERMITIAN_TO * largest:
        worst = int(difference.argmax())
        block = pair_name(matrix, int(matrix.element_pair[worst]))
        raise DataError(
            f"{place}: key {key!r}: not Hermitian: block {block} and the block of the reverse pair"
            f"{'' if there[worst] else ' (which is missing)'} differ by {difference[worst]:.3g} (largest value"
            f" {largest:.3g}); the file is damaged"
        )


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
        candidates: keys of `slembench.operators.orbitals.CONVENTIONS`; the first one that fits is taken (for a
            linear molecule along z, say, several may).

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
        # the part of the row that is perpendicular to Y_l: sine of the angle between them, blind to the sign of S
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
                    # components of mean square 1 have the norm sqrt(2l + 1) in every direction
                    wanted = spherical_harmonics(l, vectors[pairs])
                    yield blocks[:, s, start : start + 2 * l + 1], wanted / np.sqrt(2 * l + 1)


def _canonical(
    matrix: FloatArray, numbers: IntArray, shells: Mapping[int, Sequence[int]], convention: str
) -> BlockMatrix:
    index, sign = canonical_index(numbers, shells, convention)
    basis = Basis.from_shells(shells)
    return BlockMatrix.from_dense(basis, numbers, sign[:, None] * matrix[np.ix_(index, index)] * sign)


def _reordered(matrix: BlockMatrix, maps: Mapping[int, tuple[IntArray, FloatArray]]) -> BlockMatrix:
    if all((np.diff(index) == 1).all() and (sign == 1).all() for index, sign in maps.values()):
        return matrix
    values = np.empty_like(matrix.values)
    for zi, zj, pairs in matrix.pair_type_groups():
        (rows, row_sign), (columns, column_sign) = maps[zi], maps[zj]
        # M' = s_i M[index_i, index_j] s_j for every block of this pair of elements
        blocks = matrix.gather(pairs)[:, rows][:, :, columns] * (row_sign[:, None] * column_sign)
        values[matrix.offsets[pairs][:, None] + np.arange(blocks[0].size)] = blocks.reshape(len(pairs), -1)
    return matrix.with_values(values)
