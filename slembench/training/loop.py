"""The training loop: step, validate, checkpoint, until the budget is used up. Reads from top to bottom.

Reproducible to the bit on a CPU with the same number of threads: the order of an epoch is a permutation drawn from
(seed, epoch), everything else that a step reads is in the checkpoint, and only deterministic algorithms are used. A
run that was killed is resumed by calling `train` again with the same folder, and takes the same steps as one that was
not. The exception are learning rates that follow a budget of seconds, which depend on the speed of the machine.
"""

from __future__ import annotations

import json
import math
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slembench.core.errors import ConfigError
from slembench.core.progress import ProgressBar
from slembench.data.graph import OperatorGraph
from slembench.models.contract import OperatorModel
from slembench.nn.readout import OperatorFeatures
from slembench.tables.cells import format_score
from slembench.training.batches import Batches, LocalBatch
from slembench.training.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    model_description,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from slembench.training.config import TrainConfig
from slembench.training.distributed import ProcessGroup, current_process_group, local_device
from slembench.training.ema import Ema
from slembench.training.log import JsonLog
from slembench.training.loss import ElementTable, ErrorSums, OperatorLoss, absolute_errors, target_scales
from slembench.training.numerics import numerics
from slembench.training.schedule import Elapsed, Schedule, budget_fraction
from slembench.training.spectral_loss import levels_loss

MAX_SIZES_SAMPLED = 100
"""Training structures whose numbers of atoms and pairs are counted, to choose how matrix products are computed."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class TrainResult:
    """Outcome of a training.

    Attributes:
        checkpoint: folder of the best checkpoint (lowest validation loss).
        steps: optimiser steps done in all.
        structures_seen: structures in all training batches together, each as often as it was used.
        wall_s: seconds in the loop, validation included, over all resumed parts.
        cpu_s: CPU seconds of the process in the loop, all threads together.
        best_step: step of the best checkpoint.
        best_loss: its validation loss.
        validation: operator -> MAE over the validation set in the data's unit, at the best checkpoint.
        peak_memory_bytes: peak resident memory of the process (CPU), or peak of torch's allocator (GPU).
        matmul_precision: active value of ``torch.set_float32_matmul_precision``.
    """

    checkpoint: Path
    steps: int
    structures_seen: int
    wall_s: float
    cpu_s: float
    best_step: int
    best_loss: float
    validation: dict[str, float]
    peak_memory_bytes: int
    matmul_precision: str


def train(
    model: OperatorModel,
    train_graphs: Sequence[OperatorGraph],
    val_graphs: Sequence[OperatorGraph],
    config: TrainConfig,
    folder: Path,
    *,
    source: str | None = None,
    keep_statistics: bool = False,
    progress: bool = True,
) -> TrainResult:
    """Train a model until its budget is used up; resumes from ``folder`` where that holds a checkpoint.

    In several processes (`slembench.training.distributed`) all call it with the same arguments, and share each batch.

    Args:
        model: its weights are changed in place, and are the best ones at the end.
        train_graphs: training graphs with targets; the target statistics are fitted on them.
        val_graphs: validation graphs, which choose the best checkpoint and drive the plateau schedule.
        config: the training configuration.
        folder: gets ``log.jsonl`` and ``checkpoint/last``, ``checkpoint/best``.
        source: how `load_model_class` finds the model's class again, for the checkpoints; default ``module:Class``.
        keep_statistics: keep the model's scales and shifts, which belong to pretrained weights; else they are fitted.
        progress: show a bar when the output is a terminal.

    Raises:
        ConfigError: no graphs, a checkpoint of another model or configuration, or a loss that is not finite.

    Example:
        `slembench.run` makes model and graphs and calls this; by hand, two steps on one structure:

        >>> import tempfile
        >>> from slembench.data import load_dataset
        >>> from slembench.models.graphs import model_graph
        >>> from slembench.models.registry import load_model_class
        >>> data, kind = load_dataset("gan-mini"), load_model_class("slem")
        >>> model = kind(kind.Config(n_layers=1), data.basis, data.cutoffs)
        >>> graphs = [model_graph(model, data.sample(data.split("train")[0]), torch.float32)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = train(model, graphs, graphs, TrainConfig(max_steps=2, validate_every=2), Path(folder))
        >>> result.steps, result.best_step, list(result.validation)
        (2, 2, ['hamiltonian'])
    """
    for name, graphs in (("training", train_graphs), ("validation", val_graphs)):
        if not len(graphs):
            raise ConfigError(f"no {name} structures; choose a larger partition or another data set")
    group = current_process_group()
    sizes = len({(int(graph.num_nodes), len(graph.pair_type)) for graph in islice(train_graphs, MAX_SIZES_SAMPLED)})
    native = model.uses_native_kernels
    with numerics(config.device, config.matmul_precision, config.deterministic, sizes, native) as precision:
        run = _Trainer(model, train_graphs, val_graphs, config, Path(folder), source, keep_statistics, group)
        run.start()
        with ProgressBar("training", 1.0, unit="fraction", show=progress and group.is_main) as bar:
            run.loop(bar)
        return run.result(precision)


@dataclass
class _Trainer:
    """State of a training in progress; see `train` for the first attributes.

    Attributes:
        step: optimiser steps done.
        used: fraction of the budget that was used up before the current step.
        before: steps and seconds of the earlier parts of a resumed training.
        seen: structures in all training batches so far.
        memory_before: peak memory of the earlier parts | bytes.
        best_step, best_loss, validation: step, validation loss and MAE per operator of the best checkpoint.
    """

    model: OperatorModel
    train_graphs: Sequence[OperatorGraph]
    val_graphs: Sequence[OperatorGraph]
    config: TrainConfig
    folder: Path
    source: str | None
    keep_statistics: bool
    group: ProcessGroup
    step: int = 0
    used: float = 0.0
    before: Elapsed = field(default_factory=lambda: Elapsed(0))
    seen: int = 0
    memory_before: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    validation: dict[str, float] = field(default_factory=dict)

    # -- setting up -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Build optimiser, schedule and loss, and continue from the last checkpoint if there is one."""
        config, self.device = self.config, torch.device(local_device(self.config.device))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.train_batches = Batches(self.train_graphs, config.batch_size, self.device, self.group)
        self.val_batches = Batches(self.val_graphs, config.batch_size, self.device, self.group)
        self.log = JsonLog(self.folder / "log.jsonl")
        self.model.to(self.device, DTYPES[config.dtype])
        self.description = model_description(self.model, self.source)
        # for dropout and random k-points; the order of structures has generators of its own (`Batches`)
        torch.manual_seed(config.seed)
        last = find_checkpoint(self.folder / "checkpoint" / "last")
        if last is None and not self.keep_statistics:
            self.model.fit_statistics(self.train_graphs)
        operators = self.model.targets
        like = torch.zeros((), device=self.device, dtype=DTYPES[config.dtype])
        scales = target_scales(self.model.layout, self.train_graphs, operators)
        self.loss = OperatorLoss(self.model.layout, config.loss, scales, like, self.group)
        self.levels = levels_loss(self.model.layout, config.loss, scales, self.device)
        # validation MAEs are summed in float64 whatever the model's dtype: a float32 sum of 1e7 errors loses digits
        self.score_table = ElementTable(self.model.layout, like.double())
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = self._optimizer()
        self.schedule = Schedule(config, self.model.stages)
        # before the weights are restored: the average starts from whatever they are, and is restored with them
        self.ema = Ema(self.model, config.ema_decay) if config.ema_decay else None
        if last is not None:
            self._restore(load_checkpoint(last))
        else:
            self._cut_log(-1)  # rows of a training that was killed before its first checkpoint
        self._log("resume" if last else "start", self.step, threads=torch.get_num_threads(), scales=scales)
        self.times = self.before.wall_s, self.before.cpu_s
        self.started = time.perf_counter(), time.process_time()

    def _optimizer(self) -> torch.optim.Optimizer:
        settings = self.config.optimizer
        kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
        return kind(
            self.parameters,
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            amsgrad=settings.amsgrad,
            fused=True,  # one kernel for all parameters: these models have hundreds of small ones
        )

    # -- the loop -------------------------------------------------------------------------------------------

    def elapsed(self) -> Elapsed:
        """Steps, wall and CPU seconds of the loop, earlier parts included; in several processes as last measured."""
        if self.group.size == 1:
            self._look_at_clock()
        return Elapsed(self.step, *self.times)

    def _look_at_clock(self) -> None:
        """Wall time of the main process and CPU time of all, the same numbers in all of them."""
        # The processes must agree on the numbers: a budget that one sees used up and another not would leave one of
        # them waiting forever in the next all_reduce, and learning rates would differ.
        wall, cpu = time.perf_counter() - self.started[0], time.process_time() - self.started[1]
        wall, cpu = self.group.sum([wall if self.group.is_main else 0.0, cpu])
        self.times = self.before.wall_s + wall, self.before.cpu_s + cpu

    def exhausted(self) -> bool:
        """Whether a budget is used up."""
        self._look_at_clock()
        return budget_fraction(self.config, self.elapsed()) >= 1

    def loop(self, bar: ProgressBar) -> None:
        """Steps until the budget is used up, with a validation and a checkpoint every ``validate_every`` of them."""
        self.model.train()
        done = self.exhausted()
        while not done:
            elapsed = self.elapsed()
            # from the state before the step, so that step 0 of the schedule is the first one and warm-up starts above 0
            lr, self.used = self.schedule.lr(elapsed), budget_fraction(self.config, elapsed)
            self.model.set_progress(self.used)
            loss, gradient = self.train_step(self.train_batches.train_batch(self.step, self.config.seed), lr)
            self.step += 1
            done = self.exhausted()
            if self.step % self.config.log_every == 0:
                self._log_step(loss, gradient, lr)
                bar.update(budget_fraction(self.config, self.elapsed()), self._text(loss))
            if done or self.step % self.config.validate_every == 0:
                # best before last: after a kill between both, the older "last" repeats the steps and the validation,
                # and its best checkpoint is there (`_restore_best`)
                self.validate()
                self.save("last")
                done = self.exhausted()

    def train_step(self, local: LocalBatch, lr: float) -> tuple[Tensor, Tensor | None]:
        """Forward, backward, clip, update; returns the loss and the gradient's norm, both still on the device."""
        # no float(loss) here: on a GPU it would wait for the device in every step; `_log_step` does it every log_every
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        loss, _ = self.total_loss(local)
        self.optimizer.zero_grad(set_to_none=True)
        if local.batch is not None:
            loss.backward()
        self.group.all_reduce_gradients(self.parameters)
        # after the sum over processes: the norm is that of the gradient of the whole batch, the same everywhere
        clip, norm = self.config.clip_norm, None
        if clip is not None:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, clip, foreach=True)
        self.optimizer.step()
        self.seen += local.global_size
        if self.ema:
            self.ema.update(self.step + 1)
        return loss.detach(), norm

    def total_loss(self, local: LocalBatch) -> tuple[Tensor, dict[str, OperatorFeatures]]:
        """Loss of the whole batch, and predictions of the own part.

        The loss is on matrix elements, and on levels where that is asked for: in training not before they begin.
        """
        prediction = self.model(local.batch) if local.batch is not None else {}
        loss = self.loss(prediction, local.batch)
        if self.levels is None or (self.model.training and self.used < self.levels.config.begin):
            return loss, prediction
        own = torch.zeros((), device=loss.device, dtype=torch.float64)
        if local.batch is not None:
            # the mean over the local structures, weighted so that the sum over processes is the mean of the whole batch
            own = self.levels(prediction["hamiltonian"], local.batch) * (local.local_size / local.global_size)
        return loss + self.group.all_reduce(own).to(loss), prediction

    def _log_step(self, loss: Tensor, gradient: Tensor | None, lr: float) -> None:
        value = float(loss)
        if not math.isfinite(value):
            raise ConfigError(f"step {self.step}: the loss is {value}; lower training.optimizer.lr or set clip_norm")
        norm = {} if gradient is None else {"gradient_norm": float(gradient)}
        self._log("train", self.step, loss=value, lr=lr, **norm, wall_s=round(self.elapsed().wall_s, 3))

    def _text(self, loss: Tensor) -> str:
        unit = {"hamiltonian": self.model.energy_unit or "1"}  # S and D are dimensionless
        maes = "".join(
            f", {name} MAE {format_score(mae, unit.get(name, '1'))}" for name, mae in self.validation.items()
        )
        return f"step {self.step}, loss {float(loss):.3g}{maes}"

    # -- validation and checkpoints -------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> None:
        """Loss and MAE over the validation set, with the averaged weights if there are any; keeps the best."""
        self.model.eval()
        if self.ema:
            with self.ema.applied():  # the averaged weights are the ones that predictions will be made with
                loss, maes = self._score()
        else:
            loss, maes = self._score()
        self.model.train()
        if not math.isfinite(loss):
            raise ConfigError(f"step {self.step}: the validation loss is {loss}; lower training.optimizer.lr")
        self.schedule.after_validation(loss)
        self._log("validation", self.step, loss=loss, mae=maes, wall_s=round(self.elapsed().wall_s, 3))
        if loss < self.best_loss:
            self.best_step, self.best_loss, self.validation = self.step, loss, maes
            self.save("best")

    def _score(self) -> tuple[float, dict[str, float]]:
        loss, sums = 0.0, {name: ErrorSums(0.0, 0.0, 0.0, 0.0) for name in self.model.targets}
        for local in self.val_batches.iter_epoch():
            value, prediction = self.total_loss(local)
            # weighted by structures: the last batch may be smaller than the others
            loss += float(value) * local.global_size / len(self.val_graphs)
            for name in prediction:
                assert local.batch is not None
                sums[name] += absolute_errors(self.score_table, prediction[name], local.batch, name)
        return loss, {name: ErrorSums(*self.group.sum(errors)).mae for name, errors in sums.items()}

    def save(self, kind: str) -> None:
        """Write the checkpoint ``kind``: "last" with all that a resumption needs, "best" to predict with."""
        weights, optimizer, elapsed = dict(self.model.state_dict()), {}, self.elapsed()
        if kind == "last":
            optimizer = {**pack_optimizer(self.optimizer), **self._random_states()}
        if self.ema:
            # model.safetensors holds the average, to predict with; training goes on from the raw weights
            if kind == "last":
                optimizer |= {f"raw.{name}": weights[name] for name in self.ema.average}
            weights |= self.ema.average
        state = {
            "step": self.step,
            "structures_seen": self.seen,
            "wall_s": elapsed.wall_s,
            "cpu_s": elapsed.cpu_s,
            "peak_memory_bytes": self.peak_memory(),
            "schedule": self.schedule.state(),
            "training": self.config.model_dump(mode="json"),
            "best": {"step": self.best_step, "loss": self.best_loss, "mae": self.validation},
        }
        if self.group.is_main:
            save_checkpoint(self.folder / "checkpoint" / kind, Checkpoint(state, self.description, weights, optimizer))
        self.group.barrier()

    def _random_states(self) -> dict[str, Tensor]:
        """State of torch's random number generators in every process; dropout and k-points go on where they stopped."""
        states = {"rng.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        gathered = {name: self.group.all_gather(state) for name, state in states.items()}
        return {f"{name}.{rank}": state for name, all_of in gathered.items() for rank, state in enumerate(all_of)}

    def _log(self, event: str, step: int, **values: Any) -> None:
        if self.group.is_main:
            self.log.write(event, step, **values)

    def _cut_log(self, step: int) -> None:
        if self.group.is_main:
            self.log.cut_back(step)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Continue from ``checkpoint``; refuses one of another configuration, and cuts the log back to its step."""
        state = checkpoint.state
        self._same("training", state["training"], self.config.model_dump(mode="json"))
        # through JSON, as the stored one went: tuples become lists, integer keys texts
        self._same("model", checkpoint.model, json.loads(json.dumps(self.description)))
        self.model.load_state_dict(checkpoint.weights)
        if self.ema:
            self.ema.restore(checkpoint.weights)
            raw = {name.removeprefix("raw."): t for name, t in checkpoint.optimizer.items() if name.startswith("raw.")}
            self.model.load_state_dict(raw, strict=False)
        unpack_optimizer(self.optimizer, checkpoint.optimizer)
        # resumed in more processes than before: the additional ones take the first generator's state
        rank = self.group.rank if f"rng.cpu.{self.group.rank}" in checkpoint.optimizer else 0
        torch.set_rng_state(checkpoint.optimizer[f"rng.cpu.{rank}"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint.optimizer[f"rng.cuda.{rank}"], self.device)
        self.step, self.seen = state["step"], state["structures_seen"]
        self.before = Elapsed(self.step, state["wall_s"], state["cpu_s"])
        self.memory_before = state["peak_memory_bytes"]
        self.schedule.restore(state["schedule"])
        self._restore_best()
        self._cut_log(self.step)

    def _same(self, part: str, stored: dict[str, Any], given: dict[str, Any]) -> None:
        for key, value in given.items():
            if stored.get(key) != value:
                raise ConfigError(
                    f"{self.folder}: its checkpoint has {part}.{key} = {stored.get(key)}, this run {value}"
                    "; start afresh (--fresh) or write elsewhere (--out)"
                )

    def _restore_best(self) -> None:
        """Step, loss and MAE of the best checkpoint, from itself: it may be newer than ``last`` after a kill."""
        best = load_checkpoint(self.folder / "checkpoint" / "best").state["best"]
        self.best_step, self.best_loss, self.validation = best["step"], best["loss"], best["mae"]

    def peak_memory(self) -> int:
        """Bytes, over all resumed parts: peak of torch's allocator on a GPU, of the process's resident memory else."""
        if self.device.type == "cuda":
            return max(self.memory_before, torch.cuda.max_memory_allocated(self.device))
        return max(self.memory_before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)  # KiB on Linux

    def result(self, precision: str) -> TrainResult:
        """Load the best weights into the model; totals are those of the last checkpoint."""
        best, last = (self.folder / "checkpoint" / kind for kind in ("best", "last"))
        self.model.load_state_dict(load_checkpoint(best).weights)
        self.model.eval()
        path, state = find_checkpoint(best), load_checkpoint(last).state
        assert path is not None
        return TrainResult(
            checkpoint=path,
            steps=state["step"],
            structures_seen=state["structures_seen"],
            wall_s=state["wall_s"],
            cpu_s=state["cpu_s"],
            best_step=self.best_step,
            best_loss=self.best_loss,
            validation=self.validation,
            peak_memory_bytes=state["peak_memory_bytes"],
            matmul_precision=precision,
        )
