"""Learning-rate schedules: a factor on the peak rate, computed from the step, the used budget and the validations.

``constant`` and ``cosine`` are pure functions of the state of the run; ``plateau`` remembers its validations
(torch.optim's ReduceLROnPlateau, mode min, relative threshold 1e-4). All start with the same linear warm-up. For a
model that is trained in stages, the cosine falls once in every stage.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from slembench.models.contract import Stage
from slembench.training.config import TrainConfig

THRESHOLD = 1e-4
"""Relative gain in the validation loss that counts as one."""


class Elapsed(NamedTuple):
    """What a run has used up, earlier parts of a resumed run included: optimiser steps, wall and CPU seconds."""

    steps: int
    wall_s: float = 0.0
    cpu_s: float = 0.0


def budget_fraction(config: TrainConfig, spent: Elapsed) -> float:
    """Used part of the budget, 1 or more when it is used up; with several budgets, of the one that is used up most.

    Args:
        config: names the budgets.
        spent: by the run so far.
    """
    budgets = (config.max_steps, config.max_wall_s, config.max_cpu_s)
    return max(done / budget for done, budget in zip(spent, budgets, strict=True) if budget)


@dataclass
class Schedule:
    """Learning-rate factor of one run.

    Attributes:
        config: the whole training configuration (the budgets are needed).
        stages: further stages of the model's training.
        factor: present factor of the plateau schedule.
        best: lowest validation loss so far.
        bad: validations without a gain since the last gain or the last reduction.
    """

    config: TrainConfig
    stages: tuple[Stage, ...] = ()
    factor: float = 1.0
    best: float = math.inf
    bad: int = 0

    def lr(self, spent: Elapsed) -> float:
        """Learning rate of the step that follows ``spent``."""
        settings = self.config.schedule
        factor = min(1.0, (spent.steps + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
        start, end, peak = self._stage(used := min(1.0, budget_fraction(self.config, spent)))
        factor *= peak
        if settings.name == "cosine":
            falling = 0.5 * (1 + math.cos(math.pi * (used - start) / (end - start)))
            factor *= settings.final_factor + (1 - settings.final_factor) * falling
        elif settings.name == "plateau":
            factor *= self.factor
        return self.config.optimizer.lr * factor

    def _stage(self, used: float) -> tuple[float, float, float]:
        """Begin and end of the present stage, as parts of the budget, and its factor on the learning rate."""
        stages = (Stage(0.0), *self.stages)
        present = max(n for n, stage in enumerate(stages) if stage.begin <= used)
        return stages[present].begin, (*stages, Stage(1.0))[present + 1].begin, stages[present].lr_factor

    def after_validation(self, loss: float) -> None:
        """Take note of a validation loss; the plateau schedule lowers its factor after too many without a gain."""
        if loss < self.best * (1 - THRESHOLD):
            self.best, self.bad = loss, 0
            return
        self.bad += 1
        if self.bad > self.config.schedule.plateau_patience:
            self.factor = max(self.config.schedule.final_factor, self.factor * self.config.schedule.plateau_factor)
            self.bad = 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: factor, best, bad (best is null before the first validation)."""
        state = asdict(self)
        del state["config"], state["stages"]
        return {**state, "best": None if math.isinf(self.best) else self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.factor, self.bad = state["factor"], state["bad"]
        self.best = math.inf if state["best"] is None else state["best"]
