"""Power laws y = a x^b with intervals, of errors against training data and of times against size; costs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slembench.metrics.statistics import RESAMPLES, group_sums, interval, resampled_scores
from slembench.operators.orbitals import FloatArray


@dataclass(frozen=True)
class PowerLaw:
    """y = factor * x^exponent, fitted as a straight line of log y against log x.

    Attributes:
        factor: a, unit of y.
        exponent: b; negative where y falls.
        low: lower end of the 95 % interval of b.
        high: upper end.
    """

    factor: float
    exponent: float
    low: float
    high: float


def power_law(x: Sequence[float], y: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> PowerLaw:
    """`time_exponent`: fit by least squares in logarithms; the interval comes from resampling the points.

    Args:
        x: (n,) positive.
        y: (n,) positive.
        resamples: number of resamples of the points; those with a single x are left out.
        seed: of the random draws.

    Raises:
        ValueError: lengths that differ, fewer than two different x, or a value that is not positive.

    Example:
        >>> law = power_law([10, 20, 40], [3.0, 6.0, 12.0])
        >>> round(law.factor, 6), round(law.exponent, 6)
        (0.3, 1.0)
    """
    logs = _logs(x, y)
    # resampling points: a line needs two different x, which small resamples may lack
    draws = np.random.default_rng(seed).integers(logs.shape[1], size=(resamples, logs.shape[1]))
    chosen = logs[:, draws]
    varied = np.ptp(chosen[0], axis=1) > 0
    exponents = _exponents(chosen[0, varied], chosen[1, varied])
    exponent, intercept = np.polyfit(logs[0], logs[1], 1)  # log y = log a + b log x
    low, high = np.quantile(exponents, [0.025, 0.975]) if len(exponents) else (np.nan, np.nan)
    return PowerLaw(float(np.exp(intercept)), float(exponent), float(low), float(high))


def learning_curve(
    sizes: Sequence[int],
    numerators: Sequence[FloatArray],
    weight: FloatArray,
    groups: Sequence[object],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PowerLaw:
    """`data_exponent`: fit of a score against the number of training structures, score ~ a N^-b (``exponent`` = -b).

    The interval comes from a hierarchical bootstrap: every resample draws the same groups of test structures for all
    training sets, and seeds of each training set anew, then fits again.

    Args:
        sizes: training structures of each training set.
        numerators: for each training set (S,) or (n_seeds, S) | numerators of the test structures, as in
            `slembench.metrics.statistics.bootstrap`.
        weight: (S,) | weights of the test structures.
        groups: (S,) | groups of the test structures.
        resamples: number of resamples.
        seed: of the random draws.

    Raises:
        ValueError: shapes that do not fit, fewer than two sizes, or a score that is not positive.

    Example:
        Errors of 20 test structures that fall as 1 / sqrt(N).

        >>> sizes = [25, 50, 100]
        >>> law = learning_curve(sizes, [np.full(20, n**-0.5) for n in sizes], np.ones(20), range(20), resamples=100)
        >>> round(law.exponent, 6), round(law.low, 6), round(law.high, 6)
        (-0.5, -0.5, -0.5)
    """
    if len(sizes) != len(numerators):
        raise ValueError(f"{len(sizes)} sizes but {len(numerators)} sets of numerators")
    sums = [group_sums(numerator, weight, groups) for numerator in numerators]
    logs = _logs(sizes, [float((own.sum(axis=1) / weights.sum()).mean()) for own, weights in sums])
    scores = resampled_scores(sums, resamples, seed)
    exponents = _exponents(np.broadcast_to(logs[0], scores.shape), np.log(scores))
    exponent, intercept = np.polyfit(logs[0], logs[1], 1)
    fitted = interval(float(exponent), exponents)
    return PowerLaw(float(np.exp(intercept)), fitted.value, fitted.low, fitted.high)


def _logs(x: Sequence[float], y: Sequence[float]) -> FloatArray:
    """(2, n) logarithms."""
    values = [np.asarray(v, dtype=np.float64) for v in (x, y)]
    if len(values[0]) != len(values[1]) or len(set(values[0].tolist())) < 2:
        raise ValueError(f"a power law needs pairs at two different sizes at least, got {list(x)} and {list(y)}")
    if min(v.min() for v in values) <= 0:
        raise ValueError("a power law needs positive values")
    return np.log(values)


def _exponents(x: FloatArray, y: FloatArray) -> FloatArray:
    """(r,) slopes of straight lines through rows of points (r, n) of logarithms: cov(x, y) / var(x)."""
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray((centred * y).sum(axis=1) / (centred**2).sum(axis=1))


RUN_COSTS = (
    "parameters", "train_wall_s", "train_cpu_s", "train_steps", "structures_seen", "peak_memory_bytes",
    "inference_ms_per_atom", "pairs_per_atom",
)  # fmt: skip
"""Names of the costs of a run, as in the catalogue."""


def run_costs(cost: Mapping[str, float | None], training: Mapping[str, float | None]) -> dict[str, float]:
    """Costs of a run by the catalogue's names, those that were measured.

    Args:
        cost: fields of a record's cost.
        training: fields of a record's training summary; empty where there is none.

    Returns:
        Name -> value in the catalogue's unit.

    Example:
        >>> run_costs({"parameters": 1000, "train_wall_s": 1.5, "peak_memory_bytes": None}, {"steps": 50})
        {'parameters': 1000.0, 'train_wall_s': 1.5, 'train_steps': 50.0}
    """
    values = {**cost, "train_steps": training.get("steps"), "structures_seen": training.get("structures_seen")}
    return {name: float(value) for name in RUN_COSTS if (value := values.get(name)) is not None}
