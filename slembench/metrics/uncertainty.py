"""Does a model know where it is wrong: its own uncertainty against its error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.stats

from slembench.orbitals import FloatArray


def ensemble_mean(values: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of an ensemble, element by element.

    Args:
        values: (n,) for each of at least two members | unit of the operator.

    Returns:
        (n,) mean and (n,) standard deviation (n - 1 in the denominator), unit of the operator.

    Raises:
        ValueError: fewer than two members.
    """
    if len(values) < 2:
        raise ValueError("an ensemble has at least two members")
    stacked = np.stack(values)
    return stacked.mean(axis=0), stacked.std(axis=0, ddof=1)


def rank_correlation(spread: FloatArray, error: FloatArray) -> float:
    """`uncertainty_rank`: Spearman's rank correlation of predicted uncertainty and error over structures.

    Args:
        spread: (S,) uncertainty of each structure, any unit.
        error: (S,) error of each structure, any unit.

    Returns:
        -1 to 1; NaN with fewer than three structures or where one of them is constant.
    """
    if len(spread) < 3 or np.ptp(spread) == 0 or np.ptp(error) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(spread, error).statistic)
