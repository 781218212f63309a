"""Between a source's order and signs of orbitals and the canonical ones, for whole operators; and their Hermiticity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.data.sample import pair_name
from slembench.errors import DataError
from slembench.orbitals import CONVENTIONS, FloatArray, IntArray

HERMITIAN_TO = 1e-5
"""Both directions of a pair must agree to this fraction of the largest value; real files of all codes do to 1e-7."""


def to_canonical(matrix: BlockMatrix, shells: Mapping[int, Sequence[int]], convention: str) -> BlockMatrix:
    """Blocks as a file has them -> blocks in canonical order and signs.

    Args:
        matrix: blocks of the file's pairs; its basis gives the right sizes.
        shells: atomic number -> l of each shell in the file's order.
        convention: a key of `slembench.orbitals.CONVENTIONS`.

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
        back = np.argsort(index)
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


def _reordered(matrix: BlockMatrix, maps: Mapping[int, tuple[IntArray, FloatArray]]) -> BlockMatrix:
    if all((np.diff(index) == 1).all() and (sign == 1).all() for index, sign in maps.values()):
        return matrix
    values = np.empty_like(matrix.values)
    for zi, zj, pairs in matrix.pair_type_groups():
        (rows, row_sign), (columns, column_sign) = maps[zi], maps[zj]
        blocks = matrix.gather(pairs)[:, rows][:, :, columns] * (row_sign[:, None] * column_sign)
        values[matrix.offsets[pairs][:, None] + np.arange(blocks[0].size)] = blocks.reshape(len(pairs), -1)
    return matrix.with_values(values)
