"""Scores of a run, of the floors beside it, and of its model's physics, each as a part of a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ase

from slembench.data import Dataset
from slembench.evaluate import Evaluation, evaluate, level_cache
from slembench.floors import FLOORS, floor_predictions
from slembench.harness.machine import versions
from slembench.inference.physics import model_physics
from slembench.models.contract import OperatorModel
from slembench.predictions import PredictionSource
from slembench.progress import bar
from slembench.results.record import (
    RECORD_FILE,
    PhysicsCheck,
    RunRecord,
    read_record,
    score_values,
    write_record,
    write_tables,
)

LOOKED_AT = 100
"""Held-out structures of which the smallest one serves for the physics checks."""

LARGEST_CHECKED = 200
"""Atoms of the largest structure that is predicted for a physics check of a run, so that it takes seconds."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Scoring:
    """How the predictions of one run are scored.

    Attributes:
        folder: of the run.
        data: the data set.
        targets: operators that are predicted.
        partition: per cent of the training split.
        tell: gets a line of text at every stage.
        threads: that solve levels; by default one a processor.
    """

    folder: Path
    data: Dataset
    targets: tuple[str, ...]
    partition: int
    tell: Tell
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
            progress=partial(bar, text=f"score {source.attrs.model} on {split}"),
        )

    def write(self, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
        """Write the tables of an evaluation to ``folder``; returns what every record says of data and scores."""
        folder.mkdir(parents=True, exist_ok=True)
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
            self.tell(f"floor: {floor} on {split}")

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
        checks = model_physics(model, atoms, largest=LARGEST_CHECKED)
        failed = [name for name, check in checks.items() if check.passed is False]
        words = f"beyond their limits: {', '.join(failed)}" if failed else "all that were made are passed"
        self.tell(f"physics: on {identifier}, {words}")
        return {name: PhysicsCheck(**check.content(), structure=identifier) for name, check in checks.items()}

    def _small(self, splits: Sequence[str]) -> tuple[str, ase.Atoms]:
        """Smallest of the first held-out structures with three atoms at least, as continuity needs them."""
        ids = [name for split in splits for name in self.data.split(split)][:LOOKED_AT]
        found = {name: self.data.sample(name).atoms for name in ids}
        smallest = min(found, key=lambda name: (len(found[name]) < 3, len(found[name])))
        return smallest, found[smallest]
