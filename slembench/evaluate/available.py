"""Why a metric of the catalogue has no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from slembench.data import Dataset
from slembench.metrics.catalogue import Metric, catalogue
from slembench.metrics.scores import Score


def why_not(
    dataset: Dataset, table: pd.DataFrame, scores: Mapping[str, Score], operators: Sequence[str], levels: str
) -> dict[str, str]:
    """Reason for every metric that is defined for these operators and this kind of system, but has no score.

    Args:
        dataset: the data set.
        table: per-structure table.
        scores: the scores there are.
        operators: operators that were scored.
        levels: why there are no levels at all; empty if there are.

    Returns:
        ``<operator>.<metric>`` -> reason. Metrics without columns only; a column without a value has its own reason.
    """
    system = "crystals" if dataset.card.periodic else "molecules"
    reasons = {}
    for operator in operators:
        for name, metric in catalogue().items():
            if operator not in metric.operators or system not in metric.systems:
                continue
            names = metric.score_names(name, operator)
            if names and not any(score in scores or score in table for score in names):
                reasons[f"{operator}.{name}"] = _reason(dataset, metric, levels)
    return reasons


def _reason(dataset: Dataset, metric: Metric, levels: str) -> str:
    if "S" in metric.needs and "overlap" not in dataset.card.operators:
        return "the data set has no overlap"
    if "challenging" in metric.needs:
        return "the card names no challenging structures or block (key 'challenging')"
    if "PySCF" in metric.needs and dataset.card.scf is None:
        return "the card names no protocol of self-consistent runs (key 'scf')"
    if metric.option:
        return f"not asked for ({metric.option})"
    if levels:
        return levels
    return "too large: no reference orbitals are kept"
