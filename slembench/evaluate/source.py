"""Whether predictions belong to a data set."""

from __future__ import annotations

from collections.abc import Sequence

from slembench.data import Dataset
from slembench.errors import PredictionError
from slembench.predictions import PredictionSource


def check_source(dataset: Dataset, predictions: PredictionSource, operators: Sequence[str] | None) -> tuple[str, ...]:
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
    for key, found, wanted in (
        ("dataset", attrs.dataset, dataset.name),
        ("dataset_fingerprint", attrs.dataset_fingerprint, dataset.fingerprint),
        ("basis", attrs.basis.to_dict(), dataset.basis.to_dict()),
    ):
        if found != wanted:
            raise PredictionError(
                f"{where}: {key} is {found!r}, the data set's is {wanted!r}; predict on this data set"
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
