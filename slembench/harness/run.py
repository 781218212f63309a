"""One run: data -> model -> training -> predictions -> scores -> records, each stage resumable.

A run lives in one folder::

    config.yaml               what was asked for; the same command finds its run again, another one is refused
    log.jsonl, checkpoint/    of the training
    <split>/record.yaml       one record for each predicted split, written last, with its tables and predictions.h5
    floors/<name>/<split>/    records of the floors on the same split

Every file is written under another name first, so a run that was killed goes on where it stood when the same command
is given again. `slembench.run`, the command ``slembench run`` and the studies all come here through `open_run`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from slembench.core.errors import ConfigError
from slembench.core.files import sha256, write_text
from slembench.data import Dataset, load_dataset
from slembench.data.graph import OperatorGraph
from slembench.harness.folder import init_checkpoint_hash, init_run_dir, run_name
from slembench.harness.recipe import ResolvedRecipe, RunConfig
from slembench.harness.scoring import Scoring, hardware, versions
from slembench.inference import InferenceCost, predict
from slembench.models.contract import OperatorModel
from slembench.models.graphs import cached_graphs, graph_cache
from slembench.predictions import read_predictions
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.results.record import (
    RECORD_FILE,
    Cost,
    PhysicsCheck,
    RunRecord,
    TrainingSummary,
    read_record,
    write_record,
)
from slembench.tables.cells import format_score
from slembench.training import TrainResult, train
from slembench.training.checkpoint import find_checkpoint, load_pretrained
from slembench.training.config import TrainConfig
from slembench.training.distributed import current_process_group, process_group
from slembench.training.loop import DTYPES
from slembench.training.numerics import keep_freed_memory

COST_FILE = "inference.json"

logger = logging.getLogger(__name__)


def run(
    dataset: str | Path,
    model: str,
    *,
    recipe: str | Path | None = None,
    variant: str = "",
    changes: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    partition: int = 100,
    splits: Sequence[str] = (),
    floors: bool = True,
    init_from: str | Path | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    fresh: bool = False,
    threads: int | None = None,
    stop_after: Literal["train"] | None = None,
) -> dict[str, RunRecord]:
    """Train a model on a data set, predict, score and record; goes on where an earlier call was stopped.

    The same as the command ``slembench run``. A script started by `torchrun` trains in all its processes, each with its
    part of every batch (`slembench.training.distributed`).

    Args:
        dataset: name or folder of a data set.
        model: name, folder, ``module:Class`` or entry point of a model.
        recipe: recipe file; by default the model's own.
        variant: name of a variant of the recipe.
        changes: ``training.max_steps=100`` and the like; see `slembench.harness.recipe.load_recipe`.
        seed: of initial weights and data order.
        partition: per cent of the training split, one of 100, 80, 60, 40, 20.
        splits: splits to predict; by default all but train and val.
        floors: score the floors on the same splits too.
        init_from: run or checkpoint whose weights, scales and shifts the training starts from.
        out: folder of the run; by default ``runs/<dataset>/<name>``.
        name: of the run; by default model, variant and a hash of all settings.
        fresh: begin again, dropping what the folder holds of an earlier run.
        threads: of torch and of the eigensolvers; by default as torch chooses, and one a processor.
        stop_after: ``train`` to end with the best checkpoint; the same call without it goes on from there.

    Returns:
        Split -> record. Empty after ``stop_after="train"``, and in all but the main process of a distributed training.

    Raises:
        ConfigError: unknown model, recipe, key or value; a folder that holds another run; a checkpoint that is not
            there or does not fit.
        DataError: no such data set, split or partition, or broken data.

    Example:
        Two steps of a small SLEM; a real run takes thousands:

        >>> import tempfile
        >>> small = {"training.max_steps": 2, "training.validate_every": 2, "model.n_layers": 1}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     records = run("gan-mini", "slem", variant="quickstart", changes=small, floors=False, out=folder)
        >>> list(records), records["test"].training.steps, "hamiltonian.mae_all.full.pooled" in records["test"].scores
        (['test'], 2, True)
    """
    config = RunConfig(
        dataset=dataset,
        model=model,
        recipe=recipe,
        variant=variant,
        changes=changes,
        seed=seed,
        partition=partition,
        splits=splits,
        floors=floors,
        init_from=init_from,
        out=out,
        name=name,
        fresh=fresh,
        threads=threads,
        stop_after=stop_after,
    )
    with open_run(config) as opened:
        return opened.execute()


@contextmanager
def open_run(config: RunConfig) -> Iterator[Run]:
    """A run in the process as it should be: freed memory kept, processes of `torchrun` joined, threads set.

    Args:
        config: what is asked for.

    Yields:
        The run; `Run.execute` does what is left of it.

    Raises:
        ConfigError, DataError: as `run`.
    """
    # before the first large tensor: glibc's thresholds count for what is allocated from here on
    keep_freed_memory()
    with process_group(config.settings.training.device):
        yield prepare(config)


def prepare(config: RunConfig) -> Run:
    """Open the data, settle name and folder of a run, write its ``config.yaml``, and set the number of threads.

    Raises:
        ConfigError: the folder holds a run with other settings, or something that is no run; a target that the data
            set lacks.
        DataError: no such data set or partition, or broken data.
    """
    settings, data = config.settings, load_dataset(config.dataset)
    targets = settings.targets or tuple(op for op in ("hamiltonian", "overlap") if op in data.card.operators)
    lacking = [op for op in targets if op not in data.card.operators]
    if lacking:
        known = ", ".join(data.card.operators)
        raise ConfigError(f"targets: data set {data.name} has no {lacking[0]!r}, only {known}")
    data.partition(config.partition)
    recorded = {
        "model": {"name": settings.source, **settings.model.model_dump(mode="json")},
        "training": settings.training.model_dump(mode="json"),
        "variant": settings.variant,
        **init_checkpoint_hash(config.init_from),
    }
    # The run's name is a hash of these values and config.yaml has to equal them, so every key and every default that is
    # added here gives all runs new names and makes finished ones look like others.
    request = {
        "dataset": data.name,
        "dataset_fingerprint": data.fingerprint,
        "partition": config.partition,
        "targets": list(targets),
        **recorded,
    }
    name = config.name or run_name(settings, request)
    folder = Path(config.out) if config.out is not None else Path("runs") / data.name / name
    group = current_process_group()
    with group.main_process_first():
        # the other processes compare with what the main one wrote, and must not remove it
        init_run_dir(folder, {**request, "name": name}, config.fresh and group.is_main)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    return Run(config, name, folder, data, targets, recorded)


@dataclass(frozen=True)
class Run:
    """A run whose data, name and folder are settled.

    Attributes:
        config: what was asked for.
        name: of the run.
        folder: of the run.
        data: the data set.
        targets: operators to predict.
        recorded_config: model, training and variant as the record states them.
    """

    config: RunConfig
    name: str
    folder: Path
    data: Dataset
    targets: tuple[str, ...]
    recorded_config: dict[str, Any]

    @property
    def settings(self) -> ResolvedRecipe:
        """Model and training configuration."""
        return self.config.settings

    @property
    def scoring(self) -> Scoring:
        """How the predictions are scored."""
        return Scoring(self.folder, self.data, self.targets, self.config.partition, self.config.threads)

    @property
    def checkpoint(self) -> Path:
        """Folder of the best checkpoint.

        Raises:
            ConfigError: the run has not been trained yet.
        """
        found = find_checkpoint(self.folder)
        if found is None:
            raise ConfigError(f"{self.folder}: no checkpoint here; train first")
        return found

    def execute(self) -> dict[str, RunRecord]:
        """All stages that are not done yet, up to ``config.stop_after``; result as of `run`."""
        if self.config.stop_after == "train":
            self.train()
            return {}
        splits = self.data.test_splits(self.config.splits)
        records = self.finished(splits)
        trained = self.train() if records is None else None
        if not current_process_group().is_main:
            return {}
        if trained is not None:
            model, result = trained
            physics = self.scoring.physics(model, splits)
            records = {split: self.score(split, model, result, physics) for split in splits}
        if self.config.floors:
            for split in splits:
                self.scoring.score_floors(split)
        return records or {}

    def finished(self, splits: Sequence[str]) -> dict[str, RunRecord] | None:
        """Records of all splits, or None where one is not there yet."""
        if not all((self.folder / split / RECORD_FILE).is_file() for split in splits):
            return None
        logger.info("%s: finished already (--fresh begins again)", self.folder)
        return {split: read_record(self.folder / split) for split in splits}

    # -- stages ---------------------------------------------------------------------------------------------

    def train(self) -> tuple[OperatorModel, TrainResult]:
        """Train from the start or from the last checkpoint; returns the model with its best weights."""
        training = self.settings.training
        # the initial weights are drawn by the model's constructor, from torch's global generator
        torch.manual_seed(training.seed)
        model = self.settings.kind(self.settings.model, self.data.basis, self.data.cutoffs, self.targets)
        model.energy_unit = self.data.card.units.energy
        if self.config.init_from is not None:
            load_pretrained(model, Path(self.config.init_from))
        ids = self.data.partition(self.config.partition)
        logger.info("data: %s, %d training structures; building graphs", self.data.name, len(ids))
        with current_process_group().main_process_first():  # the others read the main process's graph cache
            graphs, val_graphs = self.graphs(model, ids), self.graphs(model, self.data.split("val"))
        source = self.settings.source
        logger.info("model: %s, %d parameters; training in %s", source, model.n_parameters, self.folder)
        result = train(
            model,
            graphs,
            val_graphs,
            training,
            self.folder,
            source=source,
            keep_statistics=self.config.init_from is not None,
        )
        unit = {"hamiltonian": self.data.card.units.energy}  # S and D are dimensionless
        errors = ", ".join(f"{op} {format_score(mae, unit.get(op, '1'))}" for op, mae in result.validation.items())
        logger.info(
            "trained: %d steps, %.0f s; best at step %d, validation MAE: %s",
            result.steps,
            result.wall_s,
            result.best_step,
            errors,
        )
        return model, result

    def graphs(self, model: OperatorModel, ids: Sequence[str]) -> list[OperatorGraph]:
        """Graphs of structures with their targets, as ``model`` wants them."""
        dtype = DTYPES[self.settings.training.dtype]
        return cached_graphs(
            model,
            self.data.sample,
            ids,
            self.data.fingerprint,
            dtype,
            graph_cache(),
            levels=self.settings.training.loss.levels is not None,
        )

    def score(
        self, split: str, model: OperatorModel, result: TrainResult, physics: dict[str, PhysicsCheck]
    ) -> RunRecord:
        """Predict a split (unless its predictions are there), score them, and write the record."""
        folder = self.folder / split
        folder.mkdir(parents=True, exist_ok=True)
        cost = self.predict(split, model, result)
        with read_predictions(folder / PREDICTIONS_FILE) as predictions:
            evaluation = self.scoring.evaluate(predictions, split)
        training = self.settings.training
        record = RunRecord(
            name=self.name,
            model=self.settings.source,
            model_kind="model",
            config=self.recorded_config | ({"inputs": list(model.inputs)} if model.inputs else {}),
            **self.scoring.write(evaluation, folder),
            training=TrainingSummary(
                seed=training.seed,
                partition=self.config.partition,
                n_train=len(self.data.partition(self.config.partition)),
                steps=result.steps,
                structures_seen=result.structures_seen,
                wall_s=result.wall_s,
                cpu_s=result.cpu_s,
                budget=_budget(training),
            ),
            cost=Cost(
                parameters=model.n_parameters,
                train_wall_s=result.wall_s,
                train_cpu_s=result.cpu_s,
                peak_memory_bytes=result.peak_memory_bytes,
                inference_ms_per_atom=cost.ms_per_atom,
                pairs_per_atom=cost.pairs_per_atom,
            ),
            physics=physics,
            versions=versions(),
            hardware=hardware(training.device, f"{training.dtype}, products {result.matmul_precision}"),
            files={PREDICTIONS_FILE: sha256(folder / PREDICTIONS_FILE)},
        )
        write_record(record, folder)
        return record

    def predict(self, split: str, model: OperatorModel, result: TrainResult) -> InferenceCost:
        """Write the predictions file and the measured cost of a split, unless they are there."""
        # predictions that an interrupted run wrote keep their measured cost: predicting again would time a warm cache
        path, cost_path = self.folder / split / PREDICTIONS_FILE, self.folder / split / COST_FILE
        if path.is_file() and cost_path.is_file():
            return InferenceCost(**json.loads(cost_path.read_text(encoding="utf-8")))
        cost = predict(
            model,
            self.data,
            path,
            split=split,
            model_name=self.settings.source,
            precision=result.matmul_precision,
        )
        write_text(cost_path, json.dumps(asdict(cost)) + "\n")
        logger.info("predicted: %s, %d structures, %.2f ms per atom", split, cost.structures, cost.ms_per_atom)
        return cost


def _budget(training: TrainConfig) -> str:
    budgets = ((training.max_steps, "steps"), (training.max_cpu_s, "CPU s"), (training.max_wall_s, "s"))
    return " or ".join(f"{limit:g} {unit}" for limit, unit in budgets if limit is not None)
