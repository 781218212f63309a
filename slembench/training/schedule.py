"""Learning-rate schedules: a factor on the peak rate, from the step, the used fraction of the budget and validations.

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
"""Smallest relative decrease of the validation loss that counts as an improvement."""


class Elapsed(NamedTuple):
    """Optimiser steps, wall and CPU seconds of a training so far, earlier parts of a resumed one included."""

    steps: int
    wall_s: float = 0.0
    cpu_s: float = 0.0


def budget_fraction(config: TrainConfig, elapsed: Elapsed) -> float:
    """Used fraction of the budget, 1 or more when it is used up; of several budgets, the largest fraction.

    Args:
        config: with the budgets.
        elapsed: of the run so far.

    Example:
        >>> config = TrainConfig(max_steps=1000, max_wall_s=60)
        >>> [budget_fraction(config, Elapsed(steps=250, wall_s=seconds)) for seconds in (6, 30)]
        [0.25, 0.5]
    """
    budgets = (config.max_steps, config.max_wall_s, config.max_cpu_s)
    return max(done / budget for done, budget in zip(elapsed, budgets, strict=True) if budget)


@dataclass
class Schedule:
    """Learning rate of one run.

    Attributes:
        config: the whole training configuration (the budgets are needed).
        stages: further stages of the model's training.
        factor: present factor of the plateau schedule.
        best: lowest validation loss so far.
        bad: validations without an improvement since the last one, or since the last reduction.

    Example:
        >>> schedule = {"name": "cosine", "warmup_steps": 10, "final_factor": 0.1}
        >>> cosine = Schedule(TrainConfig(max_steps=100, optimizer={"lr": 1.0}, schedule=schedule))
        >>> [round(cosine.lr(Elapsed(step)), 3) for step in (0, 4, 9, 50, 99)]
        [0.1, 0.498, 0.982, 0.55, 0.1]
        >>> plateau = {"name": "plateau", "plateau_factor": 0.5, "plateau_patience": 1}
        >>> plateau = Schedule(TrainConfig(max_steps=100, optimizer={"lr": 1.0}, schedule=plateau))
        >>> for loss in (3.0, 2.0, 2.0, 2.1):  # two validations without an improvement
        ...     plateau.after_validation(loss)
        >>> plateau.lr(Elapsed(40))
        0.5
    """

    config: TrainConfig
    stages: tuple[Stage, ...] = ()
    factor: float = 1.0
    best: float = math.inf
    bad: int = 0

    def lr(self, elapsed: Elapsed) -> float:
        """Learning rate of the step that follows ``elapsed``."""
        settings = self.config.schedule
        factor = min(1.0, (elapsed.steps + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
        start, end, peak = self._stage(used := min(1.0, budget_fraction(self.config, elapsed)))
        factor *= peak
        if settings.name == "cosine":
            # from 1 at the start of the stage to 0 at its end; the warm-up's factor multiplies it, so that the cosine
            # depends on the budget alone
            falling = 0.5 * (1 + math.cos(math.pi * (used - start) / (end - start)))
            factor *= settings.final_factor + (1 - settings.final_factor) * falling
        elif settings.name == "plateau":
            factor *= self.factor
        return self.config.optimizer.lr * factor

    def _stage(self, used: float) -> tuple[float, float, float]:
        """Start and end of the present stage, as fractions of the budget, and its factor on the learning rate."""
        stages = (Stage(0.0), *self.stages)
        present = max(n for n, stage in enumerate(stages) if stage.begin <= used)
        return stages[present].begin, (*stages, Stage(1.0))[present + 1].begin, stages[present].lr_factor

    def after_validation(self, loss: float) -> None:
        """Take a validation loss into account: the plateau schedule lowers its factor after too many without gain."""
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
        # the configuration is compared on its own, key by key; infinity is no JSON
        del state["config"], state["stages"]
        return {**state, "best": None if math.isinf(self.best) else self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.factor, self.bad = state["factor"], state["bad"]
        self.best = math.inf if state["best"] is None else state["best"]
