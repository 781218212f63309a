"""Cost: parameters, time and memory are measured and go into the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slembench.suite.test_accuracy import record_of

if TYPE_CHECKING:
    from slembench.suite.model_under_test import ModelUnderTest


@pytest.mark.parametrize("cost", ["parameters", "peak_memory_bytes", "inference_ms_per_atom", "train_wall_s"])
def test_cost(under_test: ModelUnderTest, cost: str) -> None:
    """The cost was measured and is positive."""
    if cost == "train_wall_s" and under_test.job is None:
        pytest.skip("given as a checkpoint")
    value = getattr(record_of(under_test).cost, cost)
    assert value is not None
    assert value > 0
