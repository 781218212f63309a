"""Structures of a split with their reference and predicted operators, read and joined in batches.

A batch is one operator of disjoint parts (`slembench.metrics.matrix.join`), so that sums over matrix elements need no
loop over structures; its size bounds the memory of an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np

from slembench.core.errors import PredictionError
from slembench.data import Dataset, Sample
from slembench.metrics.matrix import ErrorBlocks, dense_matrices, error_blocks, first_atoms, join, structure_of_pairs
from slembench.operators.blocks import BlockMatrix, concatenate
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.units import energy_factor
from slembench.predictions import PredictionSource

Item = TypeVar("Item")

BATCH_VALUES = 1 << 20
"""Matrix elements of one operator in a batch, about: 8 MB for each of H, S, their predictions and errors."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some structures with their reference and predicted operators.

    Attributes:
        samples: reference structures.
        predicted: whether there is a prediction; where not, it is zero.
        predictions: predicted operators of each structure, in the data set's unit.
        reference: operator -> reference blocks of all structures joined, on the scored pairs, both directions.
        errors: operator -> prediction - reference of all structures joined.
    """

    samples: Sequence[Sample]
    predicted: Sequence[bool]
    predictions: Sequence[Mapping[str, BlockMatrix]]
    reference: Mapping[str, BlockMatrix]
    errors: Mapping[str, ErrorBlocks]

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
        of_pairs = cells[structure_of_pairs(blocks, self.starts)]  # (P, 3, 3): each structure has a cell of its own
        return np.asarray(np.linalg.norm(blocks.vectors(positions, of_pairs), axis=1))

    def error_dense(self, operator: str) -> list[FloatArray]:
        """Symmetric dense matrix (n, n) of prediction - reference of every molecule, the mean of both directions."""
        return [(matrix + matrix.T) / 2 for matrix in dense_matrices(self.errors[operator].delta, self.starts)]

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
    samples, predicted, predictions = list[Sample](), list[bool](), list[Mapping[str, BlockMatrix]]()
    size = 0
    for structure in ids:
        sample = dataset.sample(structure)
        samples.append(sample)
        predicted.append(structure in present)
        predictions.append(read_prediction(dataset, source, operators, sample, structure in present))
        size += 2 * max(len(operator.values) for operator in sample.operators.values())  # one direction is stored
        if size >= BATCH_VALUES:
            yield _join(dataset, operators, samples, predicted, predictions)
            samples, predicted, predictions, size = [], [], [], 0
    if samples:
        yield _join(dataset, operators, samples, predicted, predictions)


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """The items in order; a thread makes the next one while the last one is in use.

    Example:
        >>> list(prefetch(range(3)))
        [0, 1, 2]
    """
    iterator, end = iter(items), object()  # a mark of its own, as None may be an item
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, iterator, end)
            yield cast(Item, item)


def _join(
    dataset: Dataset,
    operators: Sequence[str],
    samples: Sequence[Sample],
    predicted: Sequence[bool],
    predictions: Sequence[Mapping[str, BlockMatrix]],
) -> Batch:
    # H and S serve as references for levels and gauge even where they are not predicted
    others = [op for op in ("hamiltonian", "overlap") if op in dataset.card.operators and op not in operators]
    wanted = [*operators, *others]
    halves = {op: join([sample.operators[op] for sample in samples], dataset.basis) for op in wanted}
    # samples hold one direction of each pair, the same pairs for every operator; the other follows from Hermiticity
    missing = np.flatnonzero(halves[wanted[0]].reverse < 0)
    reference = {op: concatenate([half, half.take(missing).transposed()]) for op, half in halves.items()}
    errors = {
        op: error_blocks(join([own[op] for own in predictions], dataset.basis), reference[op]) for op in operators
    }
    return Batch(samples, predicted, predictions, reference, errors)


def read_prediction(
    dataset: Dataset, source: PredictionSource, operators: Sequence[str], sample: Sample, predicted: bool
) -> Mapping[str, BlockMatrix]:
    """Predicted operators of one structure in the data set's unit; zero where there is no prediction.

    Args:
        dataset: the data set.
        source: predictions of it.
        operators: operators to score.
        sample: the structure.
        predicted: whether the source holds it.

    Raises:
        PredictionError: predicted atoms that are not the structure's.
    """
    if not predicted:
        return {op: sample.operators[op] * 0.0 for op in operators}
    prediction = dict(source[sample.id])
    for op in operators:
        if not np.array_equal(prediction[op].numbers, sample.atoms.numbers):
            raise PredictionError(
                f"predictions of {source.attrs.model!r}: structure {sample.id!r}: atoms are "
                f"{prediction[op].numbers.tolist()}, the data set's are {sample.atoms.numbers.tolist()}"
            )
    factor = energy_factor(source.attrs.energy_unit, dataset.card.units.energy)  # S and D have no unit
    if "hamiltonian" in prediction and factor != 1.0:
        prediction["hamiltonian"] = prediction["hamiltonian"] * factor
    return prediction
