"""The two-body floor: blocks as functions of species and distance vector only (Slater and Koster), fitted to data.

Every coupled irrep L of a pair is f_L(d) Y_L(direction), which is all that an equivariant function of one vector can
be: axial irreps vanish, and so does everything that the neighbours would add. f_L is a cubic spline of the distance for
each pair of elements, a linear least-squares fit. On-site blocks have no vector: they are the irreps mean.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from slembench.evaluation.floors.irreps_mean import IrrepsMean
from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.rotations import spherical_harmonics

KNOT_SPACING = 0.25
"""Distance between knots of the splines, Angstrom."""

_SMOOTHNESS = 1e-6  # weight of the second differences of the coefficients, relative to the data's
_RIDGE = 1e-5  # weight of the coefficients themselves, which are zero where there are no data


class TwoBody:
    """Fit of one operator.

    Args:
        layout: irreps layout of the basis.
        cutoff: longest pair, Angstrom.

    Example:
        s orbitals whose hopping is -exp(-d): three pairs of H2, and a prediction in between.

        >>> from slembench.operators.orbitals import Basis
        >>> basis, pairs, shifts = Basis.parse({"H": "1s"}), np.array([[0, 1], [1, 0]]), np.zeros((2, 3), int)
        >>> fit = TwoBody(BlockIrreps(basis), cutoff=3.0)
        >>> for d in np.linspace(0.5, 2.5, 41):
        ...     h = BlockMatrix.from_dense(basis, np.array([1, 1]), -np.exp(-d * (1 - np.eye(2))))
        ...     fit.add(h, pairs, shifts, np.array([[0, 0, d], [0, 0, -d]]))
        >>> blocks = fit.predict(np.array([1, 1]), pairs, shifts, np.array([[1.234, 0, 0], [-1.234, 0, 0]]))
        >>> blocks.gather(np.flatnonzero(~blocks.onsite)).reshape(-1).round(3), round(float(-np.exp(-1.234)), 3)
        (array([-0.291, -0.291]), -0.291)
    """

    def __init__(self, layout: BlockIrreps, cutoff: float) -> None:
        self.layout, self._onsite = layout, IrrepsMean(layout)
        inner = np.arange(0, cutoff + KNOT_SPACING, KNOT_SPACING)
        ends = KNOT_SPACING * np.arange(1, 4)  # a cubic spline has three knots more on either side
        self._knots = np.concatenate([inner[0] - ends[::-1], inner, inner[-1] + ends])
        self._polar = [c for c in layout.classes if c.polar]
        size, types = len(self._knots) - 4, len(layout.basis.elements) ** 2
        # normal equations (B^T B) a = B^T y of each element pair, B splines (pairs, K), y radial parts (pairs, irreps)
        self._normal = np.zeros((types, size, size))
        self._right = np.zeros((types, size, sum(c.n_paths for c in self._polar)))

    def add(self, operator: BlockMatrix, pair_index: IntArray, pair_shift: IntArray, vectors: FloatArray) -> None:
        """Add one training structure.

        Args:
            operator: reference blocks.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
            vectors: (P, 3) | Angstrom | r_j + R - r_i.
        """
        self._onsite.add(operator, pair_index, pair_shift)
        _, pair_type = self._onsite.types(operator.numbers, pair_index)
        features = self.layout.to_features(operator, pair_index, pair_shift)[1]
        radial, splines = self._project(features, vectors), self._splines(vectors)
        for kind in np.unique(pair_type):
            own = splines[pair_type == kind]
            self._normal[kind] += own.T @ own
            self._right[kind] += own.T @ radial[pair_type == kind]

    def predict(
        self, numbers: IntArray, pair_index: IntArray, pair_shift: IntArray, vectors: FloatArray
    ) -> BlockMatrix:
        """Blocks of a structure.

        Args:
            numbers: (N,) atomic numbers.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
            vectors: (P, 3) | Angstrom | r_j + R - r_i.
        """
        species, pair_type = self._onsite.types(numbers, pair_index)
        splines, coefficients = self._splines(vectors), self._coefficients()
        radial = np.zeros((len(vectors), self._right.shape[2]))
        for kind in np.unique(pair_type):
            radial[pair_type == kind] = splines[pair_type == kind] @ coefficients[kind]
        features = np.zeros((len(vectors), self.layout.n_features))
        start = 0
        for c in self._polar:
            harmonics = spherical_harmonics(c.l, vectors)
            own = harmonics[:, :, None] * radial[:, None, start : start + c.n_paths]
            features[:, c.slice] = own.reshape(len(vectors), -1)
            start += c.n_paths
        onsite = self._onsite.means[0][species]
        return self.layout.to_blocks(numbers, onsite, features, pair_index, pair_shift)

    def _project(self, features: FloatArray, vectors: FloatArray) -> FloatArray:
        """(P, n_irreps) component along the direction of the bond of every polar irrep."""
        parts = []
        for c in self._polar:
            own = features[:, c.slice].reshape(len(features), 2 * c.l + 1, c.n_paths)
            # component normalisation: sum_m Y_lm^2 = 2 l + 1, so that x = f Y has sum_m x_m Y_m / (2 l + 1) = f
            parts.append(np.einsum("pmn,pm->pn", own, spherical_harmonics(c.l, vectors)) / (2 * c.l + 1))
        return np.concatenate(parts, axis=1)

    def _splines(self, vectors: FloatArray) -> FloatArray:
        """(P, K) cubic B-splines at the lengths of the vectors."""
        distance = np.linalg.norm(vectors, axis=1)
        inside = np.clip(distance, 0, self._knots[-4] - 1e-9)  # SciPy refuses points beyond the last inner knot
        return np.asarray(BSpline.design_matrix(inside, self._knots, 3).toarray())

    def _coefficients(self) -> FloatArray:
        """(types, K, n_irreps) penalised least squares; zero where nothing was seen."""
        size = self._normal.shape[1]
        bends = np.diff(np.eye(size), n=2, axis=0)
        # both penalties are relative to the mean diagonal element of B^T B, hence independent of the number of pairs
        mean = np.trace(self._normal, axis1=1, axis2=2) / size
        scale = np.where(mean > 0, mean, 1.0)[:, None, None]
        penalty = scale * (_SMOOTHNESS * bends.T @ bends + _RIDGE * np.eye(size))
        return np.asarray(np.linalg.solve(self._normal + penalty, self._right))
