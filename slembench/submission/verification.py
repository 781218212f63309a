"""What checking a submission gives: a list of checks, the scores that were found, and how far they are backed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import pandas as pd

from slembench.core.errors import SlembenchError, SubmissionError
from slembench.results.evidence import Evidence
from slembench.results.record import ScoreValue
from slembench.submission.submission import Submission

T = TypeVar("T")
Status = Literal["pass", "fail", "not possible"]


class Check(NamedTuple):
    """One check: what was looked at, how it ended, what was seen.

    Example:
        >>> result = Verification(Path("submission"))
        >>> result.attempt("split", lambda: "40 structures")
        >>> result.attempt("re-scored", lambda: needed(None, "the submission has no predictions"))
        >>> [(check.name, check.status) for check in result.checks], result.passed, result.evidence
        ([('split', 'pass'), ('re-scored', 'not possible')], True, 'self-reported')
    """

    name: str
    status: Status
    detail: str


class NotPossible(Exception):
    """A check lacks what it needs; says what."""


@dataclass(eq=False)
class Verification:
    """Result of `verify`.

    Attributes:
        folder: of the submission.
        checks: in the order in which they were made.
        submission: content of submission.yaml; None where it was refused.
        scores: as the checker computed them, from the predictions if it could, else from the table.
        unavailable: score -> why it has no value.
        table: per-structure table that the scores follow from.
    """

    folder: Path
    checks: list[Check] = field(default_factory=list)
    submission: Submission | None = None
    scores: dict[str, ScoreValue] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    table: pd.DataFrame | None = None

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.status != "fail" for check in self.checks)

    @property
    def evidence(self) -> Evidence:
        """How far the scores are backed by what the checker did itself."""
        # Each level needs all of the lower ones; "not possible" is no failure, and no evidence either.
        good = {check.name for check in self.checks if check.status == "pass"}
        if not self.passed or not {"reference columns", "missing", "scores"} <= good:
            return "self-reported"
        if "re-scored" not in good:
            return "recomputed"
        return "retrained" if "retrained" in good else "re-scored"

    def attempt(self, name: str, action: Callable[[], str]) -> None:
        """Make one check and note how it ended."""
        try:
            self.checks.append(Check(name, "pass", action()))
        except NotPossible as reason:
            self.checks.append(Check(name, "not possible", str(reason)))
        except SlembenchError as error:
            self.checks.append(Check(name, "fail", str(error)))
        except (ValueError, KeyError, TypeError, OSError, RuntimeError, MemoryError) as error:
            # What h5py, Arrow and NumPy raise for broken bytes is a fault of the submission, not of the checker.
            self.checks.append(Check(name, "fail", f"not readable: {type(error).__name__}: {error}"))


def needed(value: T | None, reason: str) -> T:
    """The value; `NotPossible` with the reason where there is none."""
    if value is None:
        raise NotPossible(reason)
    return value


def same(what: str, found: object, wanted: object, whose: str) -> None:
    """Raise a SubmissionError unless ``found`` is ``wanted``; ``what`` was looked at, ``whose`` is what is wanted."""
    if found != wanted:
        raise SubmissionError(f"{what}: {found!r} is not {wanted!r} {whose}")
