"""One checker of submissions for both sides: who hands in, and who takes the entry onto the board.

Only numbers and words are read from a submission: plain YAML, Parquet and HDF5, each looked at before it is opened
(`slembench.submission.untrusted`, `slembench.predictions.checks`). No code and no pickle is touched. The checks run in
a fixed order and hand on what they accepted (`CheckState`); a check whose input was refused is reported as not
possible, so that one fault does not hide the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from slembench.core.errors import SubmissionError
from slembench.core.files import sha256
from slembench.core.progress import progress
from slembench.data import Dataset, load_dataset
from slembench.evaluation import evaluate
from slembench.evaluation.floors import floor_predictions
from slembench.metrics.scores import scores_from_table
from slembench.operators.blocks import BlockMatrix
from slembench.predictions import Predictions, PredictionSource, read_predictions
from slembench.predictions.checks import check_untrusted
from slembench.results.record import RunRecord, ScoreValue
from slembench.submission import checks as compare
from slembench.submission.submission import Submission, SubmittedFile, read_submission
from slembench.submission.untrusted import file_inside, read_submitted_table
from slembench.submission.verification import NotPossible, Verification, needed, same


class TimedSource:
    """Predictions that can be read as long as there is time.

    Args:
        source: the predictions.
        check_time: called before every structure; raises where the time is over.
    """

    def __init__(self, source: PredictionSource, check_time: Callable[[], None]) -> None:
        self.attrs, self.ids, self.operators = source.attrs, source.ids, source.operators
        self._source, self._check_time = source, check_time

    def __getitem__(self, structure: str) -> Mapping[str, BlockMatrix]:
        """Operators of one structure."""
        self._check_time()
        return self._source[structure]


class CheckState:
    """State between the checks; arguments as those of `slembench.submission.verify.verify`."""

    def __init__(
        self,
        folder: Path,
        dataset: str | Path | None,
        predictions: str | Path | None,
        retrained: RunRecord | None,
        max_seconds: float,
        threads: int | None,
        cache: Path | None,
    ) -> None:
        self.folder, self.dataset, self.given, self.retrained = folder, dataset, predictions, retrained
        # Monotonic: a clock that is set back must not give a submission more time.
        self.end, self.max_seconds = time.monotonic() + max_seconds, max_seconds
        self.threads, self.cache = threads, cache
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
        for name in progress(ids, "verify"):
            self.check_time()
            yield name

    def check_time(self) -> None:
        """Raise SubmissionError where there is no time left."""
        if time.monotonic() > self.end:
            raise SubmissionError(f"{self.folder}: not finished after {self.max_seconds:g} s; allow more time")

    def close(self) -> None:
        """Close the predictions file."""
        if self._file is not None:
            self._file.close()

    def submitted(self, file: SubmittedFile, max_bytes: int) -> Path:
        """Path of a file in the folder, after comparing its sha256."""
        path = file_inside(self.folder, file.path or "", max_bytes)
        same(f"{path}: sha256", sha256(path), file.sha256, "of the file")
        return path


ENTRIES = 16
"""Most files of a submission."""

SUFFIXES = (".yaml", ".parquet", ".h5", ".md")
"""Files that a submission may hold."""

TABLE_BYTES = 1 << 29
"""Largest table."""

MAX_SECONDS = 3600.0
"""Time a check may take by default."""


def verify(
    folder: str | Path,
    *,
    dataset: str | Path | None = None,
    predictions: str | Path | None = None,
    retrained: RunRecord | None = None,
    max_seconds: float = MAX_SECONDS,
    threads: int | None = None,
    cache: Path | None = None,
) -> Verification:
    """Check a submission.

    Args:
        folder: of the submission.
        dataset: folder of the data set; by default found by the name in submission.yaml.
        predictions: the predictions file, where the submission gives an address only.
        retrained: record of a run that the checker trained from the published code, to compare with.
        max_seconds: time after which the check gives up, seconds.
        threads: structures whose levels are solved at once.
        cache: folder for reference levels.

    Returns:
        All checks. Nothing is raised for what a submission may hold.
    """
    checker = _Checker(Path(folder), dataset, predictions, retrained, max_seconds, threads, cache)
    result = checker.result
    for name, action in checker.steps().items():
        result.attempt(name, action)
    checker.close()
    return result


class _Checker(CheckState):
    """The checks; each returns what it saw, or raises."""

    def steps(self) -> Mapping[str, Callable[[], str]]:
        """Name -> check, in order."""
        return {
            "folder": self.check_folder,
            "schema": self.check_schema,
            "data set": self.check_dataset,
            "split": self.check_split,
            "table": self.check_table,
            "reference columns": self.check_reference,
            "missing": self.check_missing,
            "scores": self.check_scores,
            "predictions": self.check_predictions,
            "units": lambda: compare.units(self.data, self.file, self.timed(self.predicted_ids)),
            "Hermitian": lambda: compare.hermitian(self.file, self.timed(self.predicted_ids)),
            "re-scored": self.check_rescored,
            "retrained": self.check_retrained,
        }

    def check_folder(self) -> str:
        """Few plain files of known kinds, no subfolders, no links."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise SubmissionError(f"{self.folder}: no such folder")
        # Counted while listing: a folder with a million files is refused after a few.
        names = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > ENTRIES:
                    raise SubmissionError(f"{self.folder}: more than {ENTRIES} files")
        for name in sorted(names):
            path = file_inside(self.folder, name, 1 << 62)  # sizes are limited where a file is opened
            if path.suffix not in SUFFIXES:
                raise SubmissionError(f"{path}: no such file belongs there, only {', '.join(SUFFIXES)}")
        self.plain = True
        return f"{len(names)} plain files"

    def check_schema(self) -> str:
        """submission.yaml."""
        if not self.plain:
            raise NotPossible("the folder was refused")
        self.result.submission = read_submission(self.folder)
        return f"{self.submission.name}, model {self.submission.model}"

    def check_dataset(self) -> str:
        """Name, revision, fingerprint, split and operators."""
        entry = self.submission
        data = load_dataset(self.dataset or entry.dataset)
        for key, found, wanted in (
            ("dataset", entry.dataset, data.name),
            ("dataset_revision", entry.dataset_revision, data.card.revision),
            ("dataset_fingerprint", entry.dataset_fingerprint, data.fingerprint),
        ):
            same(f"key {key!r}", found, wanted, "here")
        data.split(entry.split)
        lacking = [op for op in entry.targets if op not in data.card.operators]
        if lacking:
            raise SubmissionError(f"key 'targets': data set {data.name} has no {lacking[0]}")
        self._data = data
        return f"{data.name}, revision {data.card.revision}"

    def check_split(self) -> str:
        """Fingerprint of ids and scored pairs."""
        entry = self.submission
        same("key 'split_hash'", entry.split_hash, self.data.split_hash(entry.split), f"of split {entry.split!r}")
        return f"{entry.split}, {len(self.data.split(entry.split))} structures"

    def check_table(self) -> str:
        """Schema, complete ids, finite values."""
        entry, data = self.submission, self.data
        ids = data.split(entry.split)
        path = self.submitted(entry.per_structure, TABLE_BYTES)
        table = read_submitted_table(path, len(ids))
        # Predicting zero gives every column that does not depend on the model: ids, groups, counts, reference norms.
        floor = floor_predictions(data, "zero", entry.split, entry.targets)
        source = TimedSource(floor, self.check_time)
        self._zero = evaluate(data, source, entry.split, bands=False).per_structure
        self._table = compare.complete(path, table, self._zero, entry.targets)
        return f"{len(ids)} structures, {len(table.columns)} columns, all finite"

    def check_reference(self) -> str:
        """Columns that do not depend on the predictions."""
        return compare.reference(self.table, self.zero)

    def check_missing(self) -> str:
        """Structures without a prediction are counted, and count as zero."""
        return compare.missing(self.table, self.zero, self.submission.missing)

    def check_scores(self) -> str:
        """Scores from the table."""
        scores, self.result.unavailable = scores_from_table(self.table)
        self.result.scores = {name: ScoreValue(value=s.value, unit=s.unit) for name, s in scores.items()}
        self.result.table = self.table
        return compare.scores(self.submission.scores, self.result.scores)

    def check_predictions(self) -> str:
        """The predictions file: its bytes, its form, whom it belongs to."""
        entry, where = self.submission.predictions, self.given
        if entry is None:
            raise NotPossible("the submission has no predictions")
        elements = sum(self.zero[name].sum() for name in self.zero if name.endswith(".full.count"))
        # Four times the float64 of all scored elements allows extra blocks and pair lists, and no decompression bomb.
        limit = int(4 * 8 * elements) + (1 << 24)
        if where is not None:
            path = file_inside(Path(where).parent, Path(where).name, limit)
            same(f"{path}: sha256", sha256(path), entry.sha256, "of the file")
        elif entry.path is None:
            raise NotPossible(f"the predictions lie at {entry.address}; fetch them and give the file")
        else:
            path = self.submitted(entry, limit)
        check_untrusted(path, limit, len(self.data))
        file = read_predictions(path)
        try:
            compare.belongs(path, file, self.data, self.submission)
        except SubmissionError:
            file.close()
            raise
        self._file = file
        return f"{len(file)} structures, {', '.join(file.operators)}"

    def check_rescored(self) -> str:
        """Table from the predictions."""
        file, entry = self.file, self.submission
        # What the submission computed on request is computed again too, and nothing dearer than that.
        extra = set(self.table) - set(self.zero)
        evaluation = evaluate(
            self.data,
            TimedSource(file, self.check_time),
            entry.split,
            operators=entry.targets,
            bands=bool(extra),
            path=any(".path_" in name for name in extra),
            scf=any(name.endswith(".scf_ratio") for name in extra),
            threads=self.threads,
            cache=self.cache,
        )
        detail = compare.tables(self.table, evaluation.per_structure)
        # From here on the record holds our numbers; those of the submission only had to agree with them.
        scores = evaluation.scores.items()
        self.result.scores = {name: ScoreValue(value=s.value, unit=s.unit) for name, s in scores}
        self.result.unavailable, self.result.table = evaluation.unavailable, evaluation.per_structure
        return detail

    def check_retrained(self) -> str:
        """Scores of a model that the checker trained."""
        if self.retrained is None:
            raise NotPossible("no run of our own to compare with")
        if not self.result.scores:
            raise NotPossible("no scores to compare")
        return compare.retrained(self.data, self.submission, self.result.scores, self.retrained)
