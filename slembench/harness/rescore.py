"""Score finished runs again with today's metrics, data set cards and physics checks, without training again."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slembench.core.config import read_yaml
from slembench.core.errors import ConfigError, DataError
from slembench.core.files import sha256
from slembench.data import Dataset, load_dataset
from slembench.harness.folder import CONFIG_FILE
from slembench.harness.scoring import Scoring
from slembench.inference import predict
from slembench.models.contract import OperatorModel
from slembench.predictions import read_predictions
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.results.record import RECORD_FILE, PhysicsCheck, RunRecord, read_record, write_record
from slembench.training.checkpoint import find_checkpoint, load_model

logger = logging.getLogger(__name__)


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """Folders of runs (with a ``config.yaml`` and at least one record) among the given ones and below them.

    Raises:
        ConfigError: a folder that does not exist or holds no run.
    """
    found: list[Path] = []
    for folder in folders:
        runs = [path.parent for path in sorted(folder.rglob(CONFIG_FILE)) if _records(path.parent)]
        if not runs:
            raise ConfigError(f"{folder}: no finished run here or below (a folder with {CONFIG_FILE} and records)")
        found += [run for run in runs if run not in found]
    return found


def rescore(
    folder: Path,
    *,
    dataset: str | Path | None = None,
    floors: bool = True,
    physics: bool = True,
    threads: int | None = None,
) -> dict[str, RunRecord]:
    """Score the predictions of a run, its floors and the physics of its model again, and replace the records.

    Training, cost, versions, hardware and date stay as they were recorded; so do the physics checks where the run has
    no checkpoint. Predictions that are missing are made again from the checkpoint.

    Args:
        folder: of the run.
        dataset: name or folder of the data set; by default the name in the run's ``config.yaml``.
        floors: score the floors again, too.
        physics: check the model's physics again, where there is a checkpoint.
        threads: that solve levels; by default one a processor.

    Returns:
        Split -> new record.

    Raises:
        ConfigError: no run, or neither predictions nor a checkpoint that fits.
        DataError: the data set is not the one that the run was made on.
    """
    config = _config(folder)
    records = {path.parent.name: read_record(path) for path in _records(folder)}
    data = load_dataset(dataset if dataset is not None else config["dataset"])
    scoring = Scoring(folder, data, tuple(config["targets"]), int(config["partition"]), threads)
    model = load_model(folder) if find_checkpoint(folder) is not None else None
    # the checks are of the model, not of a split: made once, stated in every record
    checks = scoring.physics(model, list(records)) if physics and model is not None else None
    for split, record in records.items():
        _check_data(folder, data, split, record)
        records[split] = _rescored(scoring, split, record, model, checks)
        logger.info("scored again: %s", folder / split)
        if floors:
            scoring.score_floors(split, again=True)  # the old ones were made with the old metrics
    return records


def _rescored(
    scoring: Scoring, split: str, record: RunRecord, model: OperatorModel | None, checks: dict[str, PhysicsCheck] | None
) -> RunRecord:
    """The record of a split with today's scores, written."""
    folder = scoring.folder / split
    path = folder / PREDICTIONS_FILE
    # studies delete predictions to save space; the best checkpoint makes them again
    if not path.is_file():
        if model is None:
            raise ConfigError(f"{folder}: neither {PREDICTIONS_FILE} nor a checkpoint there; give the whole run")
        predict(model, scoring.data, path, split=split, model_name=record.model)
    with read_predictions(path) as predictions:
        about = scoring.write(scoring.evaluate(predictions, split), folder)
    if checks is not None:
        about["physics"] = checks
    # training, cost, hardware, versions and date describe the run itself and stay
    new = record.model_copy(update={**about, "files": {**record.files, PREDICTIONS_FILE: sha256(path)}})
    write_record(new, folder)
    return new


def _check_data(folder: Path, data: Dataset, split: str, record: RunRecord) -> None:
    found = {"dataset": data.name, "dataset_fingerprint": data.fingerprint, "split_hash": data.split_hash(split)}
    for key, value in found.items():
        if value != getattr(record, key):
            raise DataError(
                f"{folder / split / RECORD_FILE}: key {key!r} is {getattr(record, key)!r}, the data set's is {value!r};"
                " give the data set of the run with --dataset, or train on this one"
            )


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/{RECORD_FILE}"))


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG_FILE
    content = read_yaml(path)
    lacking = [key for key in ("dataset", "targets", "partition") if key not in (content or {})]
    if lacking:
        raise ConfigError(f"{path}: key {lacking[0]!r} is missing; this is not the folder of a run")
    return dict(content)
