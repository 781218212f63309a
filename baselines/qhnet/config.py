"""Hyper-parameters of QHNet."""

from __future__ import annotations

from pydantic import Field

from slembench.models.contract import ModelConfig
from slembench.nn.functional import SOFTPLUS_FACTOR


class QHNetConfig(ModelConfig):
    """Hyper-parameters of QHNet; defaults are those of its QH9 version."""

    width: int = Field(128, ge=1, description="channels of every l of node and pair states")
    bottleneck: int = Field(32, ge=1, description="channels of every l in front of the expansion to blocks")
    lmax: int = Field(
        4, ge=0, description="largest l of states and harmonics; the blocks need twice that of the shells"
    )
    n_layers: int = Field(5, ge=1, description="convolutions")
    first_pair_layer: int = Field(3, ge=0, description="convolution (from 0) after which on-site and pair states begin")
    max_radius: float = Field(15.0, gt=0, description="Angstrom | reach of the convolutions, within the pair cutoff")
    n_radial: int = Field(16, ge=1, description="exponential Bernstein functions")
    softplus_factor: float = Field(
        SOFTPLUS_FACTOR, gt=0, description="unit-variance factor of the shifted softplus; imported weights need theirs"
    )
