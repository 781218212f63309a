"""Files of a run: records, tables, training log and predictions, each where it exists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from slembench.core.errors import DataError
from slembench.core.files import sha256
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.results.record import (
    BLOCKS_FILE,
    DISTANCES_FILE,
    PER_STRUCTURE_FILE,
    RECORD_FILE,
    RunRecord,
    read_record,
    read_table,
)
from slembench.training.log import JsonLog

LOG_FILE = "log.jsonl"


@dataclass(frozen=True, eq=False)
class SplitResult:
    """One record with the files beside it.

    Attributes:
        folder: that holds them.
        record: the record.
    """

    folder: Path
    record: RunRecord

    @cached_property
    def per_structure(self) -> pd.DataFrame | None:
        """Per-structure table; None where there is none. Raises DataError where it is not readable."""
        return self._table(PER_STRUCTURE_FILE)

    @cached_property
    def blocks(self) -> pd.DataFrame | None:
        """Per-block table, likewise."""
        return self._table(BLOCKS_FILE)

    @cached_property
    def distances(self) -> pd.DataFrame | None:
        """By-distance table, likewise."""
        return self._table(DISTANCES_FILE)

    def _table(self, name: str) -> pd.DataFrame | None:
        path = self.folder / name
        return read_table(path) if path.is_file() else None

    @cached_property
    def no_predictions(self) -> str:
        """Why the predictions cannot be read; empty where they can."""
        # the record names the checksum: predictions of a later run in the same folder would not explain its scores
        path, expected = self.folder / PREDICTIONS_FILE, self.record.files.get(PREDICTIONS_FILE)
        if not path.is_file():
            return (
                f"There is no {PREDICTIONS_FILE} beside the record of split {self.record.split}: predictions stay on "
                "the machine that made them. `slembench predict --checkpoint RUN --dataset NAME --out FILE` makes them."
            )
        if expected is not None and sha256(path) != expected:
            return (
                f"The sha256 of {PREDICTIONS_FILE} is not the record's: the file was changed or belongs to another run."
            )
        return ""


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A run.

    Attributes:
        folder: of the run.
        splits: its results, in order of their names.
    """

    folder: Path
    splits: tuple[SplitResult, ...]

    @property
    def record(self) -> RunRecord:
        """Record of the first split; model and training are those of all."""
        return self.splits[0].record

    def floors(self, split: str) -> dict[str, SplitResult]:
        """Name of each floor that was scored on ``split`` -> its result."""
        folders = sorted(path.parent for path in self.folder.glob(f"floors/*/{split}/{RECORD_FILE}"))
        return {folder.parent.name: SplitResult(folder, read_record(folder)) for folder in folders}

    def log(self) -> list[dict[str, Any]]:
        """Rows of the training log; empty where there is none."""
        return JsonLog(self.folder / LOG_FILE).rows()


def read_run(path: str | Path) -> RunFolder:
    """Open a run.

    Args:
        path: folder of a run (with a folder for each split), a folder with a record.yaml, or that file itself.

    Raises:
        DataError: no record there, or one that is refused.
    """
    path = Path(path)
    folder = path.parent if path.is_file() else path
    if (folder / RECORD_FILE).is_file():
        return RunFolder(folder.parent, (SplitResult(folder, read_record(folder)),))
    found = sorted(record.parent for record in folder.glob(f"*/{RECORD_FILE}"))
    if not found:
        raise DataError(f"{path}: no {RECORD_FILE} there or one folder below; give the folder of a finished run")
    return RunFolder(folder, tuple(SplitResult(split, read_record(split)) for split in found))
