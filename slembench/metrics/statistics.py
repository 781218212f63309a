"""Uncertainty of scores: bootstrap over groups of structures, hierarchical over seeds where there are several.

A score is a ratio of sums over structures: sum of numerators / sum of weights. The pooled average takes error sums and
element counts, the per-structure average takes each structure's own mean and weights of one. Structures of weight
zero are left out. The error of an ensemble is compared with the spread of its members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slembench.operators.orbitals import FloatArray

RESAMPLES = 10_000
"""Resamples of a bootstrap by default."""

MIN_GROUPS = 20
"""Groups of structures below which no difference is resolved: the bootstrap's interval is too narrow for few groups."""

MIN_SEEDS = 2
"""Seeds of each model below which no difference is resolved: the variance between seeds is unknown."""

_BATCH_VALUES = 1 << 24  # drawn group numbers held at a time, 128 MB


@dataclass(frozen=True)
class Interval:
    """A score with its 95 % bootstrap interval.

    Attributes:
        value: the score on the data as they are, mean over seeds.
        low: 2.5 % quantile of the resampled score.
        high: 97.5 % quantile.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """Score of A minus score of B on the same structures.

    Attributes:
        difference: with its 95 % interval.
        n_groups: groups of structures that were resampled.
        n_seeds: seeds of the model that has fewer.
    """

    difference: Interval
    n_groups: int
    n_seeds: int

    @property
    def tied(self) -> bool:
        """True where the interval contains zero."""
        return self.difference.low <= 0 <= self.difference.high

    @property
    def resolved(self) -> bool:
        """False with one seed or fewer than 20 groups, whatever the interval."""
        return self.n_seeds >= MIN_SEEDS and self.n_groups >= MIN_GROUPS

    @property
    def verdict(self) -> str:
        """One of "not resolved", "tied", "A lower", "B lower"."""
        if not self.resolved:
            return "not resolved"
        if self.tied:
            return "tied"
        return "A lower" if self.difference.value < 0 else "B lower"


def bootstrap(
    numerator: FloatArray, weight: FloatArray, groups: Sequence[object], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """95 % interval of one model's score; groups are drawn with replacement, and seeds where there are several.

    Args:
        numerator: (S,) or (n_seeds, S) | each structure's numerator.
        weight: (S,) | each structure's weight, not negative.
        groups: (S,) | group of each structure (molecule, trajectory, parent structure).
        resamples: number of resamples.
        seed: of the random draws.

    Raises:
        ValueError: shapes that do not fit, or no structure.

    Example:
        Per-structure errors of 40 structures, each a group of its own: weights of one, so that the score is the mean.

        >>> errors = np.linspace(0.8, 1.2, 40)
        >>> found = bootstrap(errors, np.ones(40), range(40), resamples=2000)
        >>> round(found.value, 6), 0.94 < found.low < 0.98, 1.02 < found.high < 1.06
        (1.0, True, True)
    """
    sums = group_sums(numerator, weight, groups)
    return interval(_score(*sums), resampled_scores([sums], resamples, seed)[:, 0])


def paired_bootstrap(
    a: FloatArray,
    b: FloatArray,
    weight: FloatArray,
    groups: Sequence[object],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two models' scores; both see the same groups in every resample, seeds are drawn for each alone.

    Args:
        a: (S,) or (n_seeds_a, S) | numerators of model A.
        b: (S,) or (n_seeds_b, S) | numerators of model B on the same structures, in the same order.
        weight: (S,) | each structure's weight, not negative.
        groups: (S,) | group of each structure.
        resamples: number of resamples.
        seed: of the random draws.

    Raises:
        ValueError: shapes that do not fit, or no structure.

    Example:
        Structures differ a lot and the models little; paired, B is better by 0.02 to a high precision.

        >>> hard = np.linspace(0.1, 3.0, 40)
        >>> a, b = np.stack([hard, hard + 0.001]), np.stack([hard - 0.02, hard - 0.019])
        >>> result = paired_bootstrap(a, b, np.ones(40), range(40), resamples=1000)
        >>> round(result.difference.value, 4), result.resolved, result.verdict
        (0.02, True, 'B lower')
    """
    sums_a, sums_b = group_sums(a, weight, groups), group_sums(b, weight, groups)
    draws = resampled_scores([sums_a, sums_b], resamples, seed)
    difference = interval(_score(*sums_a) - _score(*sums_b), draws[:, 0] - draws[:, 1])
    return PairedDifference(difference, len(sums_a[1]), min(len(sums_a[0]), len(sums_b[0])))


def group_sums(numerator: FloatArray, weight: FloatArray, groups: Sequence[object]) -> tuple[FloatArray, FloatArray]:
    """Sums over each group of structures; those of weight zero are left out.

    Args:
        numerator: (S,) or (n_seeds, S) | each structure's numerator.
        weight: (S,) | each structure's weight, not negative.
        groups: (S,) | group of each structure.

    Returns:
        Numerators (n_seeds, G) and weights (G,).

    Raises:
        ValueError: shapes that do not fit, or no structure.

    Example:
        >>> group_sums(np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 2.0]), ["a", "b", "a"])
        (array([[5., 2.]]), array([3., 1.]))
    """
    numerator, weight = np.atleast_2d(np.asarray(numerator, dtype=np.float64)), np.asarray(weight, dtype=np.float64)
    if weight.ndim != 1 or not len(weight) or numerator.shape[1:] != weight.shape or len(groups) != len(weight):
        raise ValueError(
            f"numerator {numerator.shape}, weight {weight.shape} and {len(groups)} groups do not fit together"
        )
    counted = weight > 0
    if not counted.any():
        raise ValueError("no structure has a positive weight")
    numerator, weight = numerator[:, counted], weight[counted]
    _, member = np.unique([str(group) for group, keep in zip(groups, counted) if keep], return_inverse=True)
    sums = np.zeros((len(numerator), member.max() + 1))
    for row, values in zip(sums, numerator):
        np.add.at(row, member, values)
    return sums, np.asarray(np.bincount(member, weights=weight), dtype=np.float64)


def _draws(n_groups: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """How often each group is drawn, (b, G) a batch; the batches together hold ``resamples`` rows."""
    # drawing G groups with replacement = one multinomial draw of G with equal probabilities
    batch = max(1, min(resamples, _BATCH_VALUES // n_groups))
    share = np.full(n_groups, 1 / n_groups)
    for start in range(0, resamples, batch):
        yield rng.multinomial(n_groups, share, size=min(batch, resamples - start))


def _score(sums: FloatArray, weights: FloatArray) -> float:
    """Mean over seeds of the ratio of sums."""
    return float((sums.sum(axis=1) / weights.sum()).mean())


def _scores(sums: FloatArray, weights: FloatArray, counts: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
    """(b,) resampled scores, each the mean over as many seeds drawn with replacement as there are."""
    of_seed = counts @ sums.T / (counts @ weights)[:, None]
    n_seeds = len(sums)
    if n_seeds == 1:
        return np.asarray(of_seed[:, 0])
    # hierarchical: each resample of groups draws its own seeds, so that both spreads enter the interval
    chosen = rng.integers(n_seeds, size=of_seed.shape)
    return np.asarray(np.take_along_axis(of_seed, chosen, axis=1).mean(axis=1))


def resampled_scores(sums: Sequence[tuple[FloatArray, FloatArray]], resamples: int, seed: int) -> FloatArray:
    """Scores of several models on the same resamples of groups, seeds drawn for each model alone.

    Args:
        sums: from `group_sums`, one a model, all of the same groups.
        resamples: number of resamples.
        seed: of the random draws.

    Returns:
        (resamples, models).

    Example:
        Two models that differ by 0.5 on every structure do so in every resample, whatever groups it draws.

        >>> weight, groups = np.ones(6), list("aabbcc")
        >>> sums = [group_sums(np.arange(6) + shift, weight, groups) for shift in (0.0, 0.5)]
        >>> draws = resampled_scores(sums, 100, seed=0)
        >>> draws.shape, bool(np.allclose(draws[:, 1] - draws[:, 0], 0.5))
        ((100, 2), True)
    """
    rng = np.random.default_rng(seed)
    batches = [
        np.stack([_scores(*own, counts, rng) for own in sums], axis=1)
        for counts in _draws(len(sums[0][1]), resamples, rng)
    ]
    return np.concatenate(batches)


def interval(value: float, draws: FloatArray) -> Interval:
    """95 % interval of a value from resampled ones (r,): their 2.5 % and 97.5 % quantiles.

    Example:
        >>> interval(0.5, np.linspace(0, 1, 1001))
        Interval(value=0.5, low=0.025, high=0.975)
    """
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def ensemble_mean(values: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of an ensemble, element by element.

    Args:
        values: (n,) for each of at least two members | unit of the operator.

    Returns:
        (n,) mean and (n,) standard deviation (n - 1 in the denominator), unit of the operator.

    Raises:
        ValueError: fewer than two members.

    Example:
        >>> ensemble_mean([np.array([1.0, 2.0]), np.array([3.0, 2.0])])
        (array([2., 2.]), array([1.41421356, 0.        ]))
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

    Example:
        >>> round(rank_correlation(np.array([0.1, 0.2, 0.3, 0.9]), np.array([1.0, 5.0, 2.0, 7.0])), 6)
        0.8
    """
    if len(spread) < 3 or np.ptp(spread) == 0 or np.ptp(error) == 0:
        return float("nan")
    from scipy.stats import spearmanr  # takes longer to import than all else here, and few evaluations need it

    return float(spearmanr(spread, error).statistic)
