"""Cost: parameters, time and memory are measured and go into the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slembench.suite.test_accuracy import record_of

if TYPE_CHECKING:
    from slembench.suite.subject import Subject


@pytest.mark.parametrize("cost", ["parameters", "peak_memory_bytes", "inference_ms_per_atom", "train_wall_s"])
def test_cost(subject: Subject, cost: str) -> None:
    """The cost was measured."""
    if cost == "train_wall_s" and subject.job is None:
        pytest.skip("given as a checkpoint")
    value = getattr(record_of(subject).cost, cost)
    assert value is not None
    assert value > 0
