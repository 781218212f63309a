"""Record of one session of the suite in YAML: every test with its outcome, every measured number."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from slembench.core.config import StrictModel
from slembench.results.record import PhysicsCheck, RunRecord, read_checked, write_checked

Area = Literal["contract", "physics", "accuracy", "cost"]


class TestedModel(StrictModel):
    """What the model declares.

    Attributes:
        name: as the model names itself.
        symmetry: group under which it claims to be equivariant: O3, SO3 or none.
        inputs: what it is given beyond the structure.
        targets: operators that it predicts.
        parameters: trainable parameters.
        onsite_reads, pair_reads: Angstrom | receptive field of on-site and pair blocks; absent where it is infinite.
    """

    name: str
    symmetry: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    parameters: int
    onsite_reads: float | None = None
    pair_reads: float | None = None


class TestResult(StrictModel):
    """One test: its name, its area, how it ended and how long it took; ``note`` is the reason of a failure or skip."""

    name: str
    area: Area
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    note: str = ""


class GateResult(StrictModel):
    """A limit of the gate file and the value it was compared with; no value where there is none."""

    min: float | None = None
    max: float | None = None
    value: float | None = None
    unit: str | None = None
    passed: bool


class SuiteRecord(StrictModel):
    """One session.

    Attributes:
        subject: the model or checkpoint, as it was given.
        model: what the model declares; absent where it could not be built.
        dataset, split: what it was tested on.
        complete: every test ran; False after an interruption.
        workers: processes that tested at the same time; 0 for one that did all. Times of several are those of a busy
            machine.
        outcomes: outcome -> number of tests.
        tests: every test, by area and name.
        contract: measured value of each contract check, relative to the mean |element|; limits stand in the tests.
        physics: physics checks, of the untrained model or of the checkpoint.
        gate: limits of the gate file.
        run: record of training, predictions and scores; absent where they failed.
        versions: package -> version.
        created: UTC, ISO 8601.
    """

    format: Literal["slembench-suite"] = "slembench-suite"
    version: Literal[1] = 1
    subject: str
    model: TestedModel | None = None
    dataset: str
    split: str
    complete: bool
    workers: int
    outcomes: dict[str, int]
    tests: tuple[TestResult, ...]
    contract: dict[str, float] = Field(default_factory=dict)
    physics: dict[str, PhysicsCheck] = Field(default_factory=dict)
    gate: dict[str, GateResult] = Field(default_factory=dict)
    run: RunRecord | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def write_suite_record(record: SuiteRecord, path: Path) -> Path:
    """Write a record atomically; returns its path."""
    return write_checked(record, path)


def read_suite_record(path: str | Path) -> SuiteRecord:
    """Record of a session.

    Raises:
        DataError: no such file, not YAML, an unknown, missing or ill-typed key; names file and key.
    """
    return read_checked(path, SuiteRecord)
