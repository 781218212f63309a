"""Block-sparse operator of one structure: H, S or D as blocks ``M_ij(R)`` of a list of pairs.

``M_ij(R) = <orbital of i in cell 0 | M | orbital of j in cell R>`` (j displaced by +R), row-major blocks
laid end to end in one flat array; ``M(k) = sum_R exp(2 pi i k.R) M(R)``; ``M_ij(R) = M_ji(-R)^dagger``.
Everything is vectorised over pairs; the only loops run over pairs of *elements*.

Example:
    A chain of one s orbital per cell: on-site energy 1, hopping -1 to the next cell, so E(k) = 1 - 2 cos(2 pi k).

    >>> import numpy as np
    >>> chain = BlockMatrix(
    ...     Basis.parse({"H": "1s"}), np.array([1]), np.zeros((2, 2), int), np.array([[0, 0, 0], [1, 0, 0]]),
    ...     np.array([1.0, -1.0]))
    >>> chain.at_k(np.array([[0.0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]])).real.round(12).ravel()
    array([-1.,  1.,  3.])
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slembench.operators.orbitals import Basis, FloatArray, IntArray

if TYPE_CHECKING:
    import scipy.sparse

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class BlockMatrix:
    """Operator blocks of one structure.

    Attributes:
        basis: shells per element.
        numbers: (N,) int64 | atomic numbers.
        pair_index: (P, 2) int64 | atoms i, j of each block.
        pair_shift: (P, 3) int64 | lattice translation R of atom j.
        values: (sum n_i n_j,) float64 or complex128 | blocks, row-major, in pair order; unit is the owner's.

    Raises:
        ValueError: shapes that do not fit one another, or atom numbers out of range.
    """

    basis: Basis
    numbers: IntArray
    pair_index: IntArray
    pair_shift: IntArray
    values: Values

    def __post_init__(self) -> None:
        for name, width in (("pair_index", 2), ("pair_shift", 3)):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int64)
            if array.size == 0:
                array = array.reshape(0, width)
            if array.ndim != 2 or array.shape[1] != width:
                raise ValueError(f"{name} must have shape (P, {width}), got {array.shape}")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "numbers", np.ascontiguousarray(self.numbers, dtype=np.int64))
        if len(self.pair_index) != len(self.pair_shift):
            raise ValueError(f"{len(self.pair_index)} pairs but {len(self.pair_shift)} shifts")
        if self.pair_index.size and (self.pair_index.min() < 0 or self.pair_index.max() >= len(self.numbers)):
            raise ValueError(f"pair_index out of range 0..{len(self.numbers) - 1}")
        if np.shape(self.values) != (int(self.offsets[-1]),):
            raise ValueError(
                f"values has shape {np.shape(self.values)}, the pairs and the basis need ({self.offsets[-1]},)"
            )

    # -- construction -------------------------------------------------------------------------------------

    @classmethod
    def zeros(
        cls, basis: Basis, numbers: IntArray, pair_index: IntArray, pair_shift: IntArray, dtype: type = np.float64
    ) -> BlockMatrix:
        """All-zero operator on a given list of pairs (shapes as in the class).

        Example:
            >>> basis, pairs = Basis.parse({"H": "1s", "O": "1s1p"}), np.array([[0, 0], [0, 1], [1, 1]])
            >>> BlockMatrix.zeros(basis, np.array([8, 1]), pairs, np.zeros((3, 3), int)).shapes.tolist()
            [[4, 4], [4, 1], [1, 1]]
        """
        sizes = basis.sizes(numbers)
        pairs = np.asarray(pair_index, dtype=np.int64).reshape(-1, 2)
        total = int((sizes[pairs[:, 0]] * sizes[pairs[:, 1]]).sum())
        return cls(basis, numbers, pairs, pair_shift, np.zeros(total, dtype=dtype))

    @classmethod
    def from_dense(cls, basis: Basis, numbers: IntArray, matrix: Values) -> BlockMatrix:
        """Operator of a molecule from its dense matrix (n, n) in canonical order; all N * N pairs, R = 0.

        Raises:
            ValueError: a matrix of another size than the basis needs.

        Example:
            >>> overlap = np.array([[1.0, 0.6], [0.6, 1.0]])
            >>> blocks = BlockMatrix.from_dense(Basis.parse({"H": "1s"}), np.array([1, 1]), overlap)
            >>> blocks.pair_index.tolist(), blocks.values.tolist()
            ([[0, 0], [0, 1], [1, 0], [1, 1]], [1.0, 0.6, 0.6, 1.0])
            >>> blocks.dense().tolist()
            [[1.0, 0.6], [0.6, 1.0]]
        """
        n_atoms = len(numbers)
        pairs = np.stack(np.divmod(np.arange(n_atoms**2), n_atoms), axis=1)
        empty = cls.zeros(basis, numbers, pairs, np.zeros((n_atoms**2, 3), np.int64))
        if np.shape(matrix) != (empty.n_orbitals,) * 2:
            raise ValueError(f"matrix has shape {np.shape(matrix)}, the basis needs {(empty.n_orbitals,) * 2}")
        return empty.with_values(matrix[empty.element_rows, empty.element_columns])

    def with_values(self, values: Values) -> BlockMatrix:
        """The same pairs with other values (sum n_i n_j,)."""
        return replace(self, values=values)

    # -- shape --------------------------------------------------------------------------------------------

    @cached_property
    def shapes(self) -> IntArray:
        """(P, 2) int64 | rows and columns of each block."""
        sizes: IntArray = self.basis.sizes(self.numbers)[self.pair_index]
        return sizes

    @cached_property
    def offsets(self) -> IntArray:
        """(P + 1,) int64 | first value of each block and, last, the number of values."""
        ends: IntArray = np.cumsum(self.shapes[:, 0] * self.shapes[:, 1], dtype=np.int64)
        return np.concatenate([np.zeros(1, np.int64), ends])

    @property
    def n_pairs(self) -> int:
        """Number of blocks."""
        return len(self.pair_index)

    @property
    def n_orbitals(self) -> int:
        """Number of orbitals in the cell."""
        return int(self.basis.sizes(self.numbers).sum())

    @cached_property
    def onsite(self) -> NDArray[np.bool_]:
        """(P,) bool | pairs with i = j and R = 0."""
        same = self.pair_index[:, 0] == self.pair_index[:, 1]
        return np.asarray(same & (self.pair_shift == 0).all(axis=1))

    def pair_type_groups(self) -> Iterator[tuple[int, int, IntArray]]:
        """Pairs grouped by (element of i, element of j): yields (Z_i, Z_j, pair numbers (p,))."""
        z = self.numbers[self.pair_index]
        key = z[:, 0] * 1000 + z[:, 1]  # atomic numbers have at most three digits
        for code in np.unique(key).tolist():
            yield code // 1000, code % 1000, np.flatnonzero(key == code)

    def gather(self, pairs: IntArray) -> Values:
        """Blocks of pairs that share one shape, as (p, n_i, n_j)."""
        rows, columns = self.shapes[pairs[0]]
        index = self.offsets[pairs][:, None] + np.arange(rows * columns)
        return np.asarray(self.values[index].reshape(len(pairs), rows, columns))

    @cached_property
    def element_pair(self) -> IntArray:
        """(n_values,) int64 | pair that each value belongs to."""
        return np.repeat(np.arange(self.n_pairs), np.diff(self.offsets))

    @cached_property
    def _element_local(self) -> tuple[IntArray, IntArray]:
        within = np.arange(self.offsets[-1]) - self.offsets[self.element_pair]
        row, column = np.divmod(within, self.shapes[self.element_pair, 1])
        return row, column

    @cached_property
    def element_rows(self) -> IntArray:
        """(n_values,) int64 | row orbital (in the cell) of each value."""
        first = self.basis.orbital_offsets(self.numbers)
        return np.asarray(first[self.pair_index[self.element_pair, 0]] + self._element_local[0])

    @cached_property
    def element_columns(self) -> IntArray:
        """(n_values,) int64 | column orbital (in the cell) of each value."""
        first = self.basis.orbital_offsets(self.numbers)
        return np.asarray(first[self.pair_index[self.element_pair, 1]] + self._element_local[1])

    # -- pairs --------------------------------------------------------------------------------------------

    def pair_keys(self) -> IntArray:
        """(P,) int64 | one number for each (i, j, R), the same for equal triples in any operator."""
        return pair_keys(self.pair_index, self.pair_shift)

    @cached_property
    def reverse(self) -> IntArray:
        """(P,) int64 | number of the pair (j, i, -R), or -1 where it is not in the list; itself for on-site pairs."""
        return lookup(self.pair_keys(), pair_keys(self.pair_index[:, ::-1], -self.pair_shift))

    def take(self, pairs: IntArray) -> BlockMatrix:
        """Only the pairs with the given numbers (p,), in that order."""
        # the values of chosen pair p stand at offset[p] + 0 .. length[p] - 1: one running number for all of them, plus
        # for each pair the distance between its old and its new first value
        lengths = np.diff(self.offsets)[pairs]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        index = np.arange(starts[-1]) + np.repeat(self.offsets[:-1][pairs] - starts[:-1], lengths)
        return replace(
            self, pair_index=self.pair_index[pairs], pair_shift=self.pair_shift[pairs], values=self.values[index]
        )

    def transposed(self) -> BlockMatrix:
        """Block by block M_ij(R)^dagger as the block of (j, i, -R), in the same pair order."""
        rows, columns = self._element_local
        new = replace(
            self, pair_index=self.pair_index[:, ::-1], pair_shift=-self.pair_shift, values=np.empty_like(self.values)
        )
        # a transposed block has as many columns as this one has rows, and begins at the same offset
        target = self.offsets[self.element_pair] + columns * self.shapes[self.element_pair, 0] + rows
        new.values[target] = self.values.conj()
        return new

    def in_triangle(self) -> NDArray[np.bool_]:
        """(P,) bool | pairs of the stored triangle: i < j, or i = j and R lexicographically >= 0."""
        return in_triangle(self.pair_index, self.pair_shift)

    def triangle(self) -> BlockMatrix:
        """One of each pair (i, j, R) / (j, i, -R), the one that `in_triangle` says; completed first."""
        full = self.complete()
        return full.take(np.flatnonzero(full.in_triangle()))

    def complete(self) -> BlockMatrix:
        """Both directions of every pair; what is missing comes from Hermiticity, what is there stays as it is.

        Example:
            >>> half = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), np.zeros((2, 2), int),
            ...                    np.array([[0, 0, 0], [1, 0, 0]]), np.array([1.0, -1.0]))
            >>> half.complete().pair_shift[:, 0].tolist(), half.complete().values.tolist()
            ([0, 1, -1], [1.0, -1.0, -1.0])
        """
        missing = np.flatnonzero(self.reverse < 0)
        if not len(missing):
            return self
        return concatenate([self, self.take(missing).transposed()])

    def hermitise(self) -> BlockMatrix:
        """(M + M^dagger) / 2 on the completed pair list.

        Example:
            >>> basis, matrix = Basis.parse({"H": "1s"}), np.array([[1.0, 2.0], [4.0, 1.0]])
            >>> rounded = BlockMatrix.from_dense(basis, np.array([1, 1]), matrix)
            >>> rounded.hermiticity_error(), rounded.hermitise().dense().tolist()
            (2.0, [[1.0, 3.0], [3.0, 1.0]])
        """
        # two orders have to agree: `transposed` keeps the pair order but holds the reverse pairs, `reverse` sorts them
        full = self.complete()
        return full.with_values((full.values + full.transposed().take(full.reverse).values) / 2)

    def hermiticity_error(self) -> float:
        """Max |M_ij(R) - M_ji(-R)^dagger| over pairs of which both directions are there; 0 if there are none."""
        both = np.flatnonzero(self.reverse >= 0)
        if not len(both):
            return 0.0
        difference = self.take(both).values - self.take(self.reverse[both]).transposed().values
        return float(np.abs(difference).max(initial=0.0))

    def align(self, pair_index: IntArray, pair_shift: IntArray) -> tuple[BlockMatrix, IntArray, IntArray]:
        """The operator on another list of pairs: missing blocks are zero.

        Args:
            pair_index: (Q, 2) atoms of the wanted pairs.
            pair_shift: (Q, 3) translations of the wanted pairs.

        Returns:
            The operator on that list, the numbers of wanted pairs that this operator lacks, and the numbers of
            this operator's pairs that were not wanted.
        """
        wanted = pair_keys(pair_index, pair_shift)
        found = lookup(self.pair_keys(), wanted)
        missing, present = np.flatnonzero(found < 0), np.flatnonzero(found >= 0)
        extra = np.setdiff1d(np.arange(self.n_pairs), found[present])
        # scatter what is there into zeros; blocks of one pair have one shape in both lists, so lengths agree
        result = BlockMatrix.zeros(self.basis, self.numbers, pair_index, pair_shift, dtype=self.values.dtype.type)
        source, target = self.take(found[present]), result.offsets
        lengths = np.diff(result.offsets)[present]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        result.values[np.arange(starts[-1]) + np.repeat(target[:-1][present] - starts[:-1], lengths)] = source.values
        return result, missing, extra

    def vectors(self, positions: FloatArray, cell: FloatArray) -> FloatArray:
        """(P, 3) | r_j + R - r_i, in the unit of ``positions`` (N, 3) and ``cell`` (3, 3 rows)."""
        return pair_vectors(positions, cell, self.pair_index, self.pair_shift)

    def truncate(
        self,
        threshold: float = 0.0,
        *,
        cutoff: float | None = None,
        positions: FloatArray | None = None,
        cell: FloatArray | None = None,
    ) -> BlockMatrix:
        """Without the pairs whose largest |value| is below ``threshold``, or that are longer than ``cutoff``.

        Args:
            threshold: in the unit of the values; on-site blocks always stay.
            cutoff: distance in the unit of ``positions``; needs the two that follow.
            positions: (N, 3) | any length unit.
            cell: (3, 3) | the same unit | rows are lattice vectors.

        Raises:
            ValueError: a cutoff without positions or cell.
        """
        largest = np.maximum.reduceat(np.abs(self.values), self.offsets[:-1]) if self.n_pairs else np.zeros(0)
        keep = (largest >= threshold) | self.onsite
        if cutoff is not None:
            if positions is None or cell is None:
                raise ValueError("truncate with a cutoff needs positions and cell")
            keep &= np.linalg.norm(self.vectors(positions, cell), axis=1) <= cutoff
        return self.take(np.flatnonzero(keep))

    # -- other forms --------------------------------------------------------------------------------------

    def dense(self) -> Values:
        """(n, n) matrix of a molecule or of the Gamma point: the sum over R of the completed blocks.

        Example:
            >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), np.zeros((2, 2), int),
            ...                     np.array([[0, 0, 0], [1, 0, 0]]), np.array([1.0, -1.0]))
            >>> chain.dense()  # 1 - 1 - 1: the hoppings to both neighbours fall on the same element
            array([[-1.]])
        """
        full = self.complete()
        matrix = np.zeros((self.n_orbitals,) * 2, dtype=self.values.dtype)
        # add.at, not +=: in a crystal several R fall on one element, and += would keep the last of them only
        np.add.at(matrix, (full.element_rows, full.element_columns), full.values)
        return matrix

    def at_k(self, kpoints: FloatArray) -> NDArray[np.complex128]:
        """M(k) = sum_R exp(2 pi i k.R) M(R).

        Args:
            kpoints: (n_k, 3) fractional.

        Returns:
            (n_k, n, n) complex128, Hermitian to rounding for a Hermitian operator.

        Example:
            Two atoms a cell, hopping -1 within the cell and -0.5 to the next one: E = +- |1 + 0.5 exp(2 pi i k)|.

            >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1, 1]), np.array([[0, 1], [1, 0]]),
            ...                     np.array([[0, 0, 0], [1, 0, 0]]), np.array([-1.0, -0.5]))
            >>> np.linalg.eigvalsh(chain.at_k([[0.0, 0, 0], [0.5, 0, 0]])).round(12)
            array([[-1.5,  1.5],
                   [-0.5,  0.5]])
        """
        import scipy.sparse  # here, since lists and boards import this module and need no matrices

        # One sparse product for all k: rows of `cells` are the translations, columns the n * n elements of M(R), so
        # that phases (n_k, n_R) times it is the sum over R; only elements that some block holds are stored.
        full, n = self.complete(), self.n_orbitals
        shifts, cell_of_pair = np.unique(full.pair_shift, axis=0, return_inverse=True)
        phases = np.exp(2j * np.pi * np.atleast_2d(kpoints) @ shifts.T)
        flat = full.element_rows * n + full.element_columns
        cells = scipy.sparse.csr_matrix(
            (full.values, (cell_of_pair.reshape(-1)[full.element_pair], flat)), shape=(len(shifts), n * n)
        )
        return np.asarray((cells.T @ phases.T).T).reshape(-1, n, n)

    def sparse(self) -> tuple[IntArray, list[scipy.sparse.csr_matrix]]:
        """Translations (n_R, 3) and the sparse (n, n) matrix of each, of the completed operator."""
        import scipy.sparse

        full, n = self.complete(), self.n_orbitals
        shifts, cell_of_pair = np.unique(full.pair_shift, axis=0, return_inverse=True)
        cell_of_value = cell_of_pair.reshape(-1)[full.element_pair]
        # values sorted by translation, each translation a run of them; stable, to keep the order within a matrix
        order = np.argsort(cell_of_value, kind="stable")
        bounds = np.searchsorted(cell_of_value[order], np.arange(len(shifts) + 1))
        parts = [order[a:b] for a, b in zip(bounds[:-1], bounds[1:])]
        return shifts, [
            scipy.sparse.csr_matrix((full.values[p], (full.element_rows[p], full.element_columns[p])), shape=(n, n))
            for p in parts
        ]

    def rotate(self, rotation: FloatArray) -> BlockMatrix:
        """The operator of the rotated structure, D(Q) M D(Q)^T block by block.

        Args:
            rotation: (3, 3) orthogonal matrix Q acting on Cartesian column vectors; may be improper.

        Example:
            An s and a p orbital along x, <s| M |p> = (y 0, z 0, x 1); a quarter turn about z takes x to y.

            >>> block = BlockMatrix(Basis.parse({"H": "1s", "He": "1p"}), np.array([1, 2]), np.array([[0, 1]]),
            ...                     np.zeros((1, 3), int), np.array([0.0, 0.0, 1.0]))
            >>> quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
            >>> block.rotate(quarter).values.round(12) + 0.0
            array([1., 0., 0.])
        """
        from slembench.operators.rotations import wigner_d  # imports torch and e3nn, which nothing else here needs

        blocks = {z: _block_diagonal([wigner_d(l, rotation) for l in ls]) for z, ls in self.basis.shells.items()}
        values = np.empty_like(self.values)
        for zi, zj, pairs in self.pair_type_groups():
            rotated = blocks[zi] @ self.gather(pairs) @ blocks[zj].T
            index = self.offsets[pairs][:, None] + np.arange(rotated[0].size)
            values[index] = rotated.reshape(len(pairs), -1)
        return self.with_values(values)

    # -- arithmetic ---------------------------------------------------------------------------------------

    def __add__(self, other: BlockMatrix) -> BlockMatrix:
        return self._combine(other, 1.0)

    def __sub__(self, other: BlockMatrix) -> BlockMatrix:
        return self._combine(other, -1.0)

    def __mul__(self, factor: float) -> BlockMatrix:
        return self.with_values(self.values * factor)

    __rmul__ = __mul__

    def _combine(self, other: BlockMatrix, factor: float) -> BlockMatrix:
        """Self + factor * other on the union of the pair lists: own pairs in their order, then additional ones."""
        if not np.array_equal(self.numbers, other.numbers) or self.basis.shells != other.basis.shells:
            raise ValueError("operators of different structures or bases cannot be combined")
        aligned, _, extra = other.align(self.pair_index, self.pair_shift)
        total = self.with_values(self.values + factor * aligned.values)
        return concatenate([total, other.take(extra) * factor]) if len(extra) else total


def pair_vectors(positions: FloatArray, cell: FloatArray, pair_index: IntArray, pair_shift: IntArray) -> FloatArray:
    """Vectors r_j + R - r_i of pairs (i, j, R): the only place where they are computed.

    Args:
        positions: (N, 3) | any length unit.
        cell: (3, 3) | rows are lattice vectors; or (P, 3, 3), a cell for each pair where structures are joined.
        pair_index: (P, 2) atoms i, j.
        pair_shift: (P, 3) lattice translations R of atom j.

    Returns:
        (P, 3) | the unit of ``positions``.

    Example:
        >>> import numpy as np
        >>> positions, cell = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.5]]), np.diag([9.0, 9.0, 4.0])
        >>> pair_vectors(positions, cell, np.array([[0, 1], [1, 0]]), np.array([[0, 0, 0], [0, 0, 1]]))
        array([[0. , 0. , 1.5],
               [0. , 0. , 2.5]])
    """
    i, j = np.asarray(pair_index).T
    # row vector times cell: R = n1 a1 + n2 a2 + n3 a3 with the lattice vectors in the rows
    translation = pair_shift @ cell if np.ndim(cell) == 2 else np.einsum("pa,pab->pb", pair_shift, cell)
    return np.asarray(positions[j] + translation - positions[i])


def pair_keys(pair_index: IntArray, pair_shift: IntArray) -> IntArray:
    """One int64 for each (i, j, R), the same wherever the triple stands; |R| up to 511 cells or up to 2^22 atoms.

    Below 2^16 atoms and 512 cells a key is 16 bits for each atom and 10 for each component of R, and not negative.
    Other triples, of atoms below 2^22 and |R| < 32, have 22 and 6 bits and a negative key.

    Args:
        pair_index: (P, 2).
        pair_shift: (P, 3).

    Raises:
        ValueError: a translation or an atom number beyond both ranges.

    Example:
        >>> keys = pair_keys(np.array([[0, 1], [1, 0], [0, 1]]), np.array([[0, 0, 1], [0, 0, -1], [0, 0, 1]]))
        >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
        (True, False)
    """
    shift, index = np.asarray(pair_shift, dtype=np.int64), np.asarray(pair_index, dtype=np.int64)
    atom, cell = index.max(axis=1, initial=0), np.abs(shift).max(axis=1, initial=0)
    large = (atom >= 1 << 16) | (cell > 511)
    if large.any() and (atom[large].max() >= 1 << 22 or cell[large].max() > 31):
        raise ValueError("pair keys hold 65,536 atoms with translations up to 511 cells, or 4,194,304 with up to 31")
    # a narrow key for nearly all pairs; the wide one is negative, so that the two kinds cannot be taken for each other
    keys = _packed(index, shift, 16, 10)
    if large.any():
        keys[large] = -1 - _packed(index[large], shift[large], 22, 6)
    return keys


def _packed(index: IntArray, shift: IntArray, atom_bits: int, cell_bits: int) -> IntArray:
    """Atoms and translations side by side in one non-negative integer."""
    # each component of R is shifted by half its range to be non-negative; the sums stay below 2^63
    half, size = 1 << (cell_bits - 1), 1 << cell_bits
    cell = ((shift[:, 0] + half) * size + shift[:, 1] + half) * size + shift[:, 2] + half
    return np.asarray((index[:, 0] << (atom_bits + 3 * cell_bits)) | (index[:, 1] << (3 * cell_bits)) | cell)


def concatenate(parts: list[BlockMatrix]) -> BlockMatrix:
    """Blocks of several operators of one structure, end to end (pairs must not repeat)."""
    return replace(
        parts[0],
        pair_index=np.concatenate([p.pair_index for p in parts]),
        pair_shift=np.concatenate([p.pair_shift for p in parts]),
        values=np.concatenate([p.values for p in parts]),
    )


def in_triangle(pair_index: IntArray, pair_shift: IntArray) -> NDArray[np.bool_]:
    """(P,) bool | pairs (P, 2), (P, 3) of the stored triangle: i < j, or i = j and R lexicographically >= 0."""
    i, j = pair_index.T
    x, y, z = pair_shift.T
    # R = 0 counts as forward: on-site blocks belong to the triangle, whole
    forward = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z >= 0))))
    return np.asarray((i < j) | ((i == j) & forward))


def lookup(keys: IntArray, wanted: IntArray) -> IntArray:
    """Position of each wanted key in ``keys``, or -1."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    # searchsorted gives len(keys) for a key beyond the last one: held at the end, where the comparison fails
    position = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    candidate = order[position]
    return np.where(keys[candidate] == wanted, candidate, -1)


def _block_diagonal(parts: list[FloatArray]) -> FloatArray:
    size = sum(len(p) for p in parts)
    matrix, start = np.zeros((size, size)), 0
    for part in parts:
        matrix[start : start + len(part), start : start + len(part)] = part
        start += len(part)
    return matrix
