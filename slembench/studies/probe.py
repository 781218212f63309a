"""What a training step costs on this machine, measured with the training loop itself."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slembench.data.graph import OperatorGraph
from slembench.models.contract import OperatorModel
from slembench.training import TrainConfig, train


@dataclass(frozen=True)
class StepCost:
    """Cost of one training step.

    Attributes:
        cpu_s: CPU seconds, all threads together.
        wall_s: seconds.
    """

    cpu_s: float
    wall_s: float


def training_step_cost(
    model: OperatorModel, graphs: Sequence[OperatorGraph], training: TrainConfig, steps: int = 2
) -> StepCost:
    """Measure training steps on a batch; the loop's own overhead, validation and checkpoint cancel out.

    Args:
        model: its weights are changed.
        graphs: of one batch, with targets.
        training: configuration of which budget and validation are replaced.
        steps: measured, after one that is not.

    Returns:
        Cost of a step: that of 1 + ``steps`` steps less that of one, divided by ``steps``.
    """
    costs = []
    for number in (1, 1, 1 + steps):  # the first one warms up
        budget = {"max_steps": number, "max_wall_s": None, "max_cpu_s": None, "validate_every": number}
        config = training.model_copy(update={**budget, "batch_size": len(graphs)})
        with tempfile.TemporaryDirectory() as folder:
            result = train(model, graphs, graphs[:1], config, Path(folder), progress=False)
        costs.append((result.cpu_s, result.wall_s))
    cpu, wall = (max(0.0, costs[2][k] - costs[1][k]) / steps for k in (0, 1))
    return StepCost(cpu, wall)
