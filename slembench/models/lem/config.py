"""Hyper-parameters of LEM."""

from __future__ import annotations

from slembench.models.pair_frame import PairFrameConfig


class LemConfig(PairFrameConfig):
    """Hyper-parameters of LEM."""
