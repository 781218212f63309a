"""Training: configuration, loss, schedules, checkpoints and one loop that can be read from top to bottom."""

from slembench.training.config import TrainConfig
from slembench.training.loop import TrainResult, train

__all__ = ["TrainConfig", "TrainResult", "train"]
