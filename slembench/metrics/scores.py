"""Scores from the per-structure table alone, so that anyone can compute a published score again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from slembench.metrics.catalogue import Metric, catalogue
from slembench.metrics.matrix import COUNTINGS, PARTS, average
from slembench.metrics.statistics import rank_correlation
from slembench.operators.orbitals import FloatArray

AVERAGES = ("per_structure", "pooled")
HARD = "challenging_samples"
_PARTS_OF = {"all": PARTS, "diag": ("onsite",), "off": ("offsite",), "gauge": PARTS, HARD: PARTS}


class Score(NamedTuple):
    """A value and its unit word ("1": dimensionless)."""

    value: float
    unit: str


def scores_from_table(table: pd.DataFrame) -> tuple[dict[str, Score], dict[str, str]]:
    """All scores that a per-structure table holds.

    Args:
        table: as `slembench.evaluation.Evaluation.per_structure`; at least one row.

    Returns:
        Score name (such as ``hamiltonian.mae_all.full.pooled``, see `slembench.metrics.catalogue`) -> value and unit;
        and, for scores that have no value although their columns are there, name -> why.
    """
    energy_unit = str(table["energy_unit"].iloc[0])
    scores: dict[str, Score] = {}
    unavailable: dict[str, str] = {}
    for operator in sorted({name.split(".")[0] for name in table.columns if name.endswith(".full.count")}):
        for name, metric in catalogue().items():
            if operator not in metric.operators:
                continue
            values = _element_scores(table, operator, name) if metric.form == "elements" else {}
            if metric.form == "structures":
                values = _structure_score(table, operator, name, metric)
            if metric.form == "split":
                values = _split_score(table, operator, name)
            for score, value in values.items():
                if np.isfinite(value):
                    scores[score] = Score(value, metric.unit_of(operator, energy_unit))
                else:
                    unavailable[score] = _why(table, score)
    return scores, unavailable


def structure_values(table: pd.DataFrame, score: str) -> tuple[FloatArray, FloatArray]:
    """Numerator and weight of each structure (S,), whose sums' ratio is the score; for `slembench.metrics.statistics`.

    Args:
        table: per-structure table.
        score: an average of absolute errors (``mae_*``) or a mean over structures.

    Raises:
        KeyError: a score that the table does not hold, or that is no ratio of sums (rmse, max, min).
    """
    operator, name, *form = score.split(".")
    if not form:
        over = catalogue()[name].over
        if over == "ratio":
            return _columns(table, f"{score}.abs_sum"), _columns(table, f"{score}.count")
        if over != "mean":
            raise KeyError(f"score {score!r} is not a mean over structures")
        return _columns(table, score), np.ones(len(table))
    kind, _, part = name.partition("_")
    if kind != "mae":
        raise KeyError(f"score {score!r} is not a mean of absolute errors")
    numerator, count = _sums(table, operator, part, form[0], "abs_sum")
    if form[1] == "pooled":
        return numerator, count
    return numerator / np.maximum(count, 1), (count > 0).astype(np.float64)


def _element_scores(table: pd.DataFrame, operator: str, name: str) -> dict[str, float]:
    """Scores of a metric over elements in both countings and averages."""
    kind, _, part = name.partition("_")
    if part == "gauge" and f"{operator}.gauge.onsite.full.abs_sum" not in table:
        return {}
    if part == HARD and "challenging" not in table:
        return {}
    values = {}
    for counting in COUNTINGS:
        for how in AVERAGES:
            if kind == "max":
                largest = table[[f"{operator}.{p}.{counting}.max" for p in PARTS]].max(axis=1)
                value = float(largest.max() if how == "pooled" else largest.mean())
            elif kind == "rmse":
                value = _rmse(*_sums(table, operator, part, counting, "sq_sum"), how)
            else:
                value = average(*_sums(table, operator, part, counting, "abs_sum"), how)
            values[f"{operator}.{name}.{counting}.{how}"] = value
    return values


def _rmse(square: FloatArray, count: FloatArray, how: str) -> float:
    """Root mean square over all elements, or mean over structures of each one's own."""
    if how == "pooled":
        return float(np.sqrt(average(square, count, how)))
    own = np.sqrt(square / np.maximum(count, 1))
    return average(own * count, count, how)


def _sums(table: pd.DataFrame, operator: str, part: str, counting: str, column: str) -> tuple[FloatArray, FloatArray]:
    """Each structure's error sum and element count over the parts that ``part`` names."""
    errors = f"{operator}.gauge" if part == "gauge" else operator
    numerator, count = (
        sum(_columns(table, f"{prefix}.{p}.{counting}.{name}") for p in _PARTS_OF[part])
        for prefix, name in ((errors, column), (operator, "count"))
    )
    chosen = _columns(table, "challenging") if part == HARD else np.ones(len(table))
    return np.asarray(numerator * chosen), np.asarray(count * chosen)


def _columns(table: pd.DataFrame, name: str) -> FloatArray:
    return np.asarray(table[name].to_numpy(np.float64))


def _structure_score(table: pd.DataFrame, operator: str, name: str, metric: Metric) -> dict[str, float]:
    column = f"{operator}.{name}"
    if name == "s_not_pd":
        lowest = f"{operator}.s_min_eig"
        return {column: float((table[lowest] <= 0).sum())} if lowest in table else {}
    if metric.over == "ratio":
        if f"{column}.count" not in table:
            return {}
        return {column: average(_columns(table, f"{column}.abs_sum"), _columns(table, f"{column}.count"), "pooled")}
    if column not in table:
        return {}
    values = _columns(table, column)
    how: Mapping[str, Callable[[FloatArray], float]] = {"min": np.min, "max": np.max, "sum": np.sum, "mean": np.mean}
    return {column: float(how[metric.over or "mean"](values))}


def _split_score(table: pd.DataFrame, operator: str, name: str) -> dict[str, float]:
    """Rank correlation of the spread of an ensemble with the error, over structures."""
    column = f"{operator}.spread"
    if column not in table:
        return {}
    error, count = _sums(table, operator, "all", "full", "abs_sum")
    return {f"{operator}.{name}": rank_correlation(_columns(table, column), error / np.maximum(count, 1))}


def _why(table: pd.DataFrame, score: str) -> str:
    if score in table and table[score].isna().any():
        first = table[table[score].isna()].iloc[0]
        if first.get(f"{score.split('.')[0]}.s_min_eig", 1.0) <= 0:
            return f"structure {first['id']!r}: the predicted S is not positive definite"
        return f"structure {first['id']!r} has no value"
    return "no structure has such elements"
