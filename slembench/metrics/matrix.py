"""Matrix metrics of H, S or D: how far predicted blocks are from reference blocks.

Delta = prediction - reference on the scored pairs (both directions and on-site). A missing predicted block counts as
zero. An extra predicted block counts against zero: its elements are added to the error sums, while the number of
elements stays that of the scored set, so that predicting more pairs can never dilute an error.

Two countings: ``full`` takes every element of every ordered pair; ``reduced`` takes, on-site and off-site, only the
shell pairs a <= b of the united shell list, each as its full block (DeePTB). Two parts: ``onsite`` (i = j and R = 0)
and ``offsite`` (all others).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix, concatenate, pair_keys
from slembench.orbitals import Basis, FloatArray, IntArray

PARTS = ("onsite", "offsite")
COUNTINGS = ("full", "reduced")


@dataclass(frozen=True)
class Difference:
    """Delta of one structure.

    Attributes:
        delta: prediction - reference; the first ``n_scored`` pairs are scored ones, the others extra predicted ones.
        n_scored: number of scored pairs in ``delta``.
        missing: numbers of scored pairs that the prediction lacks (neither direction is there).
        mirrored: (P,) bool | blocks that stand also for the pair (j, i, -R), which ``delta`` does not hold because it is
            the Hermitian conjugate.
    """

    delta: BlockMatrix
    n_scored: int
    missing: IntArray
    mirrored: NDArray[np.bool_]

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(P,) bool | scored pairs of ``delta``."""
        return np.arange(self.delta.n_pairs) < self.n_scored

    @property
    def extra(self) -> tuple[IntArray, IntArray]:
        """Atoms (e, 2) and translations (e, 3) of predicted pairs that are not scored."""
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
    if prediction.n_pairs == reference.n_pairs and _is_triangle(reference, pair_keys(pair_index, pair_shift)):
        ours, missing, _ = _reordered(prediction, reference)
        if not len(missing):
            delta = reference.with_values(ours.values - reference.values)
            return Difference(delta, delta.n_pairs, missing, ~delta.onsite)
    predicted = prediction.complete()
    ours, missing, extra = predicted.align(pair_index, pair_shift)
    theirs = reference.complete().align(pair_index, pair_shift)[0]
    delta = theirs.with_values(ours.values - theirs.values)
    if len(extra):
        delta = concatenate([delta, predicted.take(extra)])
    return Difference(delta, len(pair_index), missing, np.zeros(delta.n_pairs, dtype=bool))


def _is_triangle(operator: BlockMatrix, scored: IntArray) -> bool:
    """Whether the operator holds one direction of each pair, and they are the pairs with the ``scored`` keys."""
    offsite = ~operator.onsite
    if (operator.reverse[offsite] >= 0).any():
        return False
    reverse = pair_keys(operator.pair_index[offsite, ::-1], -operator.pair_shift[offsite])
    return np.array_equal(np.sort(np.concatenate([operator.pair_keys(), reverse])), np.sort(scored))


def _reordered(operator: BlockMatrix, like: BlockMatrix) -> tuple[BlockMatrix, IntArray, IntArray]:
    """The operator as it is on the pairs of another one, and what is missing and extra, as `BlockMatrix.align` says."""
    if np.array_equal(operator.pair_keys(), like.pair_keys()):
        nothing = np.zeros(0, dtype=np.int64)
        return operator, nothing, nothing
    return operator.align(like.pair_index, like.pair_shift)


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

    def transposed(self) -> OrbitalSums:
        """The same blocks seen as those of (j, i, -R)."""
        return OrbitalSums(self.count, self.absolute.T, self.square.T, self.largest.T)


BlockType = tuple[int, int, str]
"""Atomic number of i, atomic number of j, part."""


def orbital_sums(result: Difference) -> dict[BlockType, OrbitalSums]:
    """Error sums of one structure by (element of i, element of j, part) and orbital pair.

    Args:
        result: from `difference`.

    Returns:
        One entry for each type that has blocks; everything else in this module follows from it.
    """
    delta, onsite, found = result.delta, result.delta.onsite, []
    for z_i, z_j, pairs in delta.pair_type_groups():
        for part, belongs in zip(PARTS, (onsite[pairs], ~onsite[pairs])):
            for mirrored in (False, True):
                members = pairs[belongs & (result.mirrored[pairs] == mirrored)]
                if not len(members):
                    continue
                size = np.abs(delta.gather(members))
                square = np.einsum("pij,pij->ij", size, size)
                sums = OrbitalSums(int((members < result.n_scored).sum()), size.sum(axis=0), square, size.max(axis=0))
                found.append({(z_i, z_j, part): sums})
                if mirrored:
                    found.append({(z_j, z_i, part): sums.transposed()})
    return add_sums(found)


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
    shells = basis.shells[z]
    rank = [shells[:s].count(l) for s, l in enumerate(shells)]
    united = [basis.union.index(l) + r for l, r in zip(shells, rank)]
    return np.repeat(united, [2 * l + 1 for l in shells])


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
    s, delta = _completed(overlap, result.delta).values, result.delta.values
    weight = np.where(result.mirrored, 2.0, 1.0)
    norm = float(weight @ _pair_sums(result.delta, np.abs(s) ** 2))
    if norm == 0:
        raise ValueError("the overlap vanishes on all pairs; the energy zero cannot be fitted")
    return float(weight @ _pair_sums(result.delta, (s.conj() * delta).real)) / norm


def without_gauge(result: Difference, overlap: BlockMatrix, mu: float) -> Difference:
    """Delta - mu S on the scored pairs; extra predicted blocks stay as they are.

    Args:
        result: from `difference` of H.
        overlap: S, as in `gauge_shift`.
        mu: shift in the unit of H.
    """
    delta, scored = result.delta, slice(0, result.delta.offsets[result.n_scored])
    values = delta.values.copy()
    values[scored] -= mu * _completed(overlap, delta).values[scored]
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
    weight = np.where(result.mirrored, 2, 1)
    absolute = weight * _pair_sums(delta, np.abs(delta.values))
    elements, scored = weight * np.diff(delta.offsets), offsite & result.scored
    return (
        np.histogram(distances[offsite], edges, weights=absolute[offsite])[0],
        np.histogram(distances[scored], edges, weights=elements[scored])[0].astype(np.int64),
        np.histogram(distances[scored], edges, weights=weight[scored])[0].astype(np.int64),
    )


def _pair_sums(matrix: BlockMatrix, values: FloatArray) -> FloatArray:
    """(P,) | sum over the elements of each block."""
    return np.add.reduceat(values, matrix.offsets[:-1]) if matrix.n_pairs else np.zeros(0)


def _completed(operator: BlockMatrix, like: BlockMatrix) -> BlockMatrix:
    """The operator on the pairs of another one, completed where need be; absent blocks are zero."""
    same, missing, _ = _reordered(operator, like)
    return same if not len(missing) else operator.complete().align(like.pair_index, like.pair_shift)[0]
