"""Finding records of runs, and joining runs that differ in nothing but the seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from slembench.core.errors import DataError
from slembench.metrics.scores import ScoreName, structure_values
from slembench.operators.orbitals import FloatArray
from slembench.results.evidence import LEVELS, Evidence, evidence_of
from slembench.results.index import ACTIVE, State
from slembench.results.record import (
    BLOCKS_FILE,
    PER_STRUCTURE_FILE,
    RECORD_FILE,
    RunRecord,
    read_record,
    read_table,
)
from slembench.tables.cells import Number


@dataclass(frozen=True, eq=False)
class Run:
    """A record, the folder it lies in, and whether it is ranked."""

    record: RunRecord
    folder: Path
    state: State = ACTIVE

    @cached_property
    def evidence(self) -> Evidence:
        """How far the scores are backed by what lies beside the record."""
        return evidence_of(self.record, self.per_structure)

    @cached_property
    def blocks(self) -> pd.DataFrame | None:
        """Per-block table; None where the folder has none. Raises DataError where it is not readable."""
        path = self.folder / BLOCKS_FILE
        return read_table(path) if path.is_file() else None

    @cached_property
    def per_structure(self) -> pd.DataFrame | None:
        """Per-structure table sorted by id; None where the folder has none.

        Raises:
            DataError: the table is not readable.
        """
        path = self.folder / PER_STRUCTURE_FILE
        return read_table(path).sort_values("id", ignore_index=True) if path.is_file() else None


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the leaderboard: runs of one model with one configuration that differ in their seed alone."""

    runs: tuple[Run, ...]

    @property
    def record(self) -> RunRecord:
        """Record of the first run; name, model, data and configuration are those of all."""
        return self.runs[0].record

    @property
    def state(self) -> State:
        """Whether the entry is ranked; entries that are not consist of one run each."""
        return self.runs[0].state

    @property
    def evidence(self) -> Evidence:
        """The weakest evidence among the seeds."""
        return min((run.evidence for run in self.runs), key=LEVELS.index)

    @property
    def key(self) -> str:
        """Short word that stands for model, configuration and data in all splits."""
        record = self.record
        # A retired run keeps a page of its own beside the entry that took its place with the same settings.
        retired = [str(self.runs[0].folder), record.created] if self.state.kind != "active" else []
        text = json.dumps([record.dataset, record.dataset_fingerprint, settings(record), *retired])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def number(self, score: str) -> Number | None:
        """Mean of a score over the seeds, in the record's unit; None where no run has it or says why not.

        Args:
            score: name as in the records.
        """
        # A mean over fewer seeds than the row claims would not be what its heading says.
        values = [run.record.scores[score].value for run in self.runs if score in run.record.scores]
        if len(values) == len(self.runs):
            return Number(float(np.mean(values)))
        reasons = [_why_not(run.record, score) for run in self.runs if score not in run.record.scores]
        known = [reason for reason in reasons if reason]
        if known or values:
            return Number(np.nan, reason=known[0] if known else "not scored for every seed")
        return None

    def range(self, score: str) -> tuple[float, float] | None:
        """Lowest and highest value over the seeds; None with one seed or where a run has no value."""
        values = [run.record.scores[score].value for run in self.runs if score in run.record.scores]
        return (min(values), max(values)) if len(values) == len(self.runs) > 1 else None

    def sums(self, score: str) -> tuple[FloatArray, FloatArray, list[str], list[str]] | None:
        """What the bootstrap needs: numerators (n_seeds, S), weights (S,), groups and ids of the structures.

        Args:
            score: an average of absolute errors, or a mean over structures.

        Returns:
            None where a run has no per-structure table, or the score is no ratio of sums over structures.
        """
        tables = [run.per_structure for run in self.runs]
        present = [table for table in tables if table is not None]
        if len(present) < len(tables):
            return None
        try:
            parts = [structure_values(table, score) for table in present]
        except KeyError:
            return None
        first = present[0]
        # Resamples draw structures, for all seeds the same ones: the rows of the tables must be the same structures.
        if any(list(table["id"]) != list(first["id"]) for table in present):
            raise DataError(f"{self.runs[0].folder}: runs of one model on one split list different structures")
        return np.array([p[0] for p in parts]), parts[0][1], list(first["group"].astype(str)), list(first["id"])


def collect_runs(
    folders: Iterable[str | Path], states: Mapping[Path, State] | None = None, dataset: str | None = None
) -> list[Run]:
    """All records below some folders, each run once.

    Args:
        folders: searched with all their subfolders.
        states: folder -> state of runs that are not active, as `slembench.results.index.states` gives them.
        dataset: only runs on this data set; records of other sets are not even parsed.

    Raises:
        DataError: a folder that does not exist, or a record that is refused.
    """
    runs: dict[tuple[str, ...], Run] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of runs")
        for path in sorted(folder.rglob(RECORD_FILE)):
            if dataset is not None and _named_dataset(path) not in (None, dataset):
                continue
            record = read_record(path)
            if dataset not in (None, record.dataset):
                continue
            # A copy of a run, such as a submission made of it, has the same names and time stamp.
            key = (record.dataset, record.split, record.split_hash, record.model, record.name, record.created)
            runs.setdefault(key, Run(record, path.parent, (states or {}).get(path.parent.resolve(), ACTIVE)))
    return list(runs.values())


def _named_dataset(path: Path) -> str | None:
    """Data set that the text of a record names at its top level; None where no such line is found."""
    # Parsing and checking a record takes 20 ms, finding this line 0.1 ms.
    line = re.search(rb"^dataset: *['\"]?([^'\"#\r\n]+?)['\"]? *(?:#.*)?$", path.read_bytes(), flags=re.MULTILINE)
    return line[1].decode(errors="replace") if line else None


def join_seeds(runs: Iterable[Run]) -> list[Entry]:
    """Entries of one board: runs with the same model, configuration and training set belong together.

    Where a seed was run twice with the same settings the newest run counts. Runs that were superseded or withdrawn are
    entries of their own.

    Args:
        runs: of one data set and split.
    """
    groups: dict[str, dict[int, Run]] = {}
    retired = []
    for run in sorted(runs, key=lambda run: run.record.created):
        training = run.record.training
        if run.state.kind != "active":
            retired.append(Entry((run,)))
        else:
            groups.setdefault(settings(run.record), {})[training.seed if training else 0] = run
    return [Entry(tuple(run for _, run in sorted(seeds.items()))) for seeds in groups.values()] + retired


def settings(record: RunRecord) -> str:
    """Everything that two runs share when only their seeds differ, as text."""
    training = record.training
    data = (training.partition, training.n_train, training.budget) if training else ()
    name = record.name if training is None else ""
    return json.dumps(
        [record.model, record.model_kind, name, sorted(record.targets), _without_seed(record.config), data],
        sort_keys=True,
        default=str,
    )


def _without_seed(config: object) -> object:
    if isinstance(config, dict):
        return {str(key): _without_seed(value) for key, value in config.items() if key != "seed"}
    return [_without_seed(item) for item in config] if isinstance(config, list | tuple) else config


def _why_not(record: RunRecord, score: str) -> str:
    """Reason in the record for a missing score: under its own name, its metric's, or for all levels."""
    name = ScoreName.parse(score)
    if name.operator not in record.targets:
        return f"{name.operator} is not predicted"
    for key in (score, f"{name.operator}.{name.metric}", name.metric):
        if key in record.unavailable:
            return record.unavailable[key]
    levels = name.operator == "hamiltonian" and name.metric.startswith(("band_", "eps_", "homo_", "lumo_", "gap_"))
    return record.unavailable.get("levels", "") if levels else ""
