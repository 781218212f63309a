"""Predictions of a floor, made when asked for; scored as a predictions file is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slembench.blocks import BlockMatrix
from slembench.data import Dataset, Sample
from slembench.predictions import PredictionHeader

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
