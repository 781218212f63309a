"""Power laws y = a x^b with intervals: learning curves (error against training data) and cost against size.

What a model costs, and how the cost grows with size.
"""

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
    """Fit by least squares in logarithms; the interval comes from resampling the points.

    Args:
        x: (n,) positive.
        y: (n,) positive.
        resamples: number of resamples of the points; those with a single x are left out.
        seed: of the random draws.

    Raises:
        ValueError: lengths that differ, fewer than two different x, or a value that is not positive.
    """
    logs = _logs(x, y)
    draws = np.random.default_rng(seed).integers(logs.shape[1], size=(resamples, logs.shape[1]))
    chosen = logs[:, draws]
    varied = np.ptp(chosen[0], axis=1) > 0
    slopes = _slopes(chosen[0, varied], chosen[1, varied])
    slope, intercept = np.polyfit(logs[0], logs[1], 1)
    low, high = np.quantile(slopes, [0.025, 0.975]) if len(slopes) else (np.nan, np.nan)
    return PowerLaw(float(np.exp(intercept)), float(slope), float(low), float(high))


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
    """
    if len(sizes) != len(numerators):
        raise ValueError(f"{len(sizes)} sizes but {len(numerators)} sets of numerators")
    sums = [group_sums(numerator, weight, groups) for numerator in numerators]
    logs = _logs(sizes, [float((own.sum(axis=1) / weights.sum()).mean()) for own, weights in sums])
    scores = resampled_scores(sums, resamples, seed)
    slopes = _slopes(np.broadcast_to(logs[0], scores.shape), np.log(scores))
    slope, intercept = np.polyfit(logs[0], logs[1], 1)
    found = interval(float(slope), slopes)
    return PowerLaw(float(np.exp(intercept)), found.value, found.low, found.high)


def _logs(x: Sequence[float], y: Sequence[float]) -> FloatArray:
    """(2, n) logarithms."""
    values = [np.asarray(v, dtype=np.float64) for v in (x, y)]
    if len(values[0]) != len(values[1]) or len(set(values[0].tolist())) < 2:
        raise ValueError(f"a power law needs pairs at two different sizes at least, got {list(x)} and {list(y)}")
    if min(v.min() for v in values) <= 0:
        raise ValueError("a power law needs positive values")
    return np.log(values)


def _slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    """(r,) slopes of straight lines through rows of points (r, n)."""
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
    """
    found = {**cost, "train_steps": training.get("steps"), "structures_seen": training.get("structures_seen")}
    return {name: float(value) for name in RUN_COSTS if (value := found.get(name)) is not None}


def time_exponent(atoms: Sequence[int], seconds: Sequence[float]) -> PowerLaw:
    """`time_exponent`: fit of time = a N^b over structures of different size, with the 95 % interval of b.

    Args:
        atoms: number of atoms of each structure.
        seconds: prediction time of each, seconds.

    Raises:
        ValueError: fewer than two sizes, or a time that is not positive.
    """
    return power_law(atoms, seconds)
