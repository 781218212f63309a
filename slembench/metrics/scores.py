"""Names of scores, and all scores from the per-structure table alone, so that anyone can compute one again.

Example:
    Two structures: one of 10 elements with a mean error of 0.2, one of 30 elements with 0.4.

    >>> table = pd.DataFrame({"id": ["a", "b"], "energy_unit": "eV"})
    >>> for part in PARTS:
    ...     for counting in COUNTINGS:
    ...         for name, sums in {"abs_sum": [1, 6], "sq_sum": [0.5, 4], "count": [5, 15], "max": [0.6, 1]}.items():
    ...             table[f"hamiltonian.{part}.{counting}.{name}"] = sums
    >>> scores, _ = scores_from_table(table)
    >>> for average in AVERAGES:
    ...     print(average, round(scores[f"hamiltonian.mae_all.full.{average}"].value, 4))
    per_structure 0.3
    pooled 0.35
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from slembench.core.errors import ConfigError
from slembench.metrics.catalogue import Metric, catalogue
from slembench.metrics.matrix import COUNTINGS, PARTS, average
from slembench.metrics.statistics import rank_correlation
from slembench.operators import OPERATORS
from slembench.operators.orbitals import FloatArray

AVERAGES = ("per_structure", "pooled")
"""Mean over structures of each one's own mean, and mean over all elements of all structures."""


@dataclass(frozen=True, order=True)
class ScoreName:
    """Name of a score: ``operator.metric``, or ``operator.metric.counting.average`` for a metric over elements.

    Attributes:
        operator: hamiltonian, overlap or density.
        metric: a name of the catalogue.
        counting: elements that count, full or reduced; empty for metrics with one value a structure or split.
        average: pooled or per_structure; empty likewise.

    Example:
        >>> name = ScoreName.parse("hamiltonian.mae_all.full.pooled")
        >>> name.operator, name.metric, name.counting, name.average
        ('hamiltonian', 'mae_all', 'full', 'pooled')
        >>> str(ScoreName("overlap", "s_min_eig"))
        'overlap.s_min_eig'
    """

    operator: str
    metric: str
    counting: str = ""
    average: str = ""

    @classmethod
    def parse(cls, text: str) -> ScoreName:
        """Parts of a name; whether the catalogue knows the metric is left to `definition`.

        Raises:
            ConfigError: neither two nor four words between points.
        """
        parts = text.split(".")
        if len(parts) not in (2, 4) or not all(parts):
            raise _no_such_score(text)
        return cls(*parts)

    @classmethod
    def of(cls, operator: str, metric: str, counting: str, average: str) -> ScoreName:
        """Score of a metric of the catalogue in one counting and average, which only metrics over elements have.

        Example:
            >>> for metric in ("mae_off", "gap_mae"):
            ...     print(ScoreName.of("hamiltonian", metric, "full", "pooled"))
            hamiltonian.mae_off.full.pooled
            hamiltonian.gap_mae
        """
        over_elements = catalogue()[metric].form == "elements"
        return cls(operator, metric, counting, average) if over_elements else cls(operator, metric)

    def __str__(self) -> str:
        return ".".join(filter(None, (self.operator, self.metric, self.counting, self.average)))

    @property
    def definition(self) -> Metric:
        """The metric.

        Raises:
            ConfigError: no score of this name can exist.

        Example:
            >>> ScoreName.parse("hamiltonian.gap_mae").definition.title
            'error of the gap'
            >>> ScoreName.parse("hamiltonian.gap_mae.full.pooled").definition
            Traceback (most recent call last):
            ...
            slembench.core.errors.ConfigError: no score 'hamiltonian.gap_mae.full.pooled'; a score is ...
        """
        metric = catalogue().get(self.metric)
        if metric is None or self not in score_names(metric, self.operator):
            raise _no_such_score(str(self))
        return metric

    def is_in_form(self, counting: str, average: str) -> bool:
        """True where the score has this counting and average, or neither.

        Args:
            counting: full or reduced.
            average: pooled or per_structure.

        Example:
            >>> names = ["overlap.mae_all.full.pooled", "overlap.mae_all.reduced.pooled", "overlap.s_min_eig"]
            >>> [ScoreName.parse(name).is_in_form("full", "pooled") for name in names]
            [True, False, True]
        """
        return not self.counting or (self.counting, self.average) == (counting, average)


def _no_such_score(text: str) -> ConfigError:
    return ConfigError(
        f"no score {text!r}; a score is operator.metric[.counting.average], metrics: {', '.join(catalogue())}"
    )


def score_names(metric: Metric, operator: str) -> list[ScoreName]:
    """Scores that a metric makes of one operator; none where it makes none.

    Args:
        metric: of the catalogue.
        operator: hamiltonian, overlap or density.

    Example:
        >>> [str(name) for name in score_names(catalogue()["mae_off"], "density")][:2]
        ['density.mae_off.full.per_structure', 'density.mae_off.full.pooled']
        >>> score_names(catalogue()["mae_block"], "density")
        []
    """
    if operator not in metric.operators or not metric.makes_score:
        return []
    if metric.form != "elements":
        return [ScoreName(operator, metric.name)]
    return [ScoreName(operator, metric.name, counting, how) for counting in COUNTINGS for how in AVERAGES]


class Score(NamedTuple):
    """A value and its unit word ("1": dimensionless)."""

    value: float
    unit: str


def scores_from_table(table: pd.DataFrame) -> tuple[dict[str, Score], dict[str, str]]:
    """All scores that a per-structure table holds.

    Args:
        table: as `slembench.evaluation.Evaluation.per_structure`; at least one row.

    Returns:
        Score name (such as ``hamiltonian.mae_all.full.pooled``, see `ScoreName`) -> value and unit; and, for scores
        that have no value although their columns are there, name -> why.
    """
    energy_unit = str(table["energy_unit"].iloc[0])
    scores: dict[str, Score] = {}
    unavailable: dict[str, str] = {}
    for operator in sorted(op for op in OPERATORS if f"{op}.onsite.full.count" in table):
        for metric in catalogue().values():
            if operator not in metric.operators:
                continue
            values: dict[ScoreName, float] = {}
            if metric.form == "elements":
                values = _element_scores(table, operator, metric)
            if metric.form == "structures":
                values = _structure_score(table, operator, metric)
            if metric.form == "split":
                values = _split_score(table, operator, metric)
            for name, value in values.items():
                if np.isfinite(value):
                    scores[str(name)] = Score(value, metric.unit_of(operator, energy_unit))
                else:
                    unavailable[str(name)] = _why(table, name)
    return scores, unavailable


def structure_values(table: pd.DataFrame, score: str) -> tuple[FloatArray, FloatArray]:
    """Numerator and weight of each structure (S,), whose sums' ratio is the score; for `slembench.metrics.statistics`.

    Args:
        table: per-structure table.
        score: an average of absolute errors (``mae_*``) or a mean over structures.

    Raises:
        KeyError: a score that the table does not hold, or that is no ratio of sums (rmse, max, min).

    Example:
        >>> table = pd.DataFrame({"hamiltonian.gap_mae": [0.1, 0.3]})
        >>> structure_values(table, "hamiltonian.gap_mae")
        (array([0.1, 0.3]), array([1., 1.]))
    """
    name = ScoreName.parse(score)
    metric = catalogue()[name.metric]
    if metric.form != "elements":
        if metric.over == "ratio":
            return _columns(table, f"{score}.abs_sum"), _columns(table, f"{score}.count")
        if metric.over != "mean":
            raise KeyError(f"score {score!r} is not a mean over structures")
        return _columns(table, score), np.ones(len(table))
    if metric.kind != "mae":
        raise KeyError(f"score {score!r} is not a mean of absolute errors")
    numerator, count = _sums(table, name.operator, metric, name.counting, "abs_sum")
    if name.average == "pooled":
        return numerator, count
    # mean over structures: each one's own mean, with a weight of one where it has such elements at all
    return numerator / np.maximum(count, 1), (count > 0).astype(np.float64)


def _element_scores(table: pd.DataFrame, operator: str, metric: Metric) -> dict[ScoreName, float]:
    """Scores of a metric over elements in both countings and averages."""
    if metric.gauge and f"{operator}.gauge.onsite.full.abs_sum" not in table:
        return {}
    if metric.challenging and "challenging" not in table:
        return {}
    values = {}
    for name in score_names(metric, operator):
        counting, how = name.counting, name.average
        if metric.kind == "max":
            largest = table[[f"{operator}.{p}.{counting}.max" for p in PARTS]].max(axis=1)
            # the largest of all elements has no mean; per structure it is the mean of the structures' largest
            values[name] = float(largest.max() if how == "pooled" else largest.mean())
        elif metric.kind == "rmse":
            values[name] = _rmse(*_sums(table, operator, metric, counting, "sq_sum"), how)
        else:
            values[name] = average(*_sums(table, operator, metric, counting, "abs_sum"), how)
    return values


def _rmse(square: FloatArray, count: FloatArray, how: str) -> float:
    """Root mean square over all elements, or mean over structures of each one's own."""
    if how == "pooled":
        return float(np.sqrt(average(square, count, how)))
    own = np.sqrt(square / np.maximum(count, 1))  # the root first, then the mean over structures
    return average(own * count, count, how)  # average divides by count again


def _sums(
    table: pd.DataFrame, operator: str, metric: Metric, counting: str, column: str
) -> tuple[FloatArray, FloatArray]:
    """Each structure's error sum and element count over the parts that the metric counts."""
    # the gauge has error sums of its own, but the same elements
    errors = f"{operator}.gauge" if metric.gauge else operator
    numerator, count = (
        sum(_columns(table, f"{prefix}.{part}.{counting}.{name}") for part in metric.parts)
        for prefix, name in ((errors, column), (operator, "count"))
    )
    chosen = _columns(table, "challenging") if metric.challenging else np.ones(len(table))
    return np.asarray(numerator * chosen), np.asarray(count * chosen)


def _columns(table: pd.DataFrame, name: str) -> FloatArray:
    return np.asarray(table[name].to_numpy(np.float64))


def _structure_score(table: pd.DataFrame, operator: str, metric: Metric) -> dict[ScoreName, float]:
    name = ScoreName(operator, metric.name)
    column = str(name)
    if metric.name == "s_not_pd":  # has no column of its own: it follows from the smallest eigenvalues
        lowest = f"{operator}.s_min_eig"
        return {name: float((table[lowest] <= 0).sum())} if lowest in table else {}
    if metric.over == "ratio":
        if f"{column}.count" not in table:
            return {}
        return {name: average(_columns(table, f"{column}.abs_sum"), _columns(table, f"{column}.count"), "pooled")}
    if column not in table:
        return {}
    values = _columns(table, column)
    how: Mapping[str, Callable[[FloatArray], float]] = {"min": np.min, "max": np.max, "sum": np.sum, "mean": np.mean}
    return {name: float(how[metric.over or "mean"](values))}


def _split_score(table: pd.DataFrame, operator: str, metric: Metric) -> dict[ScoreName, float]:
    """Rank correlation of the spread of an ensemble with the error, over structures."""
    column = f"{operator}.spread"
    if column not in table:
        return {}
    error, count = _sums(table, operator, catalogue()["mae_all"], "full", "abs_sum")
    return {ScoreName(operator, metric.name): rank_correlation(_columns(table, column), error / np.maximum(count, 1))}


def _why(table: pd.DataFrame, name: ScoreName) -> str:
    column = str(name)
    if column in table and table[column].isna().any():
        first = table[table[column].isna()].iloc[0]
        if first.get(f"{name.operator}.s_min_eig", 1.0) <= 0:
            return f"structure {first['id']!r}: the predicted S is not positive definite"
        return f"structure {first['id']!r} has no value"
    return "no structure has such elements"
