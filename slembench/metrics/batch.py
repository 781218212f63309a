"""Several structures as one operator of disjoint parts, so that sums over structures need no loop over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix, Values
from slembench.metrics.matrix import COUNTINGS, PARTS, Difference, completed_on, reduced_mask
from slembench.orbitals import Basis, FloatArray, IntArray

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
