"""Operator blocks as irreps features: what a model predicts for an atom or a pair, and its conversion to blocks.

All elements share the united shell list of the basis (`Basis.union`). A pair (i, j, R) carries the shell pairs
a <= b of that list; the blocks with a > b are those of (j, i, -R), by Hermiticity. Each shell pair l1 (x) l2 is
coupled to L = |l1 - l2| .. l1 + l2 with parity (-1)^(l1 + l2) (Wigner-Eckart). Features of equal (L, parity)
stand together, channel-last: feature vector = concatenation over (L, parity) of (2L + 1, n_paths), row-major.
The map between features and matrix elements is orthogonal, so mean squares agree in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray, IntArray
from slembench.operators.rotations import clebsch_gordan

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class IrrepClass:
    """All coupled paths of one (L, parity).

    Attributes:
        l: L.
        parity: +1 or -1.
        start: first feature.
        shell_pairs: (n_paths, 2) int64 | shells (a, b) of the united list, one row a path.
    """

    l: int
    parity: int
    start: int
    shell_pairs: IntArray

    @property
    def n_paths(self) -> int:
        """Number of shell pairs that couple to this (L, parity)."""
        return len(self.shell_pairs)

    @property
    def polar(self) -> bool:
        """True where parity = (-1)^L (a polar tensor)."""
        return bool(self.parity == (-1) ** self.l)

    @property
    def slice(self) -> slice:
        """Features of this class."""
        return slice(self.start, self.start + (2 * self.l + 1) * self.n_paths)


class BlockIrreps:
    """Layout of one basis.

    Attributes:
        basis: shells per element.
        shells: united shell list, l ascending.
        shell_pairs: (n, 2) int64 | pairs a <= b of united shells, lexicographic.
        classes: irreps classes, L ascending, polar first.
        n_features: length F of the feature vector, equal to the number of elements of all shell pairs.

    Example:
        One s and one p shell: the pairs ss, sp and pp hold 1 + 3 + 9 elements and couple to these (L, parity):

        >>> layout = BlockIrreps(Basis.parse({"B": "1s1p"}))
        >>> layout.shell_pairs.tolist(), layout.n_features
        ([[0, 0], [0, 1], [1, 1]], 13)
        >>> [(c.l, c.parity, c.n_paths) for c in layout.classes]
        [(0, 1, 2), (1, -1, 1), (1, 1, 1), (2, 1, 1)]
    """

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self.shells = basis.union
        n = len(self.shells)
        self.shell_pairs = np.array([(a, b) for a in range(n) for b in range(a, n)], dtype=np.int64)
        self.classes = _irrep_classes(self.shells, self.shell_pairs)
        self.n_features = sum((2 * c.l + 1) * c.n_paths for c in self.classes)

    # -- per-feature tables --------------------------------------------------------------------------------

    @cached_property
    def l(self) -> IntArray:
        """(F,) int64 | L of each feature."""
        return np.concatenate([np.full((2 * c.l + 1) * c.n_paths, c.l) for c in self.classes])

    @cached_property
    def scalar(self) -> BoolArray:
        """(F,) bool | true scalars (0e)."""
        return np.concatenate([np.full((2 * c.l + 1) * c.n_paths, c.l == 0 and c.parity == 1) for c in self.classes])

    @cached_property
    def path(self) -> IntArray:
        """(F,) int64 | irrep (path) number that each feature belongs to, classes in order; for per-irrep scales."""
        starts = np.cumsum([0] + [c.n_paths for c in self.classes])
        return np.concatenate([np.tile(np.arange(c.n_paths) + s, 2 * c.l + 1) for c, s in zip(self.classes, starts)])

    @property
    def n_irreps(self) -> int:
        """Number of irreps (paths) in a feature vector."""
        return sum(c.n_paths for c in self.classes)

    @cached_property
    def _feature_shell_pair(self) -> IntArray:
        """(F,) int64 | row of `shell_pairs` that each feature belongs to."""
        row = {tuple(pair): k for k, pair in enumerate(self.shell_pairs.tolist())}
        return np.concatenate(
            [np.tile([row[tuple(p)] for p in c.shell_pairs.tolist()], 2 * c.l + 1) for c in self.classes]
        )

    @cached_property
    def _element_shell_pair(self) -> IntArray:
        """(F,) int64 | row of `shell_pairs` that each element belongs to."""
        sizes = [(2 * self.shells[a] + 1) * (2 * self.shells[b] + 1) for a, b in self.shell_pairs]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def _has_shell(self) -> BoolArray:
        """(n_elements, n_shells) bool | united shells that each element has: the first ones of every l."""
        return np.stack([np.isin(np.arange(len(self.shells)), self.basis.union_index(z)) for z in self.basis.elements])

    @cached_property
    def _pair_has(self) -> BoolArray:
        """(n_elements ** 2, n_shell_pairs) bool."""
        a, b = self.shell_pairs.T
        both = self._has_shell[:, None, a] & self._has_shell[None, :, b]
        return both.reshape(-1, len(self.shell_pairs))

    @cached_property
    def pair_mask(self) -> BoolArray:
        """(n_elements ** 2, F) bool | features that exist for a pair type s_i * n_elements + s_j."""
        return self._pair_has[:, self._feature_shell_pair]

    @cached_property
    def pair_element_mask(self) -> BoolArray:
        """(n_elements ** 2, F) bool | elements that exist for a pair type."""
        return self._pair_has[:, self._element_shell_pair]

    @cached_property
    def _onsite_rows(self) -> IntArray:
        n = len(self.basis.elements)
        return np.arange(n) * (n + 1)

    @cached_property
    def onsite_mask(self) -> BoolArray:
        """(n_elements, F) bool | features of an on-site block; odd L of a shell with itself vanish by symmetry."""
        a, b = self.shell_pairs[self._feature_shell_pair].T
        return np.asarray(self.pair_mask[self._onsite_rows] & ~((a == b) & (self.l % 2 == 1)))

    @cached_property
    def onsite_element_mask(self) -> BoolArray:
        """(n_elements, F) bool | elements of an on-site block (shell pairs a <= b, whole blocks)."""
        return self.pair_element_mask[self._onsite_rows]

    @cached_property
    def transpose_sign(self) -> FloatArray:
        """(F,) | +-1: shells (b, a) of the reverse pair, coupled to L, are the features of (a, b) times this.

        Clebsch-Gordan coefficients change by (-1)^(l1 + l2 - L) when l1 and l2 are exchanged: +1 for polar irreps.
        """
        return np.concatenate([np.full((2 * c.l + 1) * c.n_paths, 1.0 if c.polar else -1.0) for c in self.classes])

    # -- features <-> elements -----------------------------------------------------------------------------

    @cached_property
    def _couplings(self) -> list[tuple[IntArray, IntArray, FloatArray]]:
        """For each (l1, l2): features (n, d), elements (n, d), orthogonal matrix (d features, d elements)."""
        # one matrix product for all shell pairs of the same (l1, l2)
        by_type: dict[tuple[int, int], list[int]] = {}
        for row, (a, b) in enumerate(self.shell_pairs.tolist()):
            by_type.setdefault((self.shells[a], self.shells[b]), []).append(row)
        element_starts = np.searchsorted(self._element_shell_pair, np.arange(len(self.shell_pairs)))
        result = []
        for (l1, l2), rows in by_type.items():
            dim = (2 * l1 + 1) * (2 * l2 + 1)
            features = np.stack([np.flatnonzero(self._feature_shell_pair == row) for row in rows])
            # features of one shell pair, in rising feature number, are ordered by L and m: so is the matrix
            table = [clebsch_gordan(l1, l2, big).reshape(dim, -1).T for big in range(abs(l1 - l2), l1 + l2 + 1)]
            elements = element_starts[rows][:, None] + np.arange(dim)
            result.append((features, elements, np.concatenate(table)))
        return result

    def _torch_couplings(self, like: torch.Tensor) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], ...]:
        # Products are made type by type and joined in that order; `order` and `back` bring the result into the order of
        # elements and features. Kept per device and dtype, as building them costs more than using them.
        key = (like.device, like.dtype)
        cache = self.__dict__.setdefault("_torch_cache", {})
        if key not in cache:
            gather = [torch.as_tensor(f.reshape(-1), device=like.device) for f, _, _ in self._couplings]
            matrix = [torch.as_tensor(m).to(like) for _, _, m in self._couplings]
            order = np.concatenate([e.reshape(-1) for _, e, _ in self._couplings])
            back = np.concatenate([f.reshape(-1) for f, _, _ in self._couplings])
            scatter = [torch.as_tensor(e.reshape(-1), device=like.device) for _, e, _ in self._couplings]
            cache[key] = (
                list(zip(gather, matrix)),
                list(zip(scatter, matrix)),
                torch.as_tensor(np.argsort(order), device=like.device),
                torch.as_tensor(np.argsort(back), device=like.device),
            )
        return cache[key]  # type: ignore[no-any-return]

    def to_elements(self, features: torch.Tensor) -> torch.Tensor:
        """Matrix elements of the shell pairs a <= b from their coupled features; orthogonal, differentiable.

        ``block[m1, m2] = sum_(L, M) C[m1, m2, L M] feature[L M]`` for each shell pair.

        Args:
            features: (..., F) | any unit.

        Returns:
            (..., F) | shell pairs in order, each block row-major.
        """
        couplings, _, order, _ = self._torch_couplings(features)
        parts = [_couple(features, index, matrix) for index, matrix in couplings]
        return torch.cat(parts, dim=-1).index_select(-1, order)  # type: ignore[arg-type]

    def from_elements(self, elements: torch.Tensor) -> torch.Tensor:
        """Coupled features from matrix elements; the inverse of `to_elements`, same shapes."""
        _, couplings, _, order = self._torch_couplings(elements)
        parts = [_couple(elements, index, matrix.T) for index, matrix in couplings]
        return torch.cat(parts, dim=-1).index_select(-1, order)  # type: ignore[arg-type]

    # -- blocks <-> features -------------------------------------------------------------------------------

    @cache  # noqa: B019 - a layout lives as long as the program
    def block_places(self, z_i: int, z_j: int) -> tuple[IntArray, IntArray]:
        """Elements (k,) of a pair type and where each stands in the row-major block (n_i, n_j)."""
        e_i, e_j = self.basis.elements.index(z_i), self.basis.elements.index(z_j)
        first_i, first_j = (_first_orbital(self.shells, self._has_shell[e]) for e in (e_i, e_j))
        columns, places, start = [], [], 0
        for a, b in self.shell_pairs.tolist():
            rows, cols = 2 * self.shells[a] + 1, 2 * self.shells[b] + 1
            if self._has_shell[e_i, a] and self._has_shell[e_j, b]:
                place = (first_i[a] + np.arange(rows))[:, None] * self.basis.size(z_j) + first_j[b] + np.arange(cols)
                places.append(place.reshape(-1))
                columns.append(start + np.arange(rows * cols))
            start += rows * cols
        return np.concatenate(columns), np.concatenate(places)

    def to_features(
        self, matrix: BlockMatrix, pair_index: IntArray, pair_shift: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Coupled features of an operator.

        Args:
            matrix: the operator; missing directions are completed, missing blocks count as zero.
            pair_index: (P, 2) off-site pairs i, j.
            pair_shift: (P, 3) their translations.

        Returns:
            (N, F) on-site and (P, F) pair features, float64, unit of the operator; zero where masked.
        """
        n_atoms = len(matrix.numbers)
        index = np.concatenate([np.repeat(np.arange(n_atoms), 2).reshape(-1, 2), pair_index])
        shift = np.concatenate([np.zeros((n_atoms, 3), np.int64), pair_shift])
        aligned, _, _ = matrix.complete().align(index, shift)
        elements = np.zeros((aligned.n_pairs, self.n_features))
        for z_i, z_j, pairs in aligned.pair_type_groups():
            columns, places = self.block_places(z_i, z_j)
            elements[pairs[:, None], columns] = aligned.values[aligned.offsets[pairs][:, None] + places]
        features = self.from_elements(torch.from_numpy(elements)).numpy()
        return features[:n_atoms], features[n_atoms:]

    def to_blocks(
        self, numbers: IntArray, onsite: FloatArray, pair: FloatArray, pair_index: IntArray, pair_shift: IntArray
    ) -> BlockMatrix:
        """Hermitian operator from features.

        Args:
            numbers: (N,) atomic numbers.
            onsite: (N, F) features of the on-site blocks.
            pair: (P, F) features of the pairs; every pair's reverse must be in the list.
            pair_index: (P, 2) off-site pairs.
            pair_shift: (P, 3) translations.

        Returns:
            Operator on the on-site blocks, then the pairs in the given order; a shell with itself is averaged
            with the reverse pair's.

        Raises:
            ValueError: a pair without its reverse.

        Example:
            >>> layout = BlockIrreps(Basis.parse({"B": "1s1p"}))
            >>> one = BlockMatrix.from_dense(layout.basis, np.array([5]), np.diag([-3.0, 1.0, 1.0, 1.0]))
            >>> no_pairs = np.zeros((0, 2), int), np.zeros((0, 3), int)
            >>> onsite, pair = layout.to_features(one, *no_pairs)
            >>> onsite.round(3).tolist()[0][:2]  # the scalars: ss, and the trace of pp over sqrt(3)
            [-3.0, 1.732]
            >>> layout.to_blocks(one.numbers, onsite, pair, *no_pairs).dense().diagonal().round(12)
            array([-3.,  1.,  1.,  1.])
        """
        n_atoms = len(numbers)
        index = np.concatenate([np.repeat(np.arange(n_atoms), 2).reshape(-1, 2), pair_index])
        shift = np.concatenate([np.zeros((n_atoms, 3), np.int64), pair_shift])
        # Features hold the shell pairs a <= b of every directed pair. `half` has those elements and zeros elsewhere;
        # its transpose on the reverse pair brings those with a > b. A shell with itself (a = b) is in both: half each.
        features = torch.from_numpy(np.concatenate([onsite, pair]).astype(np.float64))
        elements = self.to_elements(features).numpy() * self.half_weight
        half = BlockMatrix.zeros(self.basis, numbers, index, shift)
        for z_i, z_j, pairs in half.pair_type_groups():
            columns, places = self.block_places(z_i, z_j)
            half.values[half.offsets[pairs][:, None] + places] = elements[pairs[:, None], columns]
        if (half.reverse < 0).any():
            i, j = half.pair_index[np.flatnonzero(half.reverse < 0)[0]]
            raise ValueError(f"pair ({i}, {j}) has no reverse pair in the list; predict both directions")
        return half.with_values(half.values + half.transposed().take(half.reverse).values)

    @cached_property
    def half_weight(self) -> FloatArray:
        """(F,) | 1/2 for elements of a shell with itself, which both directions hold; 1 otherwise."""
        a, b = self.shell_pairs[self._element_shell_pair].T
        return np.where(a == b, 0.5, 1.0)


def _irrep_classes(shells: Sequence[int], shell_pairs: IntArray) -> tuple[IrrepClass, ...]:
    # sorted by (L, axial): within one L the polar tensors, parity (-1)^L, come before the axial ones
    table: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    for a, b in shell_pairs.tolist():
        l1, l2 = shells[a], shells[b]
        for big in range(abs(l1 - l2), l1 + l2 + 1):
            table.setdefault((big, (l1 + l2 + big) % 2 == 1), []).append((a, b))
    classes, start = [], 0
    for (big, axial), pairs in sorted(table.items()):
        parity = (-1) ** big * (-1 if axial else 1)
        classes.append(IrrepClass(big, parity, start, np.array(pairs, dtype=np.int64)))
        start += (2 * big + 1) * len(pairs)
    return tuple(classes)


def _couple(values: torch.Tensor, index: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """values[..., index] in rows of matrix.shape[0], times the matrix, flat again."""
    picked = values.index_select(-1, index)
    rows = picked.reshape(*picked.shape[:-1], picked.shape[-1] // matrix.shape[0], matrix.shape[0])
    return (rows @ matrix).reshape(picked.shape)


def _first_orbital(shells: Sequence[int], present: BoolArray) -> IntArray:
    """First orbital, in an element's own numbering, of each united shell (meaningless where absent)."""
    sizes = np.where(present, [2 * l + 1 for l in shells], 0)
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
