"""Structures read and joined, ready to be scored together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np

from slembench.core.errors import PredictionError
from slembench.data import Dataset, Sample
from slembench.metrics.matrix import Difference, dense_matrices, difference_on, first_atoms, join
from slembench.operators.blocks import BlockMatrix, concatenate
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.units import energy_factor
from slembench.predictions import PredictionSource

Item = TypeVar("Item")

BATCH_VALUES = 1 << 20
"""Matrix elements of one operator in a batch, about."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some structures with their reference and predicted operators.

    Attributes:
        samples: reference structures.
        predicted: whether there is a prediction; where not, it is zero.
        found: predicted operators of each structure, in the data set's unit.
        reference: operator -> reference blocks of all structures joined, on the scored pairs, both directions.
        results: operator -> prediction - reference of all structures joined.
    """

    samples: Sequence[Sample]
    predicted: Sequence[bool]
    found: Sequence[Mapping[str, BlockMatrix]]
    reference: Mapping[str, BlockMatrix]
    results: Mapping[str, Difference]

    @cached_property
    def starts(self) -> IntArray:
        """(S + 1,) first atom of each structure once joined."""
        return first_atoms([len(sample.atoms) for sample in self.samples])

    @cached_property
    def pair_lengths(self) -> FloatArray:
        """(P,) Angstrom | |r_j + R - r_i| of the reference's pairs."""
        return self.lengths(next(iter(self.reference.values())))

    def lengths(self, blocks: BlockMatrix) -> FloatArray:
        """(P,) Angstrom | |r_j + R - r_i| of the pairs of joined blocks."""
        positions = np.concatenate([sample.atoms.positions for sample in self.samples])
        cells = np.stack([sample.atoms.cell.array for sample in self.samples])
        structure = np.searchsorted(self.starts, blocks.pair_index[:, 0], side="right") - 1
        return np.asarray(np.linalg.norm(blocks.vectors(positions, cells[structure]), axis=1))

    def error_dense(self, operator: str) -> list[FloatArray]:
        """Symmetric dense matrix (n, n) of prediction - reference of every molecule, the mean of both directions."""
        return [(matrix + matrix.T) / 2 for matrix in dense_matrices(self.results[operator].delta, self.starts)]

    def reference_dense(self, operator: str) -> list[FloatArray]:
        """Dense matrix (n, n) of every reference molecule."""
        return dense_matrices(self.reference[operator], self.starts)


def batches(
    dataset: Dataset,
    source: PredictionSource,
    operators: Sequence[str],
    ids: Iterable[str],
) -> Iterator[Batch]:
    """Structures in the given order, a batch at a time.

    Args:
        dataset: the data set.
        source: predictions of it.
        operators: operators to score.
        ids: structures to score.

    Raises:
        PredictionError: predicted atoms or shells that are not the structure's.
    """
    present = set(source.ids)
    samples, predicted, found = list[Sample](), list[bool](), list[Mapping[str, BlockMatrix]]()
    size = 0
    for structure in ids:
        sample = dataset.sample(structure)
        samples.append(sample)
        predicted.append(structure in present)
        found.append(read_prediction(dataset, source, operators, sample, structure in present))
        size += 2 * max(len(operator.values) for operator in sample.operators.values())
        if size >= BATCH_VALUES:
            yield _joined(dataset, operators, samples, predicted, found)
            samples, predicted, found, size = [], [], [], 0
    if samples:
        yield _joined(dataset, operators, samples, predicted, found)


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items in order; a thread makes the next one while the last one is in use."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, iterator, end)
            yield cast(Item, item)


def _joined(
    dataset: Dataset,
    operators: Sequence[str],
    samples: Sequence[Sample],
    predicted: Sequence[bool],
    found: Sequence[Mapping[str, BlockMatrix]],
) -> Batch:
    others = [op for op in ("hamiltonian", "overlap") if op in dataset.card.operators and op not in operators]
    wanted = [*operators, *others]
    halves = {op: join([sample.operators[op] for sample in samples], dataset.basis) for op in wanted}
    first = halves[wanted[0]]
    missing = np.flatnonzero(first.reverse < 0)
    reference = {op: concatenate([half, half.take(missing).transposed()]) for op, half in halves.items()}
    results = {op: difference_on(join([own[op] for own in found], dataset.basis), reference[op]) for op in operators}
    return Batch(samples, predicted, found, reference, results)


def read_prediction(
    dataset: Dataset, source: PredictionSource, operators: Sequence[str], sample: Sample, predicted: bool
) -> Mapping[str, BlockMatrix]:
    """Predicted operators in the data set's unit; zero where there is no prediction."""
    if not predicted:
        return {op: sample.operators[op] * 0.0 for op in operators}
    found = dict(source[sample.id])
    for op in operators:
        if not np.array_equal(found[op].numbers, sample.atoms.numbers):
            raise PredictionError(
                f"predictions of {source.attrs.model!r}: structure {sample.id!r}: atoms are "
                f"{found[op].numbers.tolist()}, the data set's are {sample.atoms.numbers.tolist()}"
            )
    factor = energy_factor(source.attrs.energy_unit, dataset.card.units.energy)
    if "hamiltonian" in found and factor != 1.0:
        found["hamiltonian"] = found["hamiltonian"] * factor
    return found
