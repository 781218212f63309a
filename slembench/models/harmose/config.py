"""Hyper-parameters of HarmoSE."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from slembench.models.contract import ModelConfig


class HarmoseConfig(ModelConfig):
    """Hyper-parameters of both stages and of the cascade."""

    stage1: str = Field("deeph-e3", description="equivariant model of stage 1, as --model names one")
    stage1_settings: dict[str, Any] = Field(default_factory=dict, description="its hyper-parameters")
    stage1_only: bool = Field(False, description="leave stage 2 out")
    stage1_share: float = Field(
        0.6, ge=0, lt=1, description="part of the training budget for stage 1 alone; it is frozen after it"
    )
    joint_share: float | None = Field(
        None, gt=0, lt=1, description="part of the budget after which both are trained together; null: never"
    )
    later_lr_factor: float = Field(1.0, gt=0, description="factor on the learning rate once stage 1 alone is over")
    width: int = Field(128, ge=1, description="of stage 2's node and pair states")
    heads: int = Field(8, ge=1, description="of its attention; divides the width")
    n_layers: int = Field(2, ge=1, description="its layers")
    n_gaussians: int = Field(32, ge=2, description="Gaussians of the distance that it reads")
    envelope_power: int = Field(6, ge=2, description="p of the polynomial envelope that ends it at the cutoff")
    random_rotations: bool = Field(True, description="rotate its input at random in every training step")
