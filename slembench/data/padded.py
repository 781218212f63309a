"""Blocks of many molecules in arrays of one shape: each padded with zeros to the united shells (`Basis.union`).

The layout of QHNet and its descendants; of H 2s1p and C 3s2p1d the blocks are 14 x 14, hydrogen in slots 0, 1, 3, 4, 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from slembench.operators.orbitals import Basis, FloatArray, IntArray

BoolArray = NDArray[np.bool_]


class PaddedLayout:
    """Where the orbitals of each element stand in a padded block.

    Attributes:
        width: orbitals of the united shells, the side W of a block.
        slots: atomic number -> (n,) int64 | slot of each of its orbitals: the first shells of every l.
        kind: (Z,) int64 | for an atomic number, which of the different sets of slots it has; -1 if it has no shells.
        kinds: the different sets of slots.
    """

    def __init__(self, basis: Basis) -> None:
        starts = np.concatenate([[0], np.cumsum([2 * l + 1 for l in basis.union])])
        self.width = int(starts[-1])
        self.slots: dict[int, IntArray] = {}
        for z in basis.elements:
            self.slots[z] = np.concatenate([np.arange(starts[p], starts[p + 1]) for p in basis.union_index(z)])
        # elements with equal shells (C, N, O, F of def2-SVP) are one kind: their blocks are moved together
        different = sorted({tuple(slots.tolist()) for slots in self.slots.values()})
        self.kinds = [np.array(slots) for slots in different]
        self.kind = np.full(max(self.slots) + 1, -1)
        for z, slots in self.slots.items():
            self.kind[z] = different.index(tuple(slots.tolist()))
        self._runs = [_runs(slots) for slots in self.kinds]
        there = np.zeros((len(self.kinds), self.width), dtype=bool)
        for kind, slots in enumerate(self.kinds):
            there[kind, slots] = True
        # (kind, kind, W, W) flattened to one row a pair of kinds
        self._masks = (there[:, None, :, None] & there[None, :, None, :]).reshape(-1, self.width, self.width)

    def masks(self, rows: IntArray, columns: IntArray) -> BoolArray:
        """(n, W, W) bool | elements that are not padding, for the kinds of row and column atoms (n,)."""
        return np.asarray(self._masks.take(rows * len(self.kinds) + columns, axis=0))

    def place(self, blocks: FloatArray, row: int, column: int) -> FloatArray:
        """Blocks (n, n_i, n_j) of two kinds of atom, padded: (n, W, W); themselves where nothing is to be added."""
        if blocks.shape[1:] == (self.width, self.width):
            return blocks
        padded = np.zeros((len(blocks), self.width, self.width))
        for slots, rows in self._runs[row]:
            for others, columns in self._runs[column]:
                padded[:, slots, others] = blocks[:, rows, columns]
        return padded


@dataclass(frozen=True, eq=False)
class PaddedBlocks:
    """Padded blocks of one operator of many molecules; all pairs of atoms within each molecule.

    Attributes:
        layout: of the blocks.
        numbers: (A,) int64 atomic numbers of all molecules.
        positions: (A, 3) Angstrom.
        molecule: (A,) int64 | which molecule an atom belongs to.
        pair_index: (P, 2) int64 | row atom and column atom of each off-site block, sorted by column, then row.
        onsite: (A, W, W) | unit of the operator.
        pair: (P, W, W) | same.
    """

    layout: PaddedLayout
    numbers: IntArray
    positions: FloatArray
    molecule: IntArray
    pair_index: IntArray
    onsite: FloatArray
    pair: FloatArray

    def masks(self) -> tuple[BoolArray, BoolArray]:
        """(A, W, W) and (P, W, W) bool | elements that are not padding."""
        kind = self.layout.kind[self.numbers]
        rows, columns = self.pair_index.T
        return self.layout.masks(kind, kind), self.layout.masks(kind[rows], kind[columns])


@dataclass(frozen=True, eq=False)
class MoleculeBlocks:
    """Blocks of one molecule, one triangle of the pairs: i <= j.

    Attributes:
        numbers: (N,) int64 atomic numbers.
        positions: (N, 3) Angstrom.
        pair_index: (P, 2) int64 | i, j of each block, none twice.
        values: (sum n_i n_j,) | blocks, row-major, in pair order.
    """

    numbers: IntArray
    positions: FloatArray
    pair_index: IntArray
    values: FloatArray


def padded_blocks(molecules: Sequence[MoleculeBlocks], layout: PaddedLayout) -> PaddedBlocks:
    """Padded blocks of some molecules; every group of blocks of one shape is moved at once."""
    counts = np.array([len(part.numbers) for part in molecules], dtype=np.int64)
    atoms = MoleculeAtoms(counts)
    numbers = np.concatenate([np.zeros(0, np.int64), *(part.numbers for part in molecules)])
    owner = np.repeat(np.arange(len(counts)), [len(part.pair_index) for part in molecules])
    local = np.concatenate([np.zeros((0, 2), np.int64), *(part.pair_index for part in molecules)])
    values = np.concatenate([np.zeros(0), *(part.values for part in molecules)])
    # atoms numbered through the batch
    i, j = (local + atoms.first[owner, None]).T
    kind = layout.kind[numbers]
    sizes = np.array([len(slots) for slots in layout.kinds])[kind]
    ends = np.cumsum(sizes[i] * sizes[j])  # each block's end in the joined values
    own = i == j
    onsite, pair = (np.zeros((n, layout.width, layout.width)) for n in (len(numbers), len(atoms.pair_index)))
    groups = (kind[i] * len(layout.kinds) + kind[j]) * 2 + own
    for code in sorted(set(groups.tolist())):
        group = np.flatnonzero(groups == code)
        (row, column), is_own = divmod(code // 2, len(layout.kinds)), code % 2
        shape = len(layout.kinds[row]), len(layout.kinds[column])
        blocks = layout.place(_blocks_at(values, ends[group], shape), row, column)
        if is_own:
            onsite[i[group]] = blocks
        else:
            ours = owner[group], *local[group].T
            pair[atoms.pair_number(ours[0], ours[1], ours[2])] = blocks
            # the other direction by Hermiticity; molecules are real, so the transpose will do
            pair[atoms.pair_number(ours[0], ours[2], ours[1])] = blocks.transpose(0, 2, 1)
    positions = np.concatenate([np.zeros((0, 3)), *(part.positions for part in molecules)])
    return PaddedBlocks(layout, numbers, positions, atoms.molecule, atoms.pair_index, onsite, pair)


class MoleculeAtoms:
    """Atoms and pairs of a batch of molecules, numbered through.

    Attributes:
        first: (M,) int64 | first atom of each molecule.
        first_pair: (M + 1,) int64 | first off-site pair of each molecule and, last, their number.
        molecule: (A,) int64 | molecule of each atom.
        pair_index: (P, 2) int64 | row and column atom of every off-site pair, sorted by column, then row.

    Args:
        counts: (M,) int64 atoms of each molecule.
    """

    def __init__(self, counts: IntArray) -> None:
        self._counts = counts
        self.first = np.cumsum(counts) - counts
        self.first_pair = np.concatenate([[0], np.cumsum(counts * (counts - 1))])
        self.molecule = np.repeat(np.arange(len(counts)), counts)
        others = counts[self.molecule] - 1
        columns = np.repeat(np.arange(len(self.molecule)), others)
        rank = np.arange(len(columns)) - np.repeat(np.cumsum(others) - others, others)
        rows = rank + self.first[self.molecule[columns]]
        # rows skip the column's own atom: numbers from it on move up by one
        self.pair_index = np.stack([rows + (rows >= columns), columns], axis=1)

    def pair_number(self, molecule: IntArray, row: IntArray, column: IntArray) -> IntArray:
        """(n,) int64 | number of the pair of two different atoms, each counted within its molecule."""
        width = self._counts[molecule] - 1
        return np.asarray(self.first_pair[molecule] + column * width + row - (row > column))


def _blocks_at(values: FloatArray, ends: IntArray, shape: tuple[int, int]) -> FloatArray:
    """(n, rows, columns) | copies of the blocks of one shape that end at ``ends`` (n,) of contiguous values."""
    # every window of `size` values as a row of a strided view; indexing it copies the wanted ones in one go
    size, step = shape[0] * shape[1], values.itemsize
    windows = as_strided(values, (len(values) - size + 1, size), (step, step), writeable=False)
    return np.asarray(windows[ends - size]).reshape(-1, *shape)


def _runs(slots: IntArray) -> list[tuple[slice, slice]]:
    """Slots without gaps as slices of the padded block, each with the orbitals that belong there."""
    cuts = np.flatnonzero(np.diff(slots) != 1) + 1
    ends = [0, *cuts.tolist(), len(slots)]
    return [(slice(int(slots[a]), int(slots[b - 1]) + 1), slice(a, b)) for a, b in zip(ends, ends[1:])]
