"""Hyper-parameters of DeepH-E3."""

from __future__ import annotations

from pydantic import Field

from slembench.models.contract import ModelConfig
from slembench.nn.layers import ActivationFactors


class DeepHE3Config(ModelConfig):
    """Hyper-parameters of DeepH-E3; defaults are those of its public code."""

    embedding: int = Field(64, ge=1, description="width of the node embedding and of the first pair states")
    irreps_mid: str = Field("64x0e+32x1o+16x2e+8x3o+8x4e", description="e3nn irreps of node and pair states")
    n_blocks: int = Field(3, ge=1, description="blocks of a node and a pair update")
    harmonics_lmax: int = Field(4, ge=0, description="l of the spherical harmonics of the bond")
    n_gaussians: int = Field(128, ge=2, description="Gaussians of the distance that the radial networks read")
    gaussian_stop: float = Field(7.2, gt=0, description="Angstrom | where the last Gaussian stands")
    embedding_stop: float = Field(
        6.0, gt=0, description="Angstrom | where the last one of the first pair states stands"
    )
    activation_factors: ActivationFactors = Field(
        ActivationFactors(), description="unit-variance factors of SiLU and sigmoid; imported weights need their own"
    )
