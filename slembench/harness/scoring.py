"""Scores of a run, of the floors (trivial predictors) beside it, and of its model's physics, as parts of records.

Also what a number was measured with (processor, threads, versions), and the floors of a data set without any run.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ase
import torch

from slembench._version import __version__
from slembench.data import Dataset
from slembench.evaluation import Evaluation, evaluate, level_cache
from slembench.evaluation.floors import FLOORS, floor_predictions
from slembench.inference.physics import model_physics
from slembench.models.contract import OperatorModel
from slembench.predictions import PredictionSource
from slembench.results.record import (
    RECORD_FILE,
    Hardware,
    PhysicsCheck,
    RunRecord,
    read_record,
    score_values,
    write_record,
    write_tables,
)

PACKAGES = ("torch", "e3nn", "torch-geometric", "numpy", "scipy")
"""Libraries whose version a result may depend on."""


def versions() -> dict[str, str]:
    """Package -> version, Python and slembench included."""
    return {
        "slembench": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def hardware(device: str, dtype: str) -> Hardware:
    """Processor, threads in use, number type, and the GPU where ``device`` is one."""
    gpu = torch.cuda.get_device_name(device) if device != "cpu" else None
    return Hardware(cpu=cpu_name(), threads=torch.get_num_threads(), dtype=dtype, gpu=gpu)


def cpu_name() -> str:
    """Model name of the processor, or the architecture where the system does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    # "model name" is missing on ARM, where platform.processor() may be empty, too
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


MAX_STRUCTURES_SEARCHED = 100
"""Held-out structures of which the smallest one serves for the physics checks."""

MAX_PREDICTED_ATOMS = 200
"""Atoms of the largest structure that is predicted for a physics check of a run, so that it takes seconds."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scoring:
    """How the predictions of one run are scored.

    Attributes:
        folder: of the run.
        data: the data set.
        targets: operators that are predicted.
        partition: per cent of the training split.
        threads: that solve levels; by default one a processor.
    """

    folder: Path
    data: Dataset
    targets: tuple[str, ...]
    partition: int
    threads: int | None = None

    def evaluate(self, source: PredictionSource, split: str) -> Evaluation:
        """Scores of predictions on a split; reference levels come from the user's cache."""
        return evaluate(
            self.data,
            source,
            split,
            operators=self.targets,
            threads=self.threads,
            cache=level_cache(),
        )

    def write(self, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
        """Write the tables of an evaluation to ``folder``; returns what every record says of data and scores."""
        folder.mkdir(parents=True, exist_ok=True)
        # tables first, record last: a folder with a record is complete
        write_tables(evaluation, folder)
        return {
            "dataset": self.data.name,
            "dataset_revision": self.data.card.revision,
            "dataset_fingerprint": self.data.fingerprint,
            "split": evaluation.split,
            "split_hash": self.data.split_hash(evaluation.split),
            "targets": self.targets,
            "scores": score_values(evaluation),
            "unavailable": evaluation.unavailable,
            "missing": tuple(evaluation.missing),
        }

    def score_floors(self, split: str, again: bool = False) -> None:
        """Score the floors, fitted on the same training structures, unless their records are there.

        Args:
            split: to score.
            again: also where records are there.
        """
        for floor in FLOORS:
            folder = self.floor_folder(floor, split)
            if (folder / RECORD_FILE).is_file() and not again:
                continue
            ids = self.data.partition(self.partition)
            # fitted on the structures that the model was trained on, so that both learned from the same data
            source = floor_predictions(self.data, floor, split, self.targets, ids)
            record = RunRecord(
                name=f"floor-{floor}",
                model=f"floor-{floor}",
                model_kind="floor",
                config={"partition": self.partition},
                **self.write(self.evaluate(source, split), folder),
                versions=versions(),
            )
            write_record(record, folder)
            logger.info("floor: %s on %s", floor, split)

    def floor_folder(self, floor: str, split: str) -> Path:
        """Folder of the record of a floor."""
        return self.folder / "floors" / floor / split

    def floor_records(self, split: str) -> dict[str, RunRecord]:
        """Floor -> its record on a split, of those that were scored."""
        folders = {floor: self.floor_folder(floor, split) for floor in FLOORS}
        return {floor: read_record(path) for floor, path in folders.items() if (path / RECORD_FILE).is_file()}

    def physics(self, model: OperatorModel, splits: Sequence[str]) -> dict[str, PhysicsCheck]:
        """Physics checks of the trained model on a small held-out structure, in float64.

        Args:
            model: left as it is.
            splits: whose structures are looked at.
        """
        identifier, atoms = self._small(splits)
        checks = model_physics(model, atoms, largest=MAX_PREDICTED_ATOMS)
        failed = [name for name, check in checks.items() if check.passed is False]
        words = f"beyond their limits: {', '.join(failed)}" if failed else "all that were made are passed"
        logger.info("physics: on %s, %s", identifier, words)
        return {name: PhysicsCheck(**check.content(), structure=identifier) for name, check in checks.items()}

    def _small(self, splits: Sequence[str]) -> tuple[str, ase.Atoms]:
        """Smallest of the first held-out structures with three atoms at least, as continuity needs them."""
        ids = [name for split in splits for name in self.data.split(split)][:MAX_STRUCTURES_SEARCHED]
        found = {name: self.data.sample(name).atoms for name in ids}
        # smallest with three atoms or more if there is one: False sorts before True
        smallest = min(found, key=lambda name: (len(found[name]) < 3, len(found[name])))
        return smallest, found[smallest]


def score_floors(
    data: Dataset,
    out: Path,
    *,
    splits: Sequence[str] = (),
    partition: int = 100,
    again: bool = False,
) -> dict[str, dict[str, RunRecord]]:
    """Score the floors of all operators of a data set; records that are there are kept.

    Args:
        data: the data set.
        out: gets ``floors/<floor>/<split>`` with a record and its tables.
        splits: to score; by default all but train and val.
        partition: per cent of the training split that the floors are fitted on.
        again: score again what is there.

    Returns:
        Split -> floor -> record.

    Raises:
        DataError: no such split or partition, or broken data.
    """
    scoring = Scoring(out, data, tuple(data.card.operators), partition)
    data.partition(partition)
    chosen = data.test_splits(splits)
    for split in chosen:
        scoring.score_floors(split, again)
    return {split: scoring.floor_records(split) for split in chosen}
