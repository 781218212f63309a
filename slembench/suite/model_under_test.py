"""The model under test: untrained with random weights for contract and physics, trained for accuracy and cost.

A checkpoint is tested with its weights, in float64 for contract and physics, in its own dtype for accuracy and cost.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ase

from slembench.core.errors import ConfigError
from slembench.core.files import sha256
from slembench.data import Dataset, load_dataset
from slembench.harness import Run, RunConfig, prepare
from slembench.harness.scoring import Scoring, hardware, versions
from slembench.inference import predict
from slembench.inference.predict import check_match
from slembench.models.contract import OperatorModel
from slembench.predictions import read_predictions
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.results.record import Cost, RunRecord, write_record
from slembench.suite.checks import generic_model
from slembench.suite.options import SuiteOptions
from slembench.suite.shared_results import SharedResults
from slembench.training.checkpoint import load_checkpoint, load_model

MAX_CANDIDATES = 20
"""Structures of the split that are read to find small ones."""


@dataclass(frozen=True)
class ModelUnderTest:
    """A model, the data set and split that it is tested on, and its results.

    Attributes:
        options: of the session.
        data: the data set.
        folder: of the run.
        shared: results that all processes of the session need.
        job: trains and scores; None with a checkpoint, which is scored as it is.
    """

    options: SuiteOptions
    data: Dataset
    folder: Path
    shared: SharedResults
    job: Run | None

    @cached_property
    def model(self) -> OperatorModel:
        """The model in float64: with the weights of the checkpoint, else with random weights."""
        if self.options.checkpoint is not None:
            return load_model(self.options.checkpoint).double().eval()
        assert self.job is not None
        settings = self.job.settings
        return generic_model(settings.kind, settings.model, self.data.basis, self.data.cutoffs, self.job.targets)

    @cached_property
    def source(self) -> str:
        """Name, folder or import path by which `slembench.models.registry.load_model_class` finds the model."""
        if self.options.checkpoint is None:
            return self.options.model
        return str(load_checkpoint(self.options.checkpoint).model["source"])

    def structures(self, count: int = 1) -> list[ase.Atoms]:
        """The smallest structures among the first of the split, smallest first."""
        atoms = [self.data.sample(name).atoms for name in self.data.split(self.options.split)[:MAX_CANDIDATES]]
        return sorted(atoms, key=len)[:count]

    def physics(self) -> dict[str, dict[str, Any]]:
        """Physics check -> fields of `slembench.results.record.PhysicsCheck`, of `model`."""
        return dict(self.shared.get("physics", self._physics))

    def _physics(self) -> dict[str, dict[str, Any]]:
        checks = self._scoring(self.model.targets).physics(self.model, [self.options.split])
        return {name: check.model_dump(mode="json") for name, check in checks.items()}

    def run(self) -> RunRecord:
        """Record of the split: trained first where there is no checkpoint, predicted and scored.

        Raises:
            slembench.suite.shared_results.ComputationError: one of these failed.
        """
        content = self.shared.get("run", lambda: self._run().model_dump(mode="json"))
        return RunRecord.model_validate(content)

    def _run(self) -> RunRecord:
        split = self.options.split
        return self._score_checkpoint() if self.job is None else self.job.execute()[split]

    def _scoring(self, targets: Sequence[str]) -> Scoring:
        return Scoring(self.folder, self.data, tuple(targets), 100)

    def _score_checkpoint(self) -> RunRecord:
        """Predict and score with the checkpoint, in its own dtype."""
        split, checkpoint = self.options.split, self.options.checkpoint
        assert checkpoint is not None
        model, folder = load_model(checkpoint), self.folder / split
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / PREDICTIONS_FILE
        cost = predict(model, self.data, path, split=split, model_name=self.source)
        scoring = self._scoring(model.targets)
        with read_predictions(path) as predictions:
            about = scoring.write(scoring.evaluate(predictions, split), folder)
        record = RunRecord(
            name=checkpoint.resolve().name,
            model=self.source,
            model_kind="model",
            config={"checkpoint": str(checkpoint)},
            **about,
            cost=Cost(
                parameters=model.n_parameters,
                peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                inference_ms_per_atom=cost.ms_per_atom,
                pairs_per_atom=cost.pairs_per_atom,
            ),
            versions=versions(),
            hardware=hardware("cpu", str(next(model.parameters()).dtype).removeprefix("torch.")),
            files={PREDICTIONS_FILE: sha256(path)},
        )
        write_record(record, folder)
        return record


def open_model(options: SuiteOptions, scratch: Path, first: bool) -> ModelUnderTest:
    """Open data set and model of a session; the same in all its processes.

    Args:
        options: of the session.
        scratch: folder of the session, shared by its processes.
        first: this process is the controller: it checks that the folder of the run is free, before workers write there.

    Raises:
        ConfigError: no such model, recipe, variant or setting, a checkpoint of other data, or a run folder of something
            else.
        DataError: no such data set or split.
    """
    folder, shared = options.run or scratch / "run", SharedResults(scratch)
    if options.checkpoint is None:
        config = RunConfig(
            options.dataset,
            options.model,
            variant=options.variant,
            changes=options.changes,
            splits=[options.split],
            floors=False,
            out=folder,
        )
        job = prepare(config)
        job.data.test_splits([options.split])
        return ModelUnderTest(options, job.data, folder, shared, job)
    if first and folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--slembench-run {folder}: is not empty; a checkpoint needs a new folder for its scores")
    data = load_dataset(options.dataset)
    data.split(options.split)
    check_match(load_model(options.checkpoint), data)
    return ModelUnderTest(options, data, folder, shared, None)
