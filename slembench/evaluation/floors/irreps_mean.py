"""The irreps mean: the best constant that a rotation leaves alone."""

from __future__ import annotations

import numpy as np

from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import FloatArray, IntArray


class IrrepsMean:
    """Mean of the scalar (0e) irreps over the training set: per element on-site, per element pair for pairs.

    The mean of every other irrep over orientations vanishes, so this is the best constant that a rotation leaves alone.

    Args:
        layout: irreps layout of the basis.
    """

    def __init__(self, layout: BlockIrreps) -> None:
        self.layout = layout
        n = len(layout.basis.elements)
        self._sums = [np.zeros((rows, layout.n_features)) for rows in (n, n * n)]
        self._counts = [np.zeros(n), np.zeros(n * n)]

    def add(
        self, operator: BlockMatrix, pair_index: IntArray, pair_shift: IntArray, vectors: FloatArray | None = None
    ) -> None:
        """Add one training structure.

        Args:
            operator: reference blocks.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
            vectors: not looked at.
        """
        species, pair_type = self.types(operator.numbers, pair_index)
        for k, (features, types) in enumerate(
            zip(self.layout.to_features(operator, pair_index, pair_shift), (species, pair_type))
        ):
            np.add.at(self._sums[k], types, features * self.layout.scalar)
            np.add.at(self._counts[k], types, 1)

    @property
    def means(self) -> tuple[FloatArray, FloatArray]:
        """Mean features per element (n, F) and per element pair (n * n, F), unit of the operator; zero where unseen."""
        onsite, pair = (s / np.maximum(c, 1)[:, None] for s, c in zip(self._sums, self._counts))
        return onsite, pair

    def predict(
        self, numbers: IntArray, pair_index: IntArray, pair_shift: IntArray, vectors: FloatArray | None = None
    ) -> BlockMatrix:
        """Blocks of a structure.

        Args:
            numbers: (N,) atomic numbers.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
            vectors: not looked at.
        """
        onsite, pair = self.means
        species, pair_type = self.types(numbers, pair_index)
        return self.layout.to_blocks(numbers, onsite[species], pair[pair_type], pair_index, pair_shift)

    def types(self, numbers: IntArray, pair_index: IntArray) -> tuple[IntArray, IntArray]:
        """(N,) number of each atom's element, and (P,) number of each pair's (element of i, element of j)."""
        elements = np.array(self.layout.basis.elements)
        species = np.searchsorted(elements, numbers)
        return species, species[pair_index[:, 0]] * len(elements) + species[pair_index[:, 1]]
