"""Errors of predicted blocks of H, S or D: sums over matrix elements, from which every MAE and RMSE follows.

Delta = prediction - reference on the scored pairs, both directions and on-site. A missing predicted block counts as
zero. An extra predicted block counts against zero: its elements are added to the error sums, while the number of
elements stays that of the scored set, so that predicting more pairs can never dilute an error.

Two countings: ``full`` takes every element of every ordered pair; ``reduced`` takes, on-site and off-site, only the
shell pairs a <= b of the united shell list, each as its full block (DeePTB). Two parts: ``onsite`` (i = j and R = 0)
and ``offsite`` (all others).

The structures of a batch are joined to one operator of disjoint parts, so that no sum needs a loop over them.
``starts`` (S + 1,) is the first atom of each structure in the joined one and, last, the number of atoms.

Example:
    Two hydrogen molecules with one s orbital an atom; the second prediction is off by 0.1 in its off-site blocks.

    >>> import numpy as np
    >>> from slembench.operators.orbitals import Basis
    >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
    >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.9], [-0.9, -0.5]]))
    >>> wrong = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.8], [-0.8, -0.5]]))
    >>> errors = error_blocks(join([h, wrong], basis), join([h, h], basis))
    >>> sums = structure_sums(errors, first_atoms([2, 2]), basis)
    >>> sums["offsite", "full"].absolute.round(3), sums["offsite", "full"].count
    (array([0. , 0.2]), array([2, 2]))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slembench.operators.blocks import BlockMatrix, Values, concatenate, pair_keys
from slembench.operators.orbitals import Basis, FloatArray, IntArray

PARTS = ("onsite", "offsite")
COUNTINGS = ("full", "reduced")

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ErrorBlocks:
    """Delta of one or more structures.

    Attributes:
        delta: prediction - reference; the first ``n_scored`` pairs are the scored ones, then the extra predicted ones.
        n_scored: number of scored pairs.
        missing: numbers of scored pairs that the prediction lacks (neither direction is there).
    """

    delta: BlockMatrix
    n_scored: int
    missing: IntArray

    @property
    def extra(self) -> tuple[IntArray, IntArray]:
        """Atoms (e, 2) and translations (e, 3) of predicted pairs that are not scored, both directions."""
        return self.delta.pair_index[self.n_scored :], self.delta.pair_shift[self.n_scored :]


def error_blocks(prediction: BlockMatrix, reference: BlockMatrix) -> ErrorBlocks:
    """Delta = prediction - reference on the pairs of the reference, and the extra predicted blocks against zero.

    Args:
        prediction: predicted operator; a direction that is absent is completed by Hermiticity.
        reference: reference operator in the same unit; its pairs are the scored ones, both directions and on-site.

    Raises:
        ValueError: different atoms or bases.

    Example:
        The prediction lacks the pair of the two atoms, in both directions.

        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.9], [-0.9, -0.5]]))
        >>> errors = error_blocks(h.take(np.flatnonzero(h.onsite)), h)
        >>> errors.delta.values, errors.missing
        (array([0. , 0.9, 0.9, 0. ]), array([1, 2]))
    """
    if not np.array_equal(prediction.numbers, reference.numbers):
        raise ValueError("prediction and reference have different atoms")
    if prediction.basis.restrict(prediction.numbers).shells != reference.basis.restrict(reference.numbers).shells:
        raise ValueError("prediction and reference have different bases")
    index, shift = reference.pair_index, reference.pair_shift
    pred, missing = align_hermitian(prediction, index, shift)
    delta = reference.with_values(pred.values - reference.values)
    extra = np.flatnonzero(~np.isin(prediction.pair_keys(), reference.pair_keys()))
    if len(extra):
        # the reference of an extra pair is zero, so that Delta is the predicted block itself, in both directions
        delta = concatenate([delta, prediction.take(extra).complete()])
    return ErrorBlocks(delta, len(index), missing)


def align_hermitian(operator: BlockMatrix, pair_index: IntArray, pair_shift: IntArray) -> tuple[BlockMatrix, IntArray]:
    """The operator on a list of pairs, the same as ``complete().align(...)`` but several times faster.

    Args:
        operator: blocks in one or both directions.
        pair_index: (Q, 2) atoms of the wanted pairs.
        pair_shift: (Q, 3) their translations.

    Returns:
        The operator on that list: the block itself, else the conjugate transpose of the reverse pair's, else zero; and
        the numbers of wanted pairs of which neither direction is there.

    Example:
        Only the block (0, 1) of an H2 is stored; (1, 0) follows, (0, 0) is missing.

        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> half = BlockMatrix(Basis.parse({"H": "1s"}), [1, 1], [[0, 1]], [[0, 0, 0]], np.array([-0.9 + 0.2j]))
        >>> both, missing = align_hermitian(half, np.array([[0, 0], [1, 0]]), np.zeros((2, 3), int))
        >>> both.values, missing
        (array([ 0. +0.j , -0.9-0.2j]), array([0]))
    """
    held = pd.Index(operator.pair_keys())
    direct = held.get_indexer(pair_keys(pair_index, pair_shift))  # -1 where absent
    # M_ij(R) = M_ji(-R)^dagger; a stored block has precedence over what the reverse one says
    reverse = np.where(direct < 0, held.get_indexer(pair_keys(pair_index[:, ::-1], -pair_shift)), -1)
    result = BlockMatrix.zeros(
        operator.basis, operator.numbers, pair_index, pair_shift, dtype=operator.values.dtype.type
    )
    for z_i, z_j, pairs in result.pair_type_groups():  # all blocks of one pair of elements have one shape
        rows, columns = operator.basis.size(z_i), operator.basis.size(z_j)
        place = np.arange(rows * columns)
        forward, backward = pairs[direct[pairs] >= 0], pairs[reverse[pairs] >= 0]
        values = operator.values[operator.offsets[direct[forward]][:, None] + place]
        result.values[result.offsets[forward][:, None] + place] = values
        across = place.reshape(columns, rows).T.reshape(-1)  # row-major (columns, rows) read as its transpose
        values = operator.values[operator.offsets[reverse[backward]][:, None] + across]
        result.values[result.offsets[backward][:, None] + place] = values.conj()
    return result, np.flatnonzero((direct < 0) & (reverse < 0))


def first_atoms(sizes: Sequence[int]) -> IntArray:
    """(S + 1,) int64 | first atom of each structure once they are joined and, last, the number of atoms.

    Args:
        sizes: atoms of each structure.

    Example:
        >>> first_atoms([3, 2, 4])
        array([0, 3, 5, 9])
    """
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def join(operators: Sequence[BlockMatrix], basis: Basis) -> BlockMatrix:
    """Operators of several structures as one, atoms numbered on.

    Args:
        operators: one a structure.
        basis: shells of all their elements.

    Returns:
        Blocks end to end, in the order of the structures.

    Example:
        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> basis = Basis.parse({"H": "1s", "He": "1s"})
        >>> parts = [BlockMatrix.from_dense(basis, np.array([z]), np.array([[e]])) for z, e in ((1, -0.5), (2, -0.9))]
        >>> joined = join(parts, basis)
        >>> joined.numbers, joined.pair_index.tolist(), joined.values
        (array([1, 2]), [[0, 0], [1, 1]], array([-0.5, -0.9]))
    """
    starts = first_atoms([len(operator.numbers) for operator in operators])
    return BlockMatrix(
        basis,
        np.concatenate([operator.numbers for operator in operators]),
        np.concatenate([operator.pair_index + start for operator, start in zip(operators, starts)]),
        np.concatenate([operator.pair_shift for operator in operators]),
        np.concatenate([operator.values for operator in operators]),
    )


def structure_of_pairs(joined: BlockMatrix, starts: IntArray) -> IntArray:
    """(P,) int64 | structure that each pair belongs to.

    Args:
        joined: joined operators.
        starts: (S + 1,) from `first_atoms`.

    Example:
        >>> import numpy as np
        >>> from slembench.operators.orbitals import Basis
        >>> basis = Basis.parse({"H": "1s"})
        >>> h2, h = (BlockMatrix.from_dense(basis, np.ones(n, int), np.eye(n)) for n in (2, 1))
        >>> structure_of_pairs(join([h2, h], basis), first_atoms([2, 1]))
        array([0, 0, 0, 0, 1])
    """
    return np.asarray(np.searchsorted(starts, joined.pair_index[:, 0], side="right") - 1)


def union_shells(basis: Basis, z: int) -> IntArray:
    """(n,) int64 | number in the united shell list (`Basis.union`) of the shell of each orbital of element ``z``.

    Example:
        United list of H 1s1p and O 2s1p: s s p. The p shell is the second of H and the third of the list.

        >>> basis = Basis.parse({"H": "1s1p", "O": "2s1p"})
        >>> basis.union, union_shells(basis, 1), union_shells(basis, 8)
        ((0, 0, 1), array([0, 2, 2, 2]), array([0, 1, 2, 2, 2]))
    """
    return np.repeat(basis.union_index(z), [2 * l + 1 for l in basis.shells[z]])


def reduced_mask(basis: Basis, z_i: int, z_j: int) -> BoolArray:
    """(n_i, n_j) bool | elements of a block that the ``reduced`` counting takes: united shells a <= b.

    Args:
        basis: the data set's basis; it fixes the united shell list.
        z_i: atomic number of i.
        z_j: atomic number of j.

    Example:
        With an s and a p shell: s-s, s-p and the whole p-p block, but not p-s.

        >>> reduced_mask(Basis.parse({"H": "1s1p"}), 1, 1).astype(int)
        array([[1, 1, 1, 1],
               [0, 1, 1, 1],
               [0, 1, 1, 1],
               [0, 1, 1, 1]])
    """
    return np.asarray(union_shells(basis, z_i)[:, None] <= union_shells(basis, z_j))


def reduced_elements(blocks: BlockMatrix, basis: Basis) -> BoolArray:
    """(n_values,) bool | elements that the ``reduced`` counting takes (`reduced_mask`), block by block.

    Args:
        blocks: of one or more structures.
        basis: the data set's basis, which may have more elements than the blocks.

    Example:
        >>> import numpy as np
        >>> basis = Basis.parse({"H": "1s1p"})
        >>> atom = BlockMatrix.from_dense(basis, np.array([1]), np.eye(4))
        >>> reduced_elements(atom, basis).astype(int)
        array([1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1])
    """
    mask = np.empty(len(blocks.values), dtype=bool)
    for z_i, z_j, pairs in blocks.pair_type_groups():
        of_block = reduced_mask(basis, z_i, z_j).reshape(-1)
        mask[blocks.offsets[pairs][:, None] + np.arange(len(of_block))] = of_block
    return mask


def pair_sums(values: Values, blocks: BlockMatrix) -> FloatArray:
    """(P,) | sum of ``values`` (n_values,) over each block.

    Example:
        >>> import numpy as np
        >>> h = BlockMatrix.from_dense(Basis.parse({"H": "1s"}), np.array([1, 1]), np.eye(2))
        >>> pair_sums(np.array([1.0, 2.0, 3.0, 4.0]), h)
        array([1., 2., 3., 4.])
    """
    # reduceat with equal neighbours would repeat a value; no block is empty, as every element has orbitals
    return np.asarray(np.add.reduceat(values, blocks.offsets[:-1])) if blocks.n_pairs else np.zeros(0)


@dataclass(frozen=True)
class StructureSums:
    """Error sums over matrix elements of each structure; arrays are (S,).

    Attributes:
        absolute: sum of |Delta|, unit of the operator.
        square: sum of |Delta|^2, unit squared.
        count: number of scored elements.
        largest: max of |Delta|, unit of the operator.
    """

    absolute: FloatArray
    square: FloatArray
    count: IntArray
    largest: FloatArray


def structure_sums(errors: ErrorBlocks, starts: IntArray, basis: Basis) -> dict[tuple[str, str], StructureSums]:
    """Error sums of every structure for each (part, counting): what `mae_*`, `rmse_*` and `max_abs` are made of.

    MAE = sum of |Delta| / count and RMSE = sqrt(sum of |Delta|^2 / count), see `slembench.metrics.scores`.

    Args:
        errors: of joined operators.
        starts: (S + 1,) first atom of each structure.
        basis: the data set's basis; it fixes the united shell list.

    Returns:
        All four of ("onsite" | "offsite", "full" | "reduced").

    Source: full counting of QH9 (arXiv 2306.09549) and DeepH-E3 (Nat. Commun. 14, 2848), reduced counting of DeePTB
    (arXiv 2407.06053).

    Example:
        One atom with s and p, all elements off by 1: 16 elements, of which the reduced counting leaves out p-s.

        >>> import numpy as np
        >>> basis = Basis.parse({"H": "1s1p"})
        >>> h = BlockMatrix.from_dense(basis, np.array([1]), np.zeros((4, 4)))
        >>> sums = structure_sums(error_blocks(h.with_values(h.values + 1), h), first_atoms([1]), basis)
        >>> {key: (part.absolute.item(), part.count.item()) for key, part in sums.items() if key[0] == "onsite"}
        {('onsite', 'full'): (16.0, 16), ('onsite', 'reduced'): (13.0, 13)}
    """
    delta = errors.delta
    size, mask = np.abs(delta.values), reduced_elements(delta, basis)
    structure, n = structure_of_pairs(delta, starts), len(starts) - 1
    scored = np.arange(delta.n_pairs) < errors.n_scored
    sums = {}
    for counting in COUNTINGS:
        kept = size if counting == "full" else size * mask
        ones = np.ones(len(size), dtype=np.int64) if counting == "full" else mask.astype(np.int64)
        # sums over blocks first, then over the blocks of each structure
        absolute_of_pair, square_of_pair = pair_sums(kept, delta), pair_sums(kept**2, delta)
        count_of_pair = pair_sums(ones, delta) * scored  # extra blocks add error, but no elements
        largest_of_pair = np.maximum.reduceat(kept, delta.offsets[:-1]) if delta.n_pairs else np.zeros(0)
        for part in PARTS:
            chosen = delta.onsite == (part == "onsite")
            absolute, square, count = (
                np.bincount(structure[chosen], weights=column[chosen], minlength=n).astype(np.float64)
                for column in (absolute_of_pair, square_of_pair, count_of_pair)
            )
            largest = np.zeros(n)
            np.maximum.at(largest, structure[chosen], largest_of_pair[chosen])
            sums[part, counting] = StructureSums(absolute, square, np.rint(count).astype(np.int64), largest)
    return sums


def average(numerator: FloatArray, count: FloatArray, how: str) -> float:
    """Mean error over a split from per-structure sums.

    Args:
        numerator: (S,) | each structure's sum.
        count: (S,) | each structure's number of elements; structures with none are left out.
        how: ``pooled`` = sum of numerators / sum of counts; ``per_structure`` = mean over structures of
            numerator / count.

    Returns:
        The mean in the unit of the numerator; NaN where no structure has elements.

    Raises:
        ValueError: another word for ``how``.

    Example:
        A small structure with a mean error of 0.1 and one of ten times the elements with 0.5: pooled, every element
        weighs the same, and the large structure counts ten times.

        >>> import numpy as np
        >>> sums, counts = np.array([10.0, 500.0]), np.array([100, 1000])
        >>> round(average(sums, counts, "per_structure"), 4), round(average(sums, counts, "pooled"), 4)
        (0.3, 0.4636)
    """
    numerator, count = np.asarray(numerator, dtype=np.float64), np.asarray(count, dtype=np.float64)
    numerator, count = numerator[count > 0], count[count > 0]
    if not len(count):
        return float("nan")
    if how == "pooled":
        return float(numerator.sum() / count.sum())
    if how == "per_structure":
        return float((numerator / count).mean())
    raise ValueError(f"unknown average {how!r}; use pooled or per_structure")


def gauge_shifts(errors: ErrorBlocks, overlap: BlockMatrix, starts: IntArray) -> tuple[FloatArray, Values]:
    """Energy-zero shift mu = Re sum <Delta, S> / sum <S, S> of each structure, which minimises ||Delta - mu S||_F.

    H -> H + mu S moves every level by mu and changes no physics of a periodic system.

    Args:
        errors: of joined H.
        overlap: joined S; completed, absent blocks are zero.
        starts: (S + 1,) first atom of each structure.

    Returns:
        (S,) unit of H, NaN where S vanishes on all pairs of a structure; (n_values,) S on the pairs of Delta.

    Example:
        A prediction that is H + 0.25 S has no error but its energy zero.

        >>> import numpy as np
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.array([[-0.5, -0.9], [-0.9, -0.5]]))
        >>> s = BlockMatrix.from_dense(basis, atoms, np.array([[1, 0.6], [0.6, 1]]))
        >>> errors, starts = error_blocks(h + s * 0.25, h), first_atoms([2])
        >>> mu, s_values = gauge_shifts(errors, s, starts)
        >>> mu.round(6), bool(np.abs(subtract_gauge(errors, s_values, mu, starts).delta.values).max() < 1e-15)
        (array([0.25]), True)
    """
    delta = errors.delta
    s = align_hermitian(overlap, delta.pair_index, delta.pair_shift)[0].values
    structure, n = structure_of_pairs(delta, starts), len(starts) - 1
    # <A, B> = sum of conj(A_ij) B_ij over all elements; zero of the derivative of ||Delta - mu S||^2 for real mu
    product, norm = (
        np.bincount(structure, weights=pair_sums((s.conj() * values).real, delta), minlength=n)
        for values in (delta.values, s)
    )
    return np.divide(product, norm, out=np.full(n, np.nan), where=norm > 0), s


def subtract_gauge(errors: ErrorBlocks, overlap: Values, mu: FloatArray, starts: IntArray) -> ErrorBlocks:
    """Delta - mu S on the scored pairs of every structure, see `gauge_shifts`; extra predicted blocks stay as they are.

    Args:
        errors: of joined H.
        overlap: (n_values,) S on the pairs of Delta, from `gauge_shifts`.
        mu: (S,) shifts, unit of H.
        starts: (S + 1,) first atom of each structure.
    """
    delta, scored = errors.delta, errors.delta.offsets[errors.n_scored]
    shift = np.repeat(mu[structure_of_pairs(delta, starts)], np.diff(delta.offsets))
    values = delta.values - shift * overlap
    values[scored:] = delta.values[scored:]
    return replace(errors, delta=delta.with_values(values))


def distance_sums(
    errors: ErrorBlocks, distances: FloatArray, edges: FloatArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """`mae_by_distance`: error sums of off-site blocks by distance |r_j + R - r_i|.

    Args:
        errors: of one or more structures.
        distances: (P,) | |r_j + R - r_i| of the pairs of ``errors.delta``, unit of ``edges``.
        edges: (B + 1,) rising bin edges; a bin holds edges[b] <= d < edges[b + 1], the last one also its end. Pairs
            beyond the last edge are left out.

    Returns:
        Sum of |Delta| (B,), number of scored elements (B,) and number of scored pairs (B,), both directions.

    Example:
        >>> import numpy as np
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.zeros((2, 2)))
        >>> errors = error_blocks(h.with_values(h.values + 0.1), h)
        >>> distance_sums(errors, np.array([0, 0.74, 0.74, 0]), np.array([0, 0.5, 1.0]))
        (array([0. , 0.2]), array([0, 2]), array([0, 2]))
    """
    delta, offsite = errors.delta, ~errors.delta.onsite
    absolute = pair_sums(np.abs(delta.values), delta)
    scored = offsite & (np.arange(delta.n_pairs) < errors.n_scored)
    return (
        np.histogram(distances[offsite], edges, weights=absolute[offsite])[0],
        np.histogram(distances[scored], edges, weights=np.diff(delta.offsets)[scored])[0].astype(np.int64),
        np.histogram(distances[scored], edges)[0].astype(np.int64),
    )


@dataclass(frozen=True)
class OrbitalSums:
    """Error sums over all blocks of one (element of i, element of j, part), kept apart by orbital.

    Attributes:
        count: number of scored blocks.
        absolute: (n_i, n_j) | sum of |Delta| over the blocks.
        square: (n_i, n_j) | sum of |Delta|^2.
        largest: (n_i, n_j) | max of |Delta|.
    """

    count: int
    absolute: FloatArray
    square: FloatArray
    largest: FloatArray

    def __add__(self, other: OrbitalSums) -> OrbitalSums:
        return OrbitalSums(
            self.count + other.count,
            self.absolute + other.absolute,
            self.square + other.square,
            np.maximum(self.largest, other.largest),
        )


BlockType = tuple[int, int, str]
"""Atomic number of i, atomic number of j, part."""


def orbital_sums(errors: ErrorBlocks) -> dict[BlockType, OrbitalSums]:
    """Error sums by (element of i, element of j, part) and orbital pair, all structures together; for `mae_block`.

    Args:
        errors: of one or more structures.

    Returns:
        One entry for each type that has blocks.

    Example:
        >>> import numpy as np
        >>> basis, atoms = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, atoms, np.zeros((2, 2)))
        >>> sums = orbital_sums(error_blocks(h.with_values(np.array([0, 0.1, 0.3, 0])), h))
        >>> sums[1, 1, "offsite"].count, sums[1, 1, "offsite"].absolute, sums[1, 1, "offsite"].largest
        (2, array([[0.4]]), array([[0.3]]))
    """
    delta, sums = errors.delta, {}
    for z_i, z_j, pairs in delta.pair_type_groups():
        onsite = delta.onsite[pairs]
        for part, members in zip(PARTS, (pairs[onsite], pairs[~onsite])):
            if len(members):
                size = np.abs(delta.gather(members))  # (p, n_i, n_j)
                square = np.einsum("pij,pij->ij", size, size)
                scored = int((members < errors.n_scored).sum())
                sums[z_i, z_j, part] = OrbitalSums(scored, size.sum(axis=0), square, size.max(axis=0))
    return sums


def add_sums(parts: Iterable[Mapping[BlockType, OrbitalSums]]) -> dict[BlockType, OrbitalSums]:
    """Sums over several batches: entry by entry.

    Example:
        >>> import numpy as np
        >>> one = {(1, 1, "onsite"): OrbitalSums(2, *(np.array([[x]]) for x in (0.4, 0.1, 0.3)))}
        >>> both = add_sums([one, one])[1, 1, "onsite"]
        >>> both.count, both.absolute, both.largest
        (4, array([[0.8]]), array([[0.3]]))
    """
    total: dict[BlockType, OrbitalSums] = {}
    for part in parts:
        for key, sums in part.items():
            total[key] = total[key] + sums if key in total else sums
    return total


def dense_matrices(joined: BlockMatrix, starts: IntArray) -> list[Values]:
    """Dense matrix (n, n) of every structure, the sum over R of its blocks; both directions of pairs must be there.

    Args:
        joined: joined operators.
        starts: (S + 1,) first atom of each structure.

    Example:
        >>> import numpy as np
        >>> basis = Basis.parse({"H": "1s"})
        >>> matrices = [np.array([[-0.5]]), np.array([[-0.4, -0.9], [-0.9, -0.4]])]
        >>> parts = [BlockMatrix.from_dense(basis, np.ones(len(m), int), m) for m in matrices]
        >>> dense_matrices(join(parts, basis), first_atoms([1, 2]))
        [array([[-0.5]]), array([[-0.4, -0.9],
               [-0.9, -0.4]])]
    """
    orbitals = joined.basis.orbital_offsets(joined.numbers)
    first = orbitals[starts]
    sizes = np.diff(first)
    # all matrices lie end to end in one flat array: element (a, b) of structure m is at bases[m] + a * sizes[m] + b
    bases = np.concatenate([[0], np.cumsum(sizes**2)])
    structure = structure_of_pairs(joined, starts)
    width = sizes[structure]
    rows, columns = (orbitals[joined.pair_index] - first[structure][:, None]).T
    corner = bases[structure] + rows * width + columns
    flat = np.zeros(bases[-1], dtype=joined.values.dtype)
    for z_i, z_j, pairs in joined.pair_type_groups():
        row = np.arange(joined.basis.size(z_i))[:, None] * width[pairs][:, None, None]
        place = corner[pairs][:, None, None] + row + np.arange(joined.basis.size(z_j))
        if joined.pair_shift[pairs].any():
            np.add.at(flat, place, joined.gather(pairs))  # several R fall on one place, which += would count once
        else:
            flat[place] = joined.gather(pairs)
    return [flat[a:b].reshape(n, n) for a, b, n in zip(bases[:-1], bases[1:], sizes.tolist())]
