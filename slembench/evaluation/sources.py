"""Sources of predictions: whether they belong to a data set, and several of them as one ensemble.

The mean of an ensemble is scored, the spread of its members is the model's own uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from slembench.core.errors import PredictionError
from slembench.data import Dataset
from slembench.metrics.matrix import align_hermitian
from slembench.metrics.statistics import ensemble_mean
from slembench.operators.blocks import BlockMatrix
from slembench.predictions import PredictionHeader, PredictionSource


class EnsembleSource:
    """Mean of several predictions, structure by structure.

    Attributes:
        attrs: of the first member, with the number of members in the model's name.
        ids: structures that all members predict.
        operators: operators that all members predict.

    Args:
        members: at least two predictions of one data set and split, in one energy unit.

    Raises:
        PredictionError: fewer than two, or members of different data, splits or units.

    Example:
        >>> from slembench.data import load_dataset
        >>> from slembench.evaluation.floors import floor_predictions
        >>> zero = floor_predictions(load_dataset("mos2-mini"), "zero", operators=["overlap"])
        >>> ensemble = EnsembleSource([zero, zero])
        >>> ensemble.attrs.model, ensemble.spread(ensemble.ids[0], "overlap")
        ('floor-zero, mean of 2', 0.0)
    """

    def __init__(self, members: Sequence[PredictionSource]) -> None:
        if len(members) < 2:
            raise PredictionError("an ensemble needs at least two predictions files")
        first = members[0].attrs
        for member in members[1:]:
            for key in ("dataset", "dataset_fingerprint", "split", "energy_unit"):
                if getattr(member.attrs, key) != getattr(first, key):
                    raise PredictionError(
                        f"ensemble: {key} of {member.attrs.model!r} is {getattr(member.attrs, key)!r}, "
                        f"that of {first.model!r} is {getattr(first, key)!r}"
                    )
        self._members = members
        self.attrs: PredictionHeader = replace(first, model=f"{first.model}, mean of {len(members)}")
        # in the order of the first member; what one of them lacks has no mean
        self.ids = [name for name in members[0].ids if all(name in set(member.ids) for member in members[1:])]
        self.operators = tuple(op for op in members[0].operators if all(op in m.operators for m in members[1:]))

    def __getitem__(self, structure: str) -> Mapping[str, BlockMatrix]:
        """Mean of every operator, on the pairs of the first member."""
        return {op: self._mean(structure, op)[0] for op in self.operators}

    def spread(self, structure: str, operator: str) -> float:
        """Mean over elements of the standard deviation between members, unit of the predictions."""
        return float(self._mean(structure, operator)[1].mean())

    def _mean(self, structure: str, operator: str) -> tuple[BlockMatrix, np.ndarray]:
        first, *others = (member[structure][operator].complete() for member in self._members)
        aligned = [first.values, *(align_hermitian(m, first.pair_index, first.pair_shift)[0].values for m in others)]
        mean, spread = ensemble_mean(aligned)
        return first.with_values(mean), spread


def check_predictions(
    dataset: Dataset, predictions: PredictionSource, operators: Sequence[str] | None
) -> tuple[str, ...]:
    """Operators to score, after checking that the predictions belong to the data set.

    Args:
        dataset: the data set.
        predictions: an open predictions file, or a floor.
        operators: those that were asked for; by default all that are predicted and that the data set has.

    Raises:
        PredictionError: predictions of another data set, version of it or basis, or without an operator that was asked
            for.
    """
    attrs, where = predictions.attrs, f"predictions of {predictions.attrs.model!r}"
    for key, stated, expected in (
        ("dataset", attrs.dataset, dataset.name),
        ("dataset_fingerprint", attrs.dataset_fingerprint, dataset.fingerprint),
        ("basis", attrs.basis.to_dict(), dataset.basis.to_dict()),
    ):
        if stated != expected:
            raise PredictionError(
                f"{where}: {key} is {stated!r}, the data set's is {expected!r}; predict on this data set"
            )
    both = tuple(op for op in dataset.card.operators if op in predictions.operators)
    lacking = [op for op in operators or () if op not in both]
    if lacking or not both:
        held = ", ".join(predictions.operators)
        raise PredictionError(
            f"{where}: cannot score {', '.join(lacking) or 'any operator'}: the predictions hold {held}, "
            f"data set {dataset.name} has {', '.join(dataset.card.operators)}"
        )
    return tuple(operators) if operators is not None else both
