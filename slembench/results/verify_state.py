"""What the checks of a submission hand on to each other; what is not there yet makes a check impossible."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from slembench.data import Dataset
from slembench.errors import SubmissionError
from slembench.files import sha256
from slembench.predictions import Predictions
from slembench.results.record import RunRecord
from slembench.results.submission import Submission, SubmittedFile
from slembench.results.untrusted import file_inside
from slembench.results.verification import Verification, needed, same


class CheckState:
    """State between the checks; arguments as those of `slembench.results.verify.verify`."""

    def __init__(
        self,
        folder: Path,
        dataset: str | Path | None,
        predictions: str | Path | None,
        retrained: RunRecord | None,
        max_seconds: float,
        threads: int | None,
        cache: Path | None,
        progress: Callable[[Iterable[str]], Iterable[str]],
    ) -> None:
        self.folder, self.dataset, self.given, self.retrained = folder, dataset, predictions, retrained
        self.end, self.max_seconds = time.monotonic() + max_seconds, max_seconds
        self.threads, self.cache, self.bar = threads, cache, progress
        self.result = Verification(folder)
        self._data: Dataset | None = None
        self._zero: pd.DataFrame | None = None
        self._table: pd.DataFrame | None = None
        self._file: Predictions | None = None
        self.plain = False

    @property
    def submission(self) -> Submission:
        """Content of submission.yaml."""
        return needed(self.result.submission, "submission.yaml was refused")

    @property
    def data(self) -> Dataset:
        """The data set, once it is known to be the one named."""
        return needed(self._data, "the data set is not the one submitted for")

    @property
    def zero(self) -> pd.DataFrame:
        """Table of predicting zero, which holds all that does not depend on predictions."""
        return needed(self._zero, "the table was refused")

    @property
    def table(self) -> pd.DataFrame:
        """Submitted table, in the order of the split."""
        return needed(self._table, "the table was refused")

    @property
    def file(self) -> Predictions:
        """Predictions file, once it was accepted."""
        return needed(self._file, "no predictions file that was accepted")

    @property
    def predicted_ids(self) -> list[str]:
        """Structures of the split that are predicted."""
        return [name for name in self.data.split(self.submission.split) if name in self.file]

    def timed(self, ids: Iterable[str]) -> Iterator[str]:
        """The ids, as long as there is time."""
        for name in self.bar(ids):
            if time.monotonic() > self.end:
                raise SubmissionError(f"{self.folder}: not finished after {self.max_seconds:g} s; allow more time")
            yield name

    def close(self) -> None:
        """Close the predictions file."""
        if self._file is not None:
            self._file.close()

    def submitted(self, file: SubmittedFile, max_bytes: int) -> Path:
        """Path of a file in the folder, after comparing its sha256."""
        path = file_inside(self.folder, file.path or "", max_bytes)
        same(f"{path}: sha256", sha256(path), file.sha256, "of the file")
        return path
