"""Accuracy: scores are data; only the limits of a gate file are passed or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from slembench.results.record import RunRecord
    from slembench.suite.model_under_test import ModelUnderTest
    from slembench.suite.session import RecordValue


def record_of(under_test: ModelUnderTest) -> RunRecord:
    """Record of the scored run; fails the test in one line where training or prediction failed."""
    from slembench.suite.shared_results import ComputationError

    try:
        return under_test.run()
    except ComputationError as failure:
        return pytest.fail(f"nothing to score: {failure}", pytrace=False)


def test_scores(under_test: ModelUnderTest, record_value: RecordValue) -> None:
    """Every structure of the split is predicted; the scores go into the record."""
    record = record_of(under_test)
    record_value("about", "run", record.model_dump(mode="json"))
    assert record.scores
    assert not record.missing


def test_gate(under_test: ModelUnderTest, record_value: RecordValue, gated_metric: str) -> None:
    """The value of one metric of the gate file lies within its limits."""
    from slembench.metrics.catalogue import catalogue
    from slembench.metrics.scaling import run_costs

    threshold = under_test.options.gate[gated_metric]
    metric = catalogue().get(gated_metric)
    value: float | None = None
    unit: str = metric.unit if metric is not None else ""
    reason = "it was not measured"
    if metric is not None and metric.form == "check":
        check = under_test.physics()[gated_metric]
        value, reason = check["value"], check["note"]
    elif metric is not None:
        record = record_of(under_test)
        training = record.training.model_dump() if record.training else {}
        value = run_costs(record.cost.model_dump(), training).get(gated_metric)
    else:
        record = record_of(under_test)
        score = record.scores.get(gated_metric)
        value, unit = (score.value, score.unit) if score else (None, "")
        reason = record.unavailable.get(gated_metric, reason)
    problem = f"no value: {reason}" if value is None else threshold.violation(value, unit)
    limits = threshold.model_dump(include={"min", "max"})
    record_value("gate", gated_metric, {**limits, "value": value, "unit": unit or None, "passed": not problem})
    if problem:
        pytest.fail(f"{gated_metric}: {problem}", pytrace=False)
