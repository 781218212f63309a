"""Accuracy: scores are data; only the limits of a gate file are passed or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from slembench.results.record import RunRecord
    from slembench.suite.session import Note
    from slembench.suite.subject import Subject


def record_of(subject: Subject) -> RunRecord:
    """The scored run; fails the test in one line where there is none."""
    from slembench.suite.shared import Failure

    try:
        return subject.run()
    except Failure as failure:
        return pytest.fail(f"nothing to score: {failure}", pytrace=False)


def test_scores(subject: Subject, note: Note) -> None:
    """Every structure is predicted, and the scores go into the record."""
    record = record_of(subject)
    note("about", "run", record.model_dump(mode="json"))
    assert record.scores
    assert not record.missing


def test_gate(subject: Subject, note: Note, gated: str) -> None:
    """One line of the gate file."""
    from slembench.metrics.catalogue import catalogue
    from slembench.metrics.scaling import run_costs

    bound = subject.options.gate[gated]
    metric = catalogue().get(gated)
    value: float | None = None
    unit: str = metric.unit if metric is not None else ""
    reason = "it was not measured"
    if metric is not None and metric.form == "check":
        check = subject.physics()[gated]
        value, reason = check["value"], check["note"]
    elif metric is not None:
        record = record_of(subject)
        training = record.training.model_dump() if record.training else {}
        value = run_costs(record.cost.model_dump(), training).get(gated)
    else:
        record = record_of(subject)
        score = record.scores.get(gated)
        value, unit = (score.value, score.unit) if score else (None, "")
        reason = record.unavailable.get(gated, reason)
    problem = f"no value: {reason}" if value is None else bound.problem(value, unit)
    limits = bound.model_dump(include={"min", "max"})
    note("gate", gated, {**limits, "value": value, "unit": unit or None, "passed": not problem})
    if problem:
        pytest.fail(f"{gated}: {problem}", pytrace=False)
