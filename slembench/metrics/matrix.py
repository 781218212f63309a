"""Matrix metrics of H, S or D: how far predicted blocks are from reference blocks.

Delta = prediction - reference on the scored pairs (both directions and on-site). A missing predicted block counts as
zero. An extra predicted block counts against zero: its elements are added to the error sums, while the number of
elements stays that of the scored set, so that predicting more pairs can never dilute an error.

Two countings: ``full`` takes every element of every ordered pair; ``reduced`` takes, on-site and off-site, only the
shell pairs a <= b of the united shell list, each as its full block (DeePTB). Two parts: ``onsite`` (i = j and R = 0)
and ``offsite`` (all others).

Several structures as one operator of disjoint parts, so that sums over structures need no loop over them.
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


@dataclass(frozen=True)
class Difference:
    """Delta of one structure.

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


def difference(
    prediction: BlockMatrix, reference: BlockMatrix, pair_index: IntArray, pair_shift: IntArray
) -> Difference:
    """Delta = prediction - reference on the scored pairs, and the extra predicted blocks against zero.

    Args:
        prediction: predicted operator; a direction that is absent is completed by Hermiticity.
        reference: reference operator in the same unit; completed too, absent blocks are zero.
        pair_index: (P, 2) atoms of the scored pairs, both directions and on-site.
        pair_shift: (P, 3) their translations.

    Raises:
        ValueError: different atoms or bases.
    """
    if not np.array_equal(prediction.numbers, reference.numbers):
        raise ValueError("prediction and reference have different atoms")
    if prediction.basis.restrict(prediction.numbers).shells != reference.basis.restrict(reference.numbers).shells:
        raise ValueError("prediction and reference have different bases")
    return difference_on(prediction, completed_on(reference, pair_index, pair_shift)[0])


def difference_on(prediction: BlockMatrix, reference: BlockMatrix) -> Difference:
    """`difference` where the pairs of ``reference`` are the scored ones, both directions and on-site.

    Args:
        prediction: predicted operator; a direction that is absent is completed by Hermiticity.
        reference: reference operator of the same atoms and basis, in the same unit.
    """
    index, shift = reference.pair_index, reference.pair_shift
    ours, missing = completed_on(prediction, index, shift)
    delta = reference.with_values(ours.values - reference.values)
    extra = np.flatnonzero(~np.isin(prediction.pair_keys(), reference.pair_keys()))
    if len(extra):
        delta = concatenate([delta, prediction.take(extra).complete()])
    return Difference(delta, len(index), missing)


def completed_on(operator: BlockMatrix, pair_index: IntArray, pair_shift: IntArray) -> tuple[BlockMatrix, IntArray]:
    """The operator on a list of pairs, the same as ``complete().align(...)`` but several times faster.

    Args:
        operator: blocks in one or both directions.
        pair_index: (Q, 2) atoms of the wanted pairs.
        pair_shift: (Q, 3) their translations.

    Returns:
        The operator on that list: the block itself, else the conjugate transpose of the reverse pair's, else zero; and
        the numbers of wanted pairs of which neither direction is there.
    """
    held = pd.Index(operator.pair_keys())
    direct = held.get_indexer(pair_keys(pair_index, pair_shift))
    reverse = np.where(direct < 0, held.get_indexer(pair_keys(pair_index[:, ::-1], -pair_shift)), -1)
    result = BlockMatrix.zeros(
        operator.basis, operator.numbers, pair_index, pair_shift, dtype=operator.values.dtype.type
    )
    for z_i, z_j, pairs in result.pair_type_groups():
        rows, columns = operator.basis.size(z_i), operator.basis.size(z_j)
        place = np.arange(rows * columns)
        forward, backward = pairs[direct[pairs] >= 0], pairs[reverse[pairs] >= 0]
        values = operator.values[operator.offsets[direct[forward]][:, None] + place]
        result.values[result.offsets[forward][:, None] + place] = values
        across = place.reshape(columns, rows).T.reshape(-1)
        values = operator.values[operator.offsets[reverse[backward]][:, None] + across]
        result.values[result.offsets[backward][:, None] + place] = values.conj()
    return result, np.flatnonzero((direct < 0) & (reverse < 0))


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


def orbital_sums(result: Difference) -> dict[BlockType, OrbitalSums]:
    """Error sums of one structure by (element of i, element of j, part) and orbital pair.

    Args:
        result: from `difference`.

    Returns:
        One entry for each type that has blocks; everything else in this module follows from it.
    """
    delta, sums = result.delta, {}
    for z_i, z_j, pairs in delta.pair_type_groups():
        onsite = delta.onsite[pairs]
        for part, members in zip(PARTS, (pairs[onsite], pairs[~onsite])):
            if len(members):
                size = np.abs(delta.gather(members))
                square = np.einsum("pij,pij->ij", size, size)
                scored = int((members < result.n_scored).sum())
                sums[z_i, z_j, part] = OrbitalSums(scored, size.sum(axis=0), square, size.max(axis=0))
    return sums


def add_sums(parts: Iterable[Mapping[BlockType, OrbitalSums]]) -> dict[BlockType, OrbitalSums]:
    """Sums over several structures: entry by entry."""
    total: dict[BlockType, OrbitalSums] = {}
    for part in parts:
        for key, sums in part.items():
            total[key] = total[key] + sums if key in total else sums
    return total


@dataclass(frozen=True)
class Sums:
    """Error sums over matrix elements.

    Attributes:
        absolute: sum of |Delta|, unit of the operator.
        square: sum of |Delta|^2, unit squared.
        count: number of scored elements.
        largest: max of |Delta|.
    """

    absolute: float
    square: float
    count: int
    largest: float

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.absolute + other.absolute,
            self.square + other.square,
            self.count + other.count,
            max(self.largest, other.largest),
        )


def union_shells(basis: Basis, z: int) -> IntArray:
    """(n,) int64 | number in the united shell list (`Basis.union`) of the shell of each orbital of element ``z``."""
    return np.repeat(basis.union_index(z), [2 * l + 1 for l in basis.shells[z]])


def reduced_mask(basis: Basis, z_i: int, z_j: int) -> NDArray[np.bool_]:
    """(n_i, n_j) bool | elements of a block that the ``reduced`` counting takes: united shells a <= b."""
    return np.asarray(union_shells(basis, z_i)[:, None] <= union_shells(basis, z_j))


def element_sums(sums: Mapping[BlockType, OrbitalSums], basis: Basis) -> dict[tuple[str, str], Sums]:
    """Error sums over matrix elements for each (part, counting).

    Args:
        sums: from `orbital_sums`.
        basis: the data set's basis; it fixes the united shell list.

    Returns:
        All four of ("onsite" | "offsite", "full" | "reduced"); zero where there are no such blocks.
    """
    total = {(part, counting): Sums(0.0, 0.0, 0, 0.0) for part in PARTS for counting in COUNTINGS}
    for (z_i, z_j, part), entry in sums.items():
        whole = np.ones(entry.absolute.shape, dtype=bool)
        for counting, mask in (("full", whole), ("reduced", reduced_mask(basis, z_i, z_j))):
            total[part, counting] += Sums(
                float(entry.absolute[mask].sum()),
                float(entry.square[mask].sum()),
                entry.count * int(mask.sum()),
                float(entry.largest[mask].max(initial=0.0)),
            )
    return total


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


def gauge_shift(result: Difference, overlap: BlockMatrix) -> float:
    """Energy-zero shift mu = Re sum <Delta, S> / sum <S, S> that minimises ||Delta - mu S|| over all pairs of Delta.

    H -> H + mu S moves every level by mu and changes no physics of a periodic system.

    Args:
        result: from `difference` of H.
        overlap: S; completed, absent blocks are zero.

    Returns:
        mu in the unit of H.

    Raises:
        ValueError: S vanishes on all pairs.
    """
    delta = result.delta
    s = completed_on(overlap, delta.pair_index, delta.pair_shift)[0].values
    norm = float(np.vdot(s, s).real)
    if norm == 0:
        raise ValueError("the overlap vanishes on all pairs; the energy zero cannot be fitted")
    return float(np.vdot(s, delta.values).real) / norm


def without_gauge(result: Difference, overlap: BlockMatrix, mu: float) -> Difference:
    """Delta - mu S on the scored pairs; extra predicted blocks stay as they are.

    Args:
        result: from `difference` of H.
        overlap: S, as in `gauge_shift`.
        mu: shift in the unit of H.
    """
    delta, scored = result.delta, slice(0, result.delta.offsets[result.n_scored])
    values = delta.values.copy()
    values[scored] -= mu * completed_on(overlap, delta.pair_index, delta.pair_shift)[0].values[scored]
    return replace(result, delta=delta.with_values(values))


def distance_sums(
    result: Difference, distances: FloatArray, edges: FloatArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Error sums of off-site blocks by distance |r_ij|.

    Args:
        result: from `difference`.
        distances: (P,) | |r_j + R - r_i| of the pairs of ``result.delta``, unit of ``edges``.
        edges: (B + 1,) rising bin edges; a bin holds edges[b] <= d < edges[b + 1], the last one also its end. Pairs
            beyond the last edge are left out.

    Returns:
        Sum of |Delta| (B,), number of scored elements (B,) and number of scored pairs (B,), both directions.
    """
    delta, offsite = result.delta, ~result.delta.onsite
    absolute = np.add.reduceat(np.abs(delta.values), delta.offsets[:-1]) if delta.n_pairs else np.zeros(0)
    scored = offsite & (np.arange(delta.n_pairs) < result.n_scored)
    return (
        np.histogram(distances[offsite], edges, weights=absolute[offsite])[0],
        np.histogram(distances[scored], edges, weights=np.diff(delta.offsets)[scored])[0].astype(np.int64),
        np.histogram(distances[scored], edges)[0].astype(np.int64),
    )


BoolArray = NDArray[np.bool_]


def first_atoms(sizes: Sequence[int]) -> IntArray:
    """(S + 1,) int64 | first atom of each structure once they are joined and, last, the number of atoms."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def join(operators: Sequence[BlockMatrix], basis: Basis) -> BlockMatrix:
    """Operators of several structures as one, atoms numbered on.

    Args:
        operators: one a structure.
        basis: shells of all their elements.

    Returns:
        Blocks end to end, in the order of the structures.
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
    """(P,) int64 | structure that each pair belongs to; ``starts`` (S + 1,) from `first_atoms`."""
    return np.asarray(np.searchsorted(starts, joined.pair_index[:, 0], side="right") - 1)


def reduced_values(blocks: BlockMatrix, basis: Basis) -> BoolArray:
    """(n_values,) bool | elements that the ``reduced`` counting takes (`slembench.metrics.matrix.reduced_mask`)."""
    mask = np.empty(len(blocks.values), dtype=bool)
    for z_i, z_j, pairs in blocks.pair_type_groups():
        of_block = reduced_mask(basis, z_i, z_j).reshape(-1)
        mask[blocks.offsets[pairs][:, None] + np.arange(len(of_block))] = of_block
    return mask


def pair_sums(values: Values, blocks: BlockMatrix) -> FloatArray:
    """(P,) | sum of ``values`` (n_values,) over each block."""
    return np.asarray(np.add.reduceat(values, blocks.offsets[:-1])) if blocks.n_pairs else np.zeros(0)


@dataclass(frozen=True)
class StructureSums:
    """Error sums over matrix elements of each structure; arrays are (S,), units as in `slembench.metrics.matrix.Sums`.

    Attributes:
        absolute: sum of |Delta|.
        square: sum of |Delta|^2.
        count: scored elements.
        largest: max of |Delta|.
    """

    absolute: FloatArray
    square: FloatArray
    count: IntArray
    largest: FloatArray


def structure_sums(result: Difference, starts: IntArray, basis: Basis) -> dict[tuple[str, str], StructureSums]:
    """Error sums of every structure for each (part, counting), without a loop over structures.

    Args:
        result: difference of joined operators.
        starts: (S + 1,) first atom of each structure.
        basis: the data set's basis; it fixes the united shell list.

    Returns:
        All four of ("onsite" | "offsite", "full" | "reduced").
    """
    delta = result.delta
    size, mask = np.abs(delta.values), reduced_values(delta, basis)
    structure, n = structure_of_pairs(delta, starts), len(starts) - 1
    scored = np.arange(delta.n_pairs) < result.n_scored
    sums = {}
    for counting in COUNTINGS:
        kept = size if counting == "full" else size * mask
        columns = pair_sums(kept, delta), pair_sums(kept**2, delta)
        counted = np.ones(len(size), dtype=np.int64) if counting == "full" else mask.astype(np.int64)
        elements = pair_sums(counted, delta) * scored
        largest = np.maximum.reduceat(kept, delta.offsets[:-1]) if delta.n_pairs else np.zeros(0)
        for part in PARTS:
            chosen = delta.onsite == (part == "onsite")
            of = structure[chosen]
            absolute, square, count = (
                np.bincount(of, weights=column[chosen], minlength=n).astype(np.float64)
                for column in (*columns, elements)
            )
            worst = np.zeros(n)
            np.maximum.at(worst, of, largest[chosen])
            whole = np.rint(count).astype(np.int64)
            sums[part, counting] = StructureSums(absolute, square, whole, worst)
    return sums


def gauge_shifts(result: Difference, overlap: BlockMatrix, starts: IntArray) -> tuple[FloatArray, Values]:
    """Energy-zero shift mu of each structure, as `slembench.metrics.matrix.gauge_shift`, and S on the pairs of Delta.

    Args:
        result: difference of joined H.
        overlap: joined S; completed, absent blocks are zero.
        starts: (S + 1,) first atom of each structure.

    Returns:
        (S,) unit of H, NaN where S vanishes on all pairs of a structure; (n_values,) S.
    """
    delta = result.delta
    s = completed_on(overlap, delta.pair_index, delta.pair_shift)[0].values
    structure, n = structure_of_pairs(delta, starts), len(starts) - 1
    product, norm = (
        np.bincount(structure, weights=pair_sums((s.conj() * values).real, delta), minlength=n)
        for values in (delta.values, s)
    )
    return np.divide(product, norm, out=np.full(n, np.nan), where=norm > 0), s


def without_gauges(result: Difference, overlap: Values, mu: FloatArray, starts: IntArray) -> Difference:
    """Delta - mu S on the scored pairs of every structure; extra predicted blocks stay as they are.

    Args:
        result: difference of joined H.
        overlap: (n_values,) S on the pairs of Delta, from `gauge_shifts`.
        mu: (S,) shifts, unit of H.
        starts: (S + 1,) first atom of each structure.
    """
    delta, scored = result.delta, result.delta.offsets[result.n_scored]
    shift = np.repeat(mu[structure_of_pairs(delta, starts)], np.diff(delta.offsets))
    values = delta.values - shift * overlap
    values[scored:] = delta.values[scored:]
    return Difference(delta.with_values(values), result.n_scored, result.missing)


def dense_matrices(joined: BlockMatrix, starts: IntArray) -> list[Values]:
    """Dense matrix (n, n) of every structure, the sum over R of its blocks; both directions of pairs must be there.

    Args:
        joined: joined operators.
        starts: (S + 1,) first atom of each structure.
    """
    orbitals = joined.basis.orbital_offsets(joined.numbers)
    first = orbitals[starts]
    sizes = np.diff(first)
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
            np.add.at(flat, place, joined.gather(pairs))
        else:
            flat[place] = joined.gather(pairs)
    return [flat[a:b].reshape(n, n) for a, b, n in zip(bases[:-1], bases[1:], sizes.tolist())]
