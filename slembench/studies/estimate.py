"""What the runs of a plan will cost in training time, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from slembench.data import load_dataset
from slembench.harness import load_recipe
from slembench.models.graphs import model_graph
from slembench.results.record import read_record
from slembench.studies.plan import StudyPlan
from slembench.studies.probe import training_step_cost
from slembench.studies.run import tasks_of
from slembench.studies.task import Task
from slembench.training.loop import DTYPES


@dataclass(frozen=True)
class Estimate:
    """Training time that a run will take.

    Attributes:
        seconds: CPU seconds that are still to be spent; 0 for a finished run.
        basis: where the number is from.
    """

    seconds: float
    basis: str


def estimate(plan: StudyPlan, folder: Path, threads: int = 1) -> dict[str, Estimate]:
    """Estimates of all runs, in the order of the plan.

    A budget of time is its own estimate. Steps are counted at what a step took in the study's finished runs of the same
    data and settings, else at what two steps on the first structures of the training split take here and now.

    Args:
        plan: of the study.
        folder: of the study.
        threads: that each run computes with.

    Raises:
        ConfigError: a model or variant that is not there any more; DataError: broken data.
    """
    tasks = tasks_of(plan, folder, threads)
    known: dict[tuple[str, str], Estimate] = {}
    for task in tasks.values():
        if task.finished:
            known.setdefault(_kind(task), _of_record(task))
    return {key: _estimate(task, known, threads) for key, task in tasks.items()}


def _kind(task: Task) -> tuple[str, str]:
    """What decides the cost of a step; the settings' hash does not hold the seed."""
    return task.run.dataset, task.run.settings


def _of_record(task: Task) -> Estimate:
    """Seconds a step in a finished run."""
    training = read_record(task.run_folder / task.run.splits[0]).training
    assert training is not None
    # records of early versions have no CPU time
    spent = training.cpu_s if training.cpu_s is not None else training.wall_s
    return Estimate(spent / max(1, training.steps), "a finished run")


def _estimate(task: Task, known: dict[tuple[str, str], Estimate], threads: int) -> Estimate:
    if task.finished:
        return Estimate(0.0, "finished")
    run = task.run
    settings = load_recipe(run.model, variant=run.variant, changes=run.changes, seed=run.seed)
    training = settings.training
    limits = [limit for limit in (training.max_cpu_s, training.max_wall_s) if limit is not None]
    if training.max_steps is None:
        return Estimate(min(limits), "budget of time")
    if _kind(task) not in known:
        known[_kind(task)] = _measure(task, threads)
    step = known[_kind(task)]
    seconds = training.max_steps * step.seconds
    # whichever limit comes first ends the training
    if limits and min(limits) < seconds:
        return Estimate(min(limits), "budget of time")
    return Estimate(seconds, f"{training.max_steps} steps of {step.seconds:.3g} s ({step.basis})")


def _measure(task: Task, threads: int) -> Estimate:
    """Seconds a step, by two steps on a batch of the source's first training structures."""
    run = task.run
    data = load_dataset(task.derived.source if task.derived else run.dataset)
    settings = load_recipe(run.model, variant=run.variant, changes=run.changes, seed=run.seed)
    factor = task.derived.cutoff_factor if task.derived else 1.0
    cutoffs = {z: factor * radius for z, radius in data.cutoffs.items()}
    targets = settings.targets or tuple(op for op in ("hamiltonian", "overlap") if op in data.card.operators)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(run.seed)
        model = settings.kind(settings.model, data.basis, cutoffs, targets)
        dtype = DTYPES[settings.training.dtype]
        # one batch: the cost of a step is that of a batch, and the first structures stand for all
        ids = data.partition(run.partition)[: settings.training.batch_size]
        graphs = [model_graph(model, data.sample(structure), dtype) for structure in ids]
        return Estimate(training_step_cost(model, graphs, settings.training).cpu_s, "measured now")
    # the number of threads belongs to the whole process, and the caller goes on in it
    finally:
        torch.set_num_threads(before)
