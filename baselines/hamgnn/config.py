"""Hyper-parameters of HamGNN."""

from __future__ import annotations

from pydantic import Field

from slembench.models.contract import ModelConfig


class HamGNNConfig(ModelConfig):
    """Hyper-parameters of HamGNN; defaults are those of its public code."""

    irreps: str = Field(
        "64x0e+64x0o+32x1o+16x1e+12x2o+25x2e+18x3o+9x3e+4x4o+9x4e+4x5o+4x5e+2x6e",
        description="e3nn irreps of node and pair states; must hold those of the blocks",
    )
    harmonics_lmax: int = Field(5, ge=0, description="l of the spherical harmonics of the bond")
    n_layers: int = Field(3, ge=1)
    n_bessel: int = Field(64, ge=1, description="radial Bessel functions")
    cutoff: float = Field(
        26.0, gt=0, description="Angstrom | of the cosine cutoff function; the pairs are the data set's"
    )
    radial_channels: tuple[int, ...] = Field((64, 64), description="hidden widths of the radial networks")
