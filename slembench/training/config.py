"""Configuration of a training: every key of a recipe's ``training`` with default and meaning. Unknown keys are refused.

The values are part of the hash that names a run, and of ``config.yaml``: a new key, or another default, gives every run
a new name. A key that most runs lack can be left out where it is at its default (see `LossConfig`).
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from slembench.core.config import StrictModel


class OptimizerConfig(StrictModel):
    """Adam (L2 penalty added to the gradient) or AdamW (decoupled decay), as in `torch.optim`."""

    name: Literal["adam", "adamw"] = "adam"
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    amsgrad: bool = False


class ScheduleConfig(StrictModel):
    """Factor on the learning rate; see `slembench.training.schedule`."""

    name: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_steps: int = Field(0, ge=0, description="linear rise from 0 over so many steps, with every schedule")
    final_factor: float = Field(0.01, ge=0, le=1, description="cosine: factor at the end; plateau: smallest factor")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="plateau: multiply the factor by this")
    plateau_patience: int = Field(10, ge=0, description="plateau: after more than so many validations without a gain")


class OperatorWeight(StrictModel):
    """Weight of one operator in the loss and of its on-site part within it."""

    weight: float = Field(1.0, gt=0)
    onsite_share: float | None = Field(
        0.5, ge=0, le=1, description="share of the on-site blocks; null: their share of the matrix elements"
    )


class LevelsConfig(StrictModel):
    """Losses on orbital energies and orbitals, beside that on matrix elements (`slembench.training.spectral_loss`)."""

    wavefunction: float = Field(0.0, ge=0, description="weight of the wavefunction alignment loss")
    bands: float = Field(0.0, ge=0, description="weight of the error of the levels")
    begin: float = Field(0.5, ge=0, lt=1, description="used part of the budget from which they count in training")
    kpoints: int = Field(2, ge=1, description="k-points a crystal and step; a molecule has one")
    empty_share: float = Field(
        0.5, ge=0, description="empty levels that count, as a share of the occupied ones; 1 at least"
    )
    others: float = Field(0.01, ge=0, le=1, description="wavefunction: weight of elements outside the counted levels")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.wavefunction and not self.bands:
            raise ValueError("give a weight to wavefunction or to bands (or to both)")
        return self


class LossConfig(StrictModel):
    """What is minimised; see `slembench.training.loss`."""

    name: Literal["mse", "l1", "huber", "l1_rmse"] = "l1_rmse"
    huber_delta: float = Field(0.1, gt=0, description="huber: change-over, in units of the operator's scale")
    operators: dict[str, OperatorWeight] = Field(default_factory=dict, description="operator -> weight; default 1")
    levels: LevelsConfig | None = Field(None, description="further losses on levels and orbitals; null: none")

    @model_serializer(mode="wrap")
    def _without_absent_levels(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The settings without ``levels`` where it is null."""
        # A run's name is a hash of its settings. Losses on levels came later; written as null, the key would have given
        # another name to every run made before.
        values: dict[str, Any] = handler(self)
        if values.get("levels") is None:
            values.pop("levels", None)
        return values


class TrainConfig(StrictModel):
    """One training run. At least one budget, ``max_steps``, ``max_cpu_s`` or ``max_wall_s``, must be given.

    Times are those of the loop, validation included, summed over resumed parts. CPU time is that of all threads of the
    process, and does not grow where other processes share the machine. A cosine schedule ends with the budget that is
    used up first; where that may be a time, losses depend on the speed of the machine.

    Example:
        >>> config = TrainConfig(max_steps=500, optimizer={"lr": 5e-3}, schedule={"warmup_steps": 50})
        >>> config.optimizer.name, config.optimizer.lr, config.schedule.name, config.loss.name
        ('adam', 0.005, 'cosine', 'l1_rmse')
        >>> config.model_dump(exclude_defaults=True)
        {'max_steps': 500, 'optimizer': {'lr': 0.005}, 'schedule': {'warmup_steps': 50}}
    """

    seed: int = Field(0, ge=0, description="initial weights and order of the structures")
    batch_size: int = Field(1, ge=1, description="structures a step")
    max_steps: int | None = Field(None, ge=1, description="optimiser steps")
    max_wall_s: float | None = Field(None, gt=0, description="seconds")
    max_cpu_s: float | None = Field(None, gt=0, description="CPU seconds of the process, all threads together")
    validate_every: int = Field(200, ge=1, description="steps between validations; a checkpoint follows each")
    log_every: int = Field(10, ge=1, description="steps between rows of the log")
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    clip_norm: float | None = Field(None, gt=0, description="largest norm of the whole gradient")
    ema_decay: float | None = Field(None, gt=0, lt=1, description="exponential moving average of the weights")
    dtype: Literal["float32", "float64"] = "float32"
    device: str = Field("cpu", description="cpu, cuda, cuda:1 ...")
    deterministic: bool = Field(True, description="only algorithms that give the same bits in every run")
    matmul_precision: Literal["highest", "high", "medium"] | None = Field(
        None,
        description="torch.set_float32_matmul_precision; null: medium where it is exact and pays, else highest",
    )

    @model_validator(mode="after")
    def _budget(self) -> Self:
        if self.max_steps is None and self.max_wall_s is None and self.max_cpu_s is None:
            raise ValueError("give max_steps, max_wall_s or max_cpu_s, else the training would never end")
        return self
