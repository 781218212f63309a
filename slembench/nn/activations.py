"""Activations beyond those of torch, with the factors that keep unit variance."""

from __future__ import annotations

import math

import torch
from torch import nn

from slembench.nn.layers import second_moment_factor


def shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """Softplus minus ln 2, zero at zero."""
    return nn.functional.softplus(x) - math.log(2.0)


SOFTPLUS_FACTOR = second_moment_factor(shifted_softplus)
TANH_FACTOR = second_moment_factor(torch.tanh)
