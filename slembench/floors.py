"""Floors: predictions that know nothing, scored like any model. A model below a floor says something about the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from slembench.blocks import BlockMatrix
from slembench.data import Dataset, Sample
from slembench.errors import ConfigError
from slembench.layout import OperatorLayout
from slembench.orbitals import FloatArray, IntArray
from slembench.predictions import PredictionHeader

FLOORS = ("zero", "irreps-mean")
"""Names of the floors, the weakest first."""

Predictor = Callable[[Sample], dict[str, BlockMatrix]]


class FloorPredictions:
    """Predictions of a floor for one split, made when asked for; scored as a predictions file is.

    Attributes:
        attrs: data set, split, ``floor-<name>`` as the model, basis and units.
        ids: structures of the split.
        operators: operators predicted.
    """

    def __init__(self, dataset: Dataset, split: str, name: str, operators: Sequence[str], predict: Predictor) -> None:
        self.attrs = PredictionHeader(
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            split=split,
            model=f"floor-{name}",
            basis=dataset.basis,
            energy_unit=dataset.card.units.energy,
        )
        self.ids = dataset.split(split)
        self.operators = tuple(operators)
        self._dataset, self._predict = dataset, predict

    def __getitem__(self, structure: str) -> dict[str, BlockMatrix]:
        """Operators of one structure, unit of the data set."""
        return self._predict(self._dataset.sample(structure))


class IrrepsMean:
    """Mean of the scalar (0e) irreps over the training set: per element on-site, per element pair for pairs.

    The mean of every other irrep over orientations vanishes, so this is the best constant that a rotation leaves alone.

    Args:
        layout: irreps layout of the basis.
    """

    def __init__(self, layout: OperatorLayout) -> None:
        self.layout = layout
        n = len(layout.basis.elements)
        self._sums = [np.zeros((rows, layout.n_features)) for rows in (n, n * n)]
        self._counts = [np.zeros(n), np.zeros(n * n)]

    def add(self, operator: BlockMatrix, pair_index: IntArray, pair_shift: IntArray) -> None:
        """Add one training structure.

        Args:
            operator: reference blocks.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
        """
        species, pair_type = self._types(operator.numbers, pair_index)
        for k, (features, types) in enumerate(
            zip(self.layout.to_features(operator, pair_index, pair_shift), (species, pair_type))
        ):
            np.add.at(self._sums[k], types, features * self.layout.scalar)
            np.add.at(self._counts[k], types, 1)

    @property
    def means(self) -> tuple[FloatArray, FloatArray]:
        """Mean features per element (n, F) and per element pair (n * n, F), unit of the operator; zero where unseen."""
        onsite, pair = (s / np.maximum(c, 1)[:, None] for s, c in zip(self._sums, self._counts))
        return onsite, pair

    def predict(self, numbers: IntArray, pair_index: IntArray, pair_shift: IntArray) -> BlockMatrix:
        """Blocks of a structure.

        Args:
            numbers: (N,) atomic numbers.
            pair_index: (P, 2) off-site pairs, both directions.
            pair_shift: (P, 3) their translations.
        """
        onsite, pair = self.means
        species, pair_type = self._types(numbers, pair_index)
        return self.layout.to_blocks(numbers, onsite[species], pair[pair_type], pair_index, pair_shift)

    def _types(self, numbers: IntArray, pair_index: IntArray) -> tuple[IntArray, IntArray]:
        elements = np.array(self.layout.basis.elements)
        species = np.searchsorted(elements, numbers)
        return species, species[pair_index[:, 0]] * len(elements) + species[pair_index[:, 1]]


def floor_predictions(
    dataset: Dataset,
    name: str,
    split: str = "test",
    operators: Sequence[str] | None = None,
    train_ids: Sequence[str] | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> FloorPredictions:
    """Predictions of a floor.

    Args:
        dataset: the data set.
        name: a name in `FLOORS`.
        split: split to predict.
        operators: operators to predict; all of the data set by default.
        train_ids: structures that fitted floors see; the training split by default.
        progress: wraps the iteration over training structures (a progress bar).

    Raises:
        ConfigError: no floor of that name, or an operator that the data set lacks.
        DataError: no such split.
    """
    chosen = tuple(operators) if operators is not None else dataset.card.operators
    lacking = [op for op in chosen if op not in dataset.card.operators]
    if lacking:
        raise ConfigError(
            f"data set {dataset.name} has no operator {lacking[0]!r}, only {', '.join(dataset.card.operators)}"
        )
    if name == "zero":
        return FloorPredictions(
            dataset, split, name, chosen, lambda sample: {op: sample.operators[op] * 0.0 for op in chosen}
        )
    if name != "irreps-mean":
        raise ConfigError(f"no floor {name!r}; use one of {', '.join(FLOORS)}")
    layout = OperatorLayout(dataset.basis)
    fits = {op: IrrepsMean(layout) for op in chosen}
    for structure in progress(dataset.split("train") if train_ids is None else train_ids):
        sample = dataset.sample(structure)
        index, shift = _offsite(dataset, sample)
        for op, fit in fits.items():
            fit.add(sample.operators[op], index, shift)

    def predict(sample: Sample) -> dict[str, BlockMatrix]:
        index, shift = _offsite(dataset, sample)
        return {op: fit.predict(np.asarray(sample.atoms.numbers), index, shift) for op, fit in fits.items()}

    return FloorPredictions(dataset, split, name, chosen, predict)


def _offsite(dataset: Dataset, sample: Sample) -> tuple[IntArray, IntArray]:
    """Scored pairs without the on-site ones."""
    index, shift = dataset.pairs(sample)
    offsite = (index[:, 0] != index[:, 1]) | shift.any(axis=1)
    return index[offsite], shift[offsite]
