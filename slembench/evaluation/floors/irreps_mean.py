"""The irreps-mean floor: the mean of the scalar irreps over the training set, the best invariant constant."""

from __future__ import annotations

import numpy as np

from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import FloatArray, IntArray


class IrrepsMean:
    """Mean of the scalar (0e) irreps over the training set: per element on-site, per element pair for pairs.

    The mean of every other irrep over orientations vanishes, so this is the best constant that a rotation leaves alone.

    Args:
        layout: irreps of the blocks of the basis.

    Example:
        Two atoms with s and p: of the on-site blocks the scalars are left, s-s and the mean of the p-p diagonal.

        >>> from slembench.operators.orbitals import Basis
        >>> basis, none = Basis.parse({"H": "1s1p"}), np.zeros((0, 2), int)
        >>> floor = IrrepsMean(BlockIrreps(basis))
        >>> for energy in (-1.0, -2.0):
        ...     h = BlockMatrix.from_dense(basis, np.array([1]), np.diag([energy, 1.0, 1.0, 4.0]))
        ...     floor.add(h, none, np.zeros((0, 3), int))
        >>> floor.predict(np.array([1]), none, np.zeros((0, 3), int)).dense().diagonal().round(6)
        array([-1.5,  2. ,  2. ,  2. ])
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
            vectors: ignored.
        """
        species, pair_type = self.types(operator.numbers, pair_index)
        for k, (features, types) in enumerate(
            zip(self.layout.to_features(operator, pair_index, pair_shift), (species, pair_type))
        ):
            np.add.at(self._sums[k], types, features * self.layout.scalar)  # += would count a type once a structure
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
            vectors: ignored.
        """
        onsite, pair = self.means
        species, pair_type = self.types(numbers, pair_index)
        return self.layout.to_blocks(numbers, onsite[species], pair[pair_type], pair_index, pair_shift)

    def types(self, numbers: IntArray, pair_index: IntArray) -> tuple[IntArray, IntArray]:
        """Types of atoms and pairs, by which means are kept apart.

        Args:
            numbers: (N,) atomic numbers.
            pair_index: (P, 2) pairs.

        Returns:
            (N,) number of each atom's element, and (P,) number of each pair's (element of i, element of j).

        Example:
            >>> from slembench.operators.orbitals import Basis
            >>> floor = IrrepsMean(BlockIrreps(Basis.parse({"H": "1s", "O": "2s1p"})))
            >>> floor.types(np.array([8, 1]), np.array([[0, 1], [1, 0]]))
            (array([1, 0]), array([2, 1]))
        """
        elements = np.array(self.layout.basis.elements)
        species = np.searchsorted(elements, numbers)
        return species, species[pair_index[:, 0]] * len(elements) + species[pair_index[:, 1]]
