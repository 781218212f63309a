"""The record of a finished run: what was trained on what, how it scored and what it cost, as checked YAML.

A finished run is a folder with ``record.yaml``, ``per_structure.parquet`` (all scores follow from it) and
``blocks.parquet``; predictions, checkpoints and logs stay beside them on the machine that made them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel, Field

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import DataError
from slembench.core.files import atomic_file, write_text

if TYPE_CHECKING:
    from slembench.evaluation import Evaluation

Checked = TypeVar("Checked", bound=BaseModel)

RECORD_FILE = "record.yaml"
PER_STRUCTURE_FILE = "per_structure.parquet"
BLOCKS_FILE = "blocks.parquet"
DISTANCES_FILE = "distances.parquet"


class ScoreValue(StrictModel):
    """A score and its unit word ("1": dimensionless)."""

    value: float = Field(allow_inf_nan=False)
    unit: str


class TrainingSummary(StrictModel):
    """How a model was trained.

    Attributes:
        seed: of weights and data order.
        partition: per cent of the training split.
        n_train: training structures.
        steps: optimiser steps.
        structures_seen: structures in all steps together.
        wall_s: wall time of the training.
        cpu_s: CPU time of the training, all threads together.
        budget: what ended it, e.g. "8000 steps", "480 CPU s" or "1800 s".
    """

    seed: int
    partition: int
    n_train: int
    steps: int
    structures_seen: int
    wall_s: float
    cpu_s: float | None = None
    budget: str


class Cost(StrictModel):
    """What a run cost; absent where it was not measured.

    Attributes:
        parameters: trainable parameters.
        train_wall_s: wall seconds of training.
        train_cpu_s: CPU seconds of training, all threads together.
        peak_memory_bytes: resident set on a CPU, allocator peak on a GPU.
        inference_ms_per_atom: prediction time, at ``pairs_per_atom`` pairs an atom.
        pairs_per_atom: scored pairs per atom.
    """

    parameters: int | None = None
    train_wall_s: float | None = None
    train_cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    inference_ms_per_atom: float | None = None
    pairs_per_atom: float | None = None


class Hardware(StrictModel):
    """Where and in what precision it ran."""

    cpu: str
    threads: int
    dtype: str
    gpu: str | None = None


class PhysicsCheck(StrictModel):
    """A physics check of the model; see `slembench.metrics.physics.Check`.

    Attributes:
        value: largest deviation relative to the mean |element|; absent where the check was not made.
        mean: mean deviation, where there is one.
        limit: the check is passed up to this value.
        passed: absent where the check was not made.
        note: what was measured, or why nothing was.
        structure: id of the held-out structure.
    """

    value: float | None = Field(default=None, allow_inf_nan=False)
    mean: float | None = Field(default=None, allow_inf_nan=False)
    limit: float
    passed: bool | None = None
    note: str = ""
    structure: str


class RunRecord(StrictModel):
    """One run on one split.

    Attributes:
        name: of the run.
        model: name of the model.
        model_kind: a floor is shown apart.
        config: configuration of model and training, as given.
        dataset_fingerprint: sha256 of the data set's content.
        split_hash: sha256 over ids and scored pair sets of the split.
        targets: operators predicted.
        training: absent for floors and foreign predictions.
        scores: name (see `slembench.metrics.catalogue`) -> value and unit.
        unavailable: score -> why it has no value.
        missing: structures without a prediction (counted as zero).
        physics: name in the catalogue -> check of the model; empty for floors and foreign predictions.
        versions: package -> version.
        created: UTC, ISO 8601.
        files: file name -> sha256, e.g. of the predictions file.
    """

    name: str
    model: str
    model_kind: Literal["model", "floor"]
    config: dict[str, Any] = Field(default_factory=dict)
    dataset: str
    dataset_revision: int
    dataset_fingerprint: str
    split: str
    split_hash: str
    targets: tuple[str, ...]
    training: TrainingSummary | None = None
    scores: dict[str, ScoreValue]
    unavailable: dict[str, str] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    physics: dict[str, PhysicsCheck] = Field(default_factory=dict)
    cost: Cost = Cost()
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: Hardware | None = None
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    files: dict[str, str] = Field(default_factory=dict)


def score_values(evaluation: Evaluation) -> dict[str, ScoreValue]:
    """Scores of an evaluation in the form of a record."""
    return {name: ScoreValue(value=score.value, unit=score.unit) for name, score in evaluation.scores.items()}


def write_record(record: RunRecord, folder: str | Path) -> Path:
    """Write ``folder``/record.yaml atomically; returns its path.

    Written last of all files of a run: a folder with a record is a finished run.
    """
    return write_checked(record, Path(folder) / RECORD_FILE)


def read_record(path: str | Path) -> RunRecord:
    """Record of a run.

    Args:
        path: a run folder, or its record.yaml.

    Raises:
        DataError: no such file, not YAML, an unknown, missing or ill-typed key; names file and key.
    """
    path = Path(path)
    return read_checked(path / RECORD_FILE if path.is_dir() else path, RunRecord)


def write_checked(record: BaseModel, path: str | Path) -> Path:
    """Write a record of any kind as YAML, atomically and without its empty values; returns its path."""
    content = record.model_dump(mode="json", exclude_none=True)  # json mode: tuples become lists, which YAML knows
    return write_text(path, yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True))


def read_checked(path: str | Path, kind: type[Checked]) -> Checked:
    """A record of class ``kind`` from YAML.

    Raises:
        DataError: no such file, not YAML, an unknown, missing or ill-typed key; names file and key.
    """
    return load_yaml(kind, path, DataError)


SUMS = {"abs_sum", "sq_sum", "count"}
MEANS: dict[str, Callable[[pd.DataFrame], pd.Series[float]]] = {
    "mae": lambda table: table["abs_sum"] / table["count"],
    "rmse": lambda table: np.sqrt(table["sq_sum"] / table["count"]),
}
"""Columns of the table of blocks that follow from its `SUMS`."""


def write_tables(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Write per-structure, per-block and by-distance tables as Parquet, each atomically; returns their paths."""
    tables = {
        PER_STRUCTURE_FILE: evaluation.per_structure,
        BLOCKS_FILE: evaluation.blocks,
        DISTANCES_FILE: evaluation.distances,
    }
    return [write_table(table, Path(folder) / name) for name, table in tables.items()]


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as Parquet, atomically; returns its path.

    Many columns and few rows: statistics, schema copies and dictionaries would be two thirds of the file. Means that
    follow from the sums beside them (`MEANS`) are left out; `read_table` has them again.

    Example:
        >>> import tempfile
        >>> table = pd.DataFrame({"l": [0, 1], "abs_sum": [3.0, 8.0], "sq_sum": [5.0, 40.0], "count": [2, 4]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = read_table(write_table(table, f"{folder}/blocks.parquet"))
        >>> again["mae"].tolist(), again["rmse"].round(3).tolist()
        ([1.5, 2.0], [1.581, 3.162])
    """
    # A mean is left out only where it is the very same numbers, so that nothing is lost to rounding.
    follows = [name for name, mean in MEANS.items() if {name, *SUMS} <= set(table) and _same(mean(table), table[name])]
    table = table.drop(columns=follows)
    plain = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    with atomic_file(path) as temporary:
        pq.write_table(
            plain,
            temporary,
            compression="zstd",
            compression_level=19,
            use_dictionary=False,
            write_statistics=False,
            store_schema=False,
        )
    return Path(path)


def read_table(path: str | Path) -> pd.DataFrame:
    """A table that `write_table` wrote.

    Raises:
        DataError: no such file, truncated or not Parquet.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as Parquet: {error}") from error
    for name, mean in MEANS.items():  # back in the place where they stood, before the last column
        if name not in table and set(table) >= SUMS:
            table.insert(len(table.columns) - 1, name, mean(table))
    return table


def _same(mean: pd.Series[float], column: pd.Series[float]) -> bool:
    return np.array_equal(mean, column, equal_nan=True)
