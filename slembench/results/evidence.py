"""How far the scores of an entry are backed: four levels, weakest first."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from slembench.core.errors import SlembenchError
from slembench.metrics.scores import scores_from_table
from slembench.results.record import RunRecord

Evidence = Literal["self-reported", "recomputed", "re-scored", "retrained"]
LEVELS: tuple[Evidence, ...] = get_args(Evidence)
"""Weakest first."""

MEANING: dict[Evidence, str] = {
    "self-reported": "the author's own numbers; nothing was computed again",
    "recomputed": "the scores were computed again from the errors of every structure",
    "re-scored": "the errors were computed again from the predicted matrices",
    "retrained": "a model that the checker trained reaches the official scores",
}

TOLERANCE = 1e-9
"""Relative difference of scores from the same table."""


def evidence_of(record: RunRecord, table: pd.DataFrame | None) -> Evidence:
    """Evidence level of a record.

    A record states what the checker found (``config.evidence``, written by `slembench verify`); without the table that
    its scores follow from it is self-reported whatever it says.

    Args:
        record: of the run.
        table: per-structure table beside it; None where there is none.
    """
    if table is None or not follows(record, table):
        return "self-reported"
    # A record can claim any level: only the two that need a checker's own work are taken over, and only with a table.
    stated = record.config.get("evidence")
    return next((level for level in LEVELS[2:] if level == stated), "recomputed")


def follows(record: RunRecord, table: pd.DataFrame) -> bool:
    """Whether every score of a record follows from a per-structure table."""
    try:
        found, _ = scores_from_table(table)
    except (KeyError, ValueError, TypeError, IndexError, SlembenchError):
        return False
    # 1e-15 absolute: a score that is zero but for rounding, such as the error of an exact prediction.
    return bool(record.scores) and all(
        name in found
        and found[name].unit == score.unit
        and bool(np.isclose(found[name].value, score.value, rtol=TOLERANCE, atol=1e-15))
        for name, score in record.scores.items()
    )
