"""Power laws against NumPy, and intervals that hold the truth."""

import numpy as np
import pytest

from slembench.metrics.scaling import learning_curve, power_law, run_costs

SIZES = [100, 80, 60, 40, 20]


def test_exact_power_law():
    found = power_law([1, 2, 4, 8], [3 * x**-0.7 for x in (1, 2, 4, 8)])
    assert (found.factor, found.exponent) == pytest.approx((3, -0.7))
    assert (found.low, found.high) == pytest.approx((-0.7, -0.7))


def test_noisy_power_law_equals_a_line_in_logarithms():
    rng = np.random.default_rng(0)
    x = rng.uniform(10, 1000, size=40)
    y = 0.5 * x**1.2 * np.exp(rng.normal(0, 0.1, size=40))
    found = power_law(x, y)
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    assert (found.exponent, found.factor) == pytest.approx((slope, np.exp(intercept)))
    error = np.sqrt(
        np.sum((np.log(y) - slope * np.log(x) - intercept) ** 2) / 38 / np.sum((np.log(x) - np.log(x).mean()) ** 2)
    )
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.25)


def curves(exponent, seeds, structures, spread):
    rng = np.random.default_rng(3)
    difficulty = rng.lognormal(0, 0.5, size=structures)
    return [
        n**-exponent
        * difficulty
        * np.exp(rng.normal(0, spread, size=(seeds, 1)) + rng.normal(0, 0.05, (seeds, structures)))
        for n in SIZES
    ]


def test_learning_curve():
    numerators = curves(0.5, 3, 40, 0.05)
    found = learning_curve(SIZES, numerators, np.ones(40), range(40))
    means = [values.mean() for values in numerators]
    assert found.exponent == pytest.approx(np.polyfit(np.log(SIZES), np.log(means), 1)[0])
    assert found.low < -0.5 < found.high
    assert found.high - found.low < 0.3


def test_noisier_seeds_widen_the_interval():
    widths = []
    for spread in (0.02, 0.2):
        found = learning_curve(SIZES, curves(0.5, 3, 40, spread), np.ones(40), range(40), resamples=2000)
        widths.append(found.high - found.low)
    assert widths[1] > 3 * widths[0]


def test_the_same_test_structures_in_every_training_set():
    """Difficulty that all training sets share drops out of the exponent."""
    difficulty = np.random.default_rng(4).lognormal(0, 1, size=30)
    found = learning_curve(SIZES, [n**-0.3 * difficulty for n in SIZES], np.ones(30), range(30))
    assert (found.low, found.high) == pytest.approx((-0.3, -0.3))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 1], [1, 2], "two different sizes"),
        ([1, 2], [1], "two different sizes"),
        ([1, 2], [1, 0], "positive values"),
    ],
)
def test_what_is_no_power_law(x, y, message):
    with pytest.raises(ValueError, match=message):
        power_law(x, y)


def test_sizes_and_numerators_belong_together():
    with pytest.raises(ValueError, match="2 sizes but 1 sets"):
        learning_curve([1, 2], [np.ones(3)], np.ones(3), range(3))


def test_costs_that_were_measured():
    found = run_costs({"parameters": 10, "peak_memory_bytes": None}, {"steps": 5})
    assert found == {"parameters": 10, "train_steps": 5}
