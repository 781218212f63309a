"""One run: data -> model -> training -> predictions -> scores -> records, each stage resumable.

A run lives in one folder::

    config.yaml               what was asked for; the same command finds its run again, another one is refused
    log.jsonl, checkpoint/    of the training
    <split>/record.yaml       one record for each predicted split, written last, with its tables and predictions.h5
    floors/<name>/<split>/    records of the floors on the same split

Every file is written under another name first, so a run that was killed goes on where it stood when the same command
is given again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from slembench.core.errors import ConfigError
from slembench.core.files import sha256, write_text
from slembench.core.progress import bar
from slembench.data import Dataset, load_dataset
from slembench.data.graph import OperatorGraph
from slembench.harness.folder import claim_folder, first_weights, run_name
from slembench.harness.recipe import Settings, load_settings
from slembench.harness.scoring import Scoring, Tell, hardware, versions
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
from slembench.training import TrainResult, train
from slembench.training.checkpoint import start_from
from slembench.training.config import TrainConfig
from slembench.training.distributed import current_world
from slembench.training.loop import DTYPES

COST_FILE = "inference.json"


def run(
    dataset: str | Path,
    model: str,
    *,
    recipe: str | Path | None = None,
    variant: str = "",
    changes: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    partition: int = 100,
    splits: Sequence[str] | None = None,
    out: str | Path | None = None,
    name: str | None = None,
    fresh: bool = False,
    threads: int | None = None,
    floors: bool = True,
    init_from: str | Path | None = None,
    tell: Tell = lambda text: None,
) -> dict[str, RunRecord]:
    """Train a model on a data set, predict, score and record; goes on where an earlier call was stopped.

    Args:
        dataset: name or folder of a data set.
        model: name, folder, ``module:Class`` or entry point of a model.
        recipe: recipe file; by default the model's own.
        variant: name of a variant of the recipe.
        changes: ``training.max_steps=100`` and the like; see `slembench.harness.recipe.load_settings`.
        seed: of initial weights and data order.
        partition: per cent of the training split, one of 100, 80, 60, 40, 20.
        splits: splits to predict; by default all but train and val.
        out: folder of the run; by default ``runs/<dataset>/<name>``.
        name: of the run; by default model, variant and a hash of all settings.
        fresh: begin again, dropping what the folder holds of an earlier run.
        threads: of torch and of the levels; by default as torch chooses, and one a processor.
        floors: score the floors on the same splits too.
        init_from: run or checkpoint whose weights, scales and shifts the training starts from.
        tell: gets a line of text at every stage.

    Returns:
        Split -> record.

    Raises:
        ConfigError: unknown model, recipe, key or value; a folder that holds another run; a checkpoint that is not
            there or does not fit.
        DataError: no such data set, split or partition, or broken data.
    """
    settings = load_settings(model, recipe=recipe, variant=variant, changes=changes, seed=seed)
    job = prepare(
        dataset,
        settings,
        partition=partition,
        out=out,
        name=name,
        fresh=fresh,
        threads=threads,
        init_from=init_from,
        tell=tell,
    )
    return job.run(splits, floors)


def prepare(
    dataset: str | Path,
    settings: Settings,
    *,
    partition: int = 100,
    out: str | Path | None = None,
    name: str | None = None,
    fresh: bool = False,
    threads: int | None = None,
    init_from: str | Path | None = None,
    tell: Tell = lambda text: None,
) -> Job:
    """Open the data, settle name and folder of a run, and write its ``config.yaml``; arguments as in `run`.

    Raises:
        ConfigError: the folder holds a run with other settings, or something that is no run; a target that the data
            set lacks.
        DataError: no such data set or partition, or broken data.
    """
    data = load_dataset(dataset)
    targets = settings.targets or tuple(op for op in ("hamiltonian", "overlap") if op in data.card.operators)
    lacking = [op for op in targets if op not in data.card.operators]
    if lacking:
        known = ", ".join(data.card.operators)
        raise ConfigError(f"targets: data set {data.name} has no {lacking[0]!r}, only {known}")
    data.partition(partition)
    config = {
        "model": {"name": settings.source, **settings.model.model_dump(mode="json")},
        "training": settings.training.model_dump(mode="json"),
        "variant": settings.variant,
        **first_weights(init_from),
    }
    request = {
        "dataset": data.name,
        "dataset_fingerprint": data.fingerprint,
        "partition": partition,
        "targets": list(targets),
        **config,
    }
    name = name or run_name(settings, request)
    folder = Path(out) if out is not None else Path("runs") / data.name / name
    world = current_world()
    with world.first_then_others():
        claim_folder(folder, {**request, "name": name}, fresh and world.first)
    if threads is not None:
        torch.set_num_threads(threads)
    start = Path(init_from) if init_from is not None else None
    return Job(name, folder, data, settings, targets, partition, config, tell, threads, start)


@dataclass(frozen=True)
class Job:
    """A run whose folder and settings are settled.

    Attributes:
        name: of the run.
        folder: of the run.
        data: the data set.
        settings: model and training configuration.
        targets: operators to predict.
        partition: per cent of the training split.
        config: what the record states of the settings.
        tell: gets a line of text at every stage.
        threads: that solve levels; by default one a processor.
        init_from: run or checkpoint that the training starts from; None for random weights.
    """

    name: str
    folder: Path
    data: Dataset
    settings: Settings
    targets: tuple[str, ...]
    partition: int
    config: dict[str, Any]
    tell: Tell
    threads: int | None = None
    init_from: Path | None = None

    @property
    def scoring(self) -> Scoring:
        """How the predictions are scored."""
        return Scoring(self.folder, self.data, self.targets, self.partition, self.tell, self.threads)

    def run(self, splits: Sequence[str] | None = None, floors: bool = True) -> dict[str, RunRecord]:
        """All stages that are not done yet; arguments and result as in `run`.

        Of several processes that train together the first one does what follows, and gives the records.
        """
        chosen = self.data.test_splits(splits or ())
        records = self.finished(chosen)
        if records is None:
            model, result = self.train()
            if not current_world().first:
                return {}
            physics = self.scoring.physics(model, chosen)
            records = {split: self.score(split, model, result, physics) for split in chosen}
        if floors:
            for split in chosen:
                self.scoring.score_floors(split)
        return records

    def finished(self, splits: Sequence[str]) -> dict[str, RunRecord] | None:
        """Records of all splits, or None where one is not there yet."""
        if not all((self.folder / split / RECORD_FILE).is_file() for split in splits):
            return None
        self.tell(f"{self.folder}: finished already (--fresh begins again)")
        return {split: read_record(self.folder / split) for split in splits}

    # -- stages ---------------------------------------------------------------------------------------------

    def train(self) -> tuple[OperatorModel, TrainResult]:
        """Train from the start or from the last checkpoint; returns the model with its best weights."""
        training = self.settings.training
        torch.manual_seed(training.seed)
        model = self.settings.kind(self.settings.model, self.data.basis, self.data.cutoffs, self.targets)
        model.energy_unit = self.data.card.units.energy
        if self.init_from is not None:
            start_from(model, self.init_from)
        ids = self.data.partition(self.partition)
        self.tell(f"data: {self.data.name}, {len(ids)} training structures; building graphs")
        with current_world().first_then_others():
            graphs, val_graphs = self.graphs(model, ids), self.graphs(model, self.data.split("val"))
        self.tell(f"model: {self.settings.source}, {model.n_parameters} parameters; training in {self.folder}")
        result = train(
            model,
            graphs,
            val_graphs,
            training,
            self.folder,
            source=self.settings.source,
            keep_statistics=self.init_from is not None,
        )
        unit = {"hamiltonian": f" {self.data.card.units.energy}"}
        errors = ", ".join(f"{op} {mae:.4g}{unit.get(op, '')}" for op, mae in result.validation.items())
        self.tell(
            f"trained: {result.steps} steps, {result.wall_s:.0f} s; best at step {result.best_step}, "
            f"validation MAE: {errors}"
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
            progress=partial(bar, text="graphs"),
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
            config=self.config | ({"inputs": list(model.inputs)} if model.inputs else {}),
            **self.scoring.write(evaluation, folder),
            training=TrainingSummary(
                seed=training.seed,
                partition=self.partition,
                n_train=len(self.data.partition(self.partition)),
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
            progress=partial(bar, text=f"predict {split}"),
        )
        write_text(cost_path, json.dumps(asdict(cost)) + "\n")
        self.tell(f"predicted: {split}, {cost.structures} structures, {cost.ms_per_atom:.2f} ms per atom")
        return cost


def _budget(training: TrainConfig) -> str:
    budgets = ((training.max_steps, "steps"), (training.max_cpu_s, "CPU s"), (training.max_wall_s, "s"))
    return " or ".join(f"{limit:g} {unit}" for limit, unit in budgets if limit is not None)
