"""Bootstrap intervals against theory and against loops over resamples."""

import numpy as np
import pytest

from slembench.metrics.statistics import bootstrap, paired_bootstrap

RNG = np.random.default_rng(7)


def test_interval_of_a_mean_has_the_normal_width():
    values = RNG.normal(5, 2, size=400)
    found = bootstrap(values, np.ones(400), range(400))
    error = values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_groups_are_drawn_whole():
    values = np.repeat(RNG.normal(size=40), 10)  # ten equal structures a group: 40 independent numbers, not 400
    groups = np.repeat([f"g{k}" for k in range(40)], 10)
    by_group = bootstrap(values, np.ones(400), groups)
    alone = bootstrap(values, np.ones(400), range(400))
    ratio = (by_group.high - by_group.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_pooled_ratio_equals_a_loop():
    sums, counts, n = RNG.uniform(1, 2, 30), RNG.integers(10, 100, 30).astype(float), 30
    found = bootstrap(sums, counts, range(30), resamples=4000)
    draws = []
    for _ in range(4000):
        chosen = RNG.integers(n, size=n)
        draws.append(sums[chosen].sum() / counts[chosen].sum())
    assert found.value == pytest.approx(sums.sum() / counts.sum())
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=0.02)


def test_structures_of_weight_zero_do_not_count():
    values, weight = np.array([1.0, 2.0, 3.0, 99.0]), np.array([1.0, 1.0, 1.0, 0.0])
    assert bootstrap(values, weight, range(4)) == bootstrap(values[:3], weight[:3], range(3))


def test_pairing_removes_what_both_models_share():
    difficulty = RNG.normal(10, 5, size=50)
    found = paired_bootstrap(difficulty, difficulty + 0.1, np.ones(50), range(50))
    assert [found.difference.value, found.difference.low, found.difference.high] == pytest.approx([-0.1] * 3)
    assert not found.tied
    alone = bootstrap(difficulty, np.ones(50), range(50))
    assert alone.high - alone.low > 1


def models(shift, seeds, groups):
    a = 1 + 0.01 * RNG.normal(size=(seeds, groups))
    return a, a + shift


@pytest.mark.parametrize(
    ("shift", "seeds", "groups", "verdict"),
    [
        (0.5, 3, 30, "A lower"),
        (-0.5, 3, 30, "B lower"),
        (0.0, 3, 30, "tied"),
        (0.5, 1, 30, "not resolved"),
        (0.5, 3, 19, "not resolved"),
        (0.5, 2, 20, "A lower"),
    ],
)
def test_verdicts(shift, seeds, groups, verdict):
    a, b = models(shift, seeds, groups)
    found = paired_bootstrap(a, b, np.ones(groups), range(groups), resamples=500)
    assert found.verdict == verdict
    assert (found.n_seeds, found.n_groups) == (seeds, groups)


def test_seeds_widen_the_interval():
    spread = np.array([0.5, 1.0, 1.5])[:, None] + 0.01 * RNG.normal(size=(3, 40))
    hierarchical = bootstrap(spread, np.ones(40), range(40))
    groups_only = bootstrap(spread.mean(axis=0), np.ones(40), range(40))
    assert hierarchical.value == pytest.approx(groups_only.value)
    # mean of three seeds drawn from {0.5, 1, 1.5}: all of one kind 1 time in 27, so the 95 % interval spans 0.5..1.5
    assert (hierarchical.low, hierarchical.high) == pytest.approx((0.5, 1.5), abs=0.02)
    assert groups_only.high - groups_only.low < 0.02


def test_fewer_seeds_of_the_other_model_count():
    a, b = models(0.5, 3, 30)
    assert paired_bootstrap(a, b[:1], np.ones(30), range(30), resamples=100).n_seeds == 1


def test_the_same_seed_gives_the_same_interval():
    values = RNG.normal(size=30)
    assert bootstrap(values, np.ones(30), range(30)) == bootstrap(values, np.ones(30), range(30))


@pytest.mark.parametrize(
    ("numerator", "weight", "groups", "message"),
    [
        (np.ones(3), np.ones(2), range(2), "do not fit together"),
        (np.ones(3), np.ones(3), range(2), "do not fit together"),
        (np.ones(0), np.ones(0), [], "do not fit together"),
        (np.ones(2), np.zeros(2), range(2), "positive weight"),
    ],
)
def test_shapes_that_do_not_fit(numerator, weight, groups, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(numerator, weight, groups)
