"""Hyper-parameters of SLEM."""

from __future__ import annotations

from slembench.models.pair_frame import PairFrameConfig


class SlemConfig(PairFrameConfig):
    """Hyper-parameters of SLEM."""
