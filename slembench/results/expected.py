"""``expected.yaml`` of a model's folder: what a run of it is expected to give, and whether one does.

A model that is changed by accident still trains; what it then scores says so. One entry holds the scores of one run on
one data set with all that they depend on; a run of the same variant, budget and data is held against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.metrics.scores import ScoreName
from slembench.models.facts import EXPECTED_FILE, ModelFacts
from slembench.results.record import RunRecord, ScoreValue

Verdict = Literal["as expected", "better", "worse", "missing"]


class ExpectedRun(StrictModel):
    """One measured run.

    Attributes:
        variant: of the recipe.
        split: that was scored.
        split_hash: sha256 over its ids and scored pair sets.
        seed: of the measured run; another one may be held against it.
        budget: what ended the training, such as "360 CPU s".
        steps: optimiser steps that this budget allowed.
        tolerance: relative; a score that is worse by more is not as expected.
        scores: name -> value and unit.
        measured_on: processor, threads and dtype.
        versions: package -> version.
        created: UTC, ISO 8601.
    """

    variant: str
    split: str
    split_hash: str
    seed: int
    budget: str
    steps: int
    tolerance: float = Field(gt=0)
    scores: dict[str, ScoreValue]
    measured_on: str
    versions: dict[str, str]
    created: str


class Expected(StrictModel):
    """Content of the file.

    Attributes:
        description: how the values of the runs came about.
        runs: data set -> run.
        measured: size, receptive field and symmetry errors of the untrained model (`slembench.suite.facts`), or None.
    """

    description: str
    measured: ModelFacts | None = None
    runs: dict[str, ExpectedRun]


class Finding(NamedTuple):
    """A score of a run beside the expected one; ``found`` is None where the run lacks it."""

    score: str
    unit: str
    expected: float
    found: float | None
    verdict: Verdict


def read_expected(folder: str | Path) -> Expected:
    """Expectations of a model's folder.

    Raises:
        DataError: no such file, not YAML, or an unknown, missing or ill-typed key; names file and key.
    """
    file = Path(folder) / EXPECTED_FILE
    if not file.is_file():
        raise DataError(f"{file}: no such file; `slembench dev expected RUN --write` makes one from a run")
    return load_yaml(Expected, file, DataError)


def expected_run(record: RunRecord, scores: Sequence[str], tolerance: float) -> ExpectedRun:
    """Entry made of the ``scores`` of a run.

    Raises:
        DataError: a record of no training of ours, or a score that it lacks.
    """
    if record.training is None or record.hardware is None:
        raise DataError(f"record {record.name}: was not trained here, so nothing can be expected of a training")
    lacking = [score for score in scores if score not in record.scores]
    if lacking:
        raise DataError(f"record {record.name}: has no score {lacking[0]!r}; it has {', '.join(record.scores)}")
    return ExpectedRun(
        variant=record.config.get("variant", ""),
        split=record.split,
        split_hash=record.split_hash,
        seed=record.training.seed,
        budget=record.training.budget,
        steps=record.training.steps,
        tolerance=tolerance,
        scores={score: record.scores[score] for score in scores},
        measured_on=f"{record.hardware.cpu}, {record.hardware.threads} threads, {record.hardware.dtype}",
        versions=record.versions,
        created=record.created,
    )


def write_expected(folder: str | Path, expected: Expected) -> Path:
    """Write the file of a model's folder atomically; returns its path."""
    content = expected.model_dump(mode="json", exclude=None if expected.measured else {"measured"})
    text = yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
    return write_text(Path(folder) / EXPECTED_FILE, text)


def compare_with_expected(record: RunRecord, expected: Expected) -> list[Finding]:
    """Every expected score of the record's data set beside the record's own.

    Raises:
        DataError: nothing is expected on this data set, or the run differs in split, data, variant or budget.
    """
    entry = expected.runs.get(record.dataset)
    if entry is None:
        known = ", ".join(expected.runs) or "none"
        raise DataError(f"record {record.name}: nothing is expected on {record.dataset}, only on {known}")
    budget = record.training.budget if record.training is not None else "none"
    # What a score depends on besides the model and its seed; a run that differs in any of it says nothing.
    facts = {
        "split": (record.split, entry.split),
        "scored structures (split_hash)": (record.split_hash, entry.split_hash),
        "variant": (record.config.get("variant", ""), entry.variant),
        "budget": (budget, entry.budget),
    }
    for what, (found, wanted) in facts.items():
        if found != wanted:
            raise DataError(f"record {record.name}: {what} is {found!r}, but what is expected is of {wanted!r}")
    return [_finding(record, score, value, entry.tolerance) for score, value in entry.scores.items()]


def _finding(record: RunRecord, score: str, expected: ScoreValue, tolerance: float) -> Finding:
    found = record.scores.get(score)
    if found is None:
        return Finding(score, expected.unit, expected.value, None, "missing")
    # Signed so that a positive change is a loss, whichever way the metric runs.
    change = (found.value - expected.value) * (-1 if ScoreName.parse(score).definition.direction == "higher" else 1)
    verdict: Verdict = "as expected"
    if abs(change) > tolerance * abs(expected.value):
        verdict = "worse" if change > 0 else "better"
    return Finding(score, expected.unit, expected.value, found.value, verdict)
