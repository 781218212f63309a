"""Blocks from the sparse elements of whole matrices, as programs with one matrix per R or a supercell write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats.orbital_order import orbital_maps
from slembench.operators.blocks import BlockMatrix, pair_keys
from slembench.operators.orbitals import Basis, FloatArray, IntArray


@dataclass(frozen=True)
class OrbitalMap:
    """Where each orbital of a structure in a source's order stands in the canonical blocks.

    Attributes:
        numbers: (N,) int64 | atomic numbers.
        shells: atomic number -> l of each shell in the source's order.
        convention: a key of `slembench.operators.orbitals.CONVENTIONS`.
    """

    numbers: IntArray
    shells: Mapping[int, Sequence[int]]
    convention: str

    @cached_property
    def basis(self) -> Basis:
        """Shells in ascending l."""
        return Basis.from_shells(self.shells)

    @cached_property
    def _table(self) -> tuple[IntArray, IntArray, FloatArray]:
        maps = orbital_maps(self.shells, self.convention)
        sizes = self.basis.sizes(self.numbers)
        atom = np.repeat(np.arange(len(self.numbers)), sizes)
        # argsort inverts the permutation: canonical place of each source orbital within its atom
        local = np.concatenate([np.argsort(maps[z][0]) for z in self.numbers.tolist()])
        sign = np.concatenate([maps[z][1] for z in self.numbers.tolist()])
        first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        return atom, local, sign[first + local]

    def blocks(self, rows: IntArray, columns: IntArray, shifts: IntArray, values: FloatArray) -> BlockMatrix:
        """Operator of its elements; what is not among them is zero in a block that has any, else there is no block.

        Args:
            rows: (n,) int64 | orbital in cell 0, in the source's order.
            columns: (n,) int64 | orbital in cell R, in the source's order.
            shifts: (n, 3) int64 | R.
            values: (n,) float64.

        Returns:
            Canonical order and signs; pairs sorted by i, j, R.

        Raises:
            DataError: a value that is not finite, an element that occurs twice, or a translation beyond 511 cells.
        """
        atom, local, sign = self._table
        if not np.isfinite(values).all():
            raise DataError("a matrix element is NaN or infinite")
        if np.abs(shifts).max(initial=0) > 511:
            raise DataError("a translation is beyond 511 cells")
        index = np.stack([atom[rows], atom[columns]], axis=1)
        _, first, pair = np.unique(pair_keys(index, shifts), return_index=True, return_inverse=True)
        matrix = BlockMatrix.zeros(self.basis, self.numbers, index[first], shifts[first])
        width = matrix.shapes[:, 1]
        # place in the flat array: block's start + row * columns of the block + column
        target = matrix.offsets[pair] + local[rows] * width[pair] + local[columns]
        if len(np.unique(target)) < len(target):
            raise DataError("a matrix element occurs more than once")
        matrix.values[target] = values * sign[rows] * sign[columns]
        return matrix
