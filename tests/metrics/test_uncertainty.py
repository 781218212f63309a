"""Rank correlation and ensembles."""

import numpy as np
import pytest

from slembench.metrics.statistics import ensemble_mean, rank_correlation


def test_ranks():
    error = np.array([0.1, 0.5, 0.2, 0.9])
    assert rank_correlation(error**3, error) == pytest.approx(1)
    assert rank_correlation(-error, error) == pytest.approx(-1)
    # Spearman: 1 - 6 sum d^2 / (n (n^2 - 1)), ranks 2 1 3 4 against 1 3 2 4
    assert rank_correlation(np.array([2.0, 1, 3, 4]), error) == pytest.approx(1 - 6 * 6 / 60)
    assert np.isnan(rank_correlation(np.ones(4), error))
    assert np.isnan(rank_correlation(error[:2], error[:2]))


def test_mean_and_spread():
    members = [np.array([1.0, 2.0]), np.array([3.0, 2.0]), np.array([5.0, 5.0])]
    mean, spread = ensemble_mean(members)
    np.testing.assert_allclose(mean, [3, 3])
    np.testing.assert_allclose(spread, [2, np.sqrt(3)])
    with pytest.raises(ValueError, match="at least two"):
        ensemble_mean(members[:1])
