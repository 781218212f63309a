"""Result of an evaluation: the per-structure table, scores, what was missing, and why a metric has no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from slembench.data import Card, Dataset
from slembench.metrics.catalogue import Metric, catalogue
from slembench.metrics.scores import Score, ScoreName, score_names
from slembench.operators import OPERATORS


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of one predictions file on one split.

    Attributes:
        dataset: name of the data set.
        split: name of the split.
        model: name of the model.
        per_structure: one row a structure; all scores follow from it (`scores_from_table`). Columns: ``id``, ``group``,
            ``n_atoms``, ``energy_unit``, ``predicted`` (False: counted as zero), ``challenging`` where the card names
            such structures, and for each operator ``<op>.<onsite|offsite>.<full|reduced>.<abs_sum|sq_sum|count|max>``,
            ``<op>.missing_blocks``, ``<op>.extra_blocks``; for H with an S also ``hamiltonian.mu`` and the sums
            ``hamiltonian.gauge.<part>.<counting>.abs_sum``; then ``<op>.<metric>`` for each metric that has one value
            a structure. Energies in ``energy_unit``.
        scores: name -> value and unit.
        unavailable: score or metric -> why it has no value.
        blocks: `mae_block` over the split, with a column ``operator``.
        distances: `mae_by_distance` over the split: operator, lower, upper (Angstrom), mae, abs_sum, elements, pairs.
        missing: ids of structures without a prediction.
        unknown: ids in the predictions that are not in the split; they are not scored.
        block_issues: id, operator, kind (missing | extra), i, j, R1, R2, R3 of single blocks.
    """

    dataset: str
    split: str
    model: str
    per_structure: pd.DataFrame
    scores: dict[str, Score]
    unavailable: dict[str, str]
    blocks: pd.DataFrame
    distances: pd.DataFrame
    missing: list[str]
    unknown: list[str]
    block_issues: pd.DataFrame


def official_scores(card: Card, available: Sequence[str]) -> list[str]:
    """Names of the card's official scores, in its order, among the available ones; H first, then S and D.

    Args:
        card: of the data set.
        available: names of scores.

    Example:
        >>> from slembench.data import load_card
        >>> names = ("overlap.mae_all", "overlap.max_abs", "hamiltonian.mae_all")
        >>> available = [f"{name}.full.pooled" for name in names]
        >>> official_scores(load_card("mos2-mini"), available)
        ['hamiltonian.mae_all.full.pooled', 'overlap.mae_all.full.pooled']
    """
    official = card.official
    names = []
    for operator in OPERATORS:
        for metric in official.metrics:
            forms = (ScoreName(operator, metric), ScoreName(operator, metric, official.counting, official.average))
            names += [str(name) for name in forms if str(name) in available]
    return names


def main_scores(card: Card, available: Sequence[str]) -> list[str]:
    """Names of the official scores, then of the other available ones in the official counting and average.

    Args:
        card: of the data set.
        available: names of scores.

    Example:
        >>> from slembench.data import load_card
        >>> available = ["hamiltonian.gap_mae", "hamiltonian.mae_all.full.pooled", "hamiltonian.mae_all.reduced.pooled"]
        >>> main_scores(load_card("mos2-mini"), available)
        ['hamiltonian.mae_all.full.pooled', 'hamiltonian.gap_mae']
    """
    form = (card.official.counting, card.official.average)
    usual = [name for name in available if ScoreName.parse(name).is_in_form(*form)]
    return list(dict.fromkeys([*official_scores(card, available), *usual]))


def unavailable_metrics(
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
            names = [str(score) for score in score_names(metric, operator)]
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
