"""Sums over the pairs of each atom, activations that torch lacks, and constant tensors that keep float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from slembench.nn.layers import second_moment_factor


def segment_sum(values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    """Rows added up by index.

    Args:
        values: (P, ...).
        index: (P,) int64 | target row of each.
        size: number of target rows.

    Returns:
        (size, ...).

    Example:
        >>> segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2]), 3)
        tensor([1., 0., 6.])
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return flat.new_zeros(size, flat.shape[1]).index_add(0, index, flat).reshape(size, *values.shape[1:])


def shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """ln(1 + e^x) - ln 2, which is zero at zero."""
    return nn.functional.softplus(x) - math.log(2.0)


# 1 / sqrt(E[f(z)^2]), z standard normal: activations keep unit variance from layer to layer
SOFTPLUS_FACTOR = second_moment_factor(shifted_softplus)
TANH_FACTOR = second_moment_factor(torch.tanh)


class Constants:
    """Named constants that no conversion of their module can round: buffers would lose digits on the way to float32.

    Args:
        values: name -> tensor; floating ones in float64.
    """

    def __init__(self, values: Mapping[str, torch.Tensor]) -> None:
        self._values = dict(values)
        self._cast: dict[tuple[str, torch.device, torch.dtype], torch.Tensor] = {}

    def get(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """The constant on the device of ``like``, in its dtype if it is a floating one."""
        key = (name, like.device, like.dtype)
        if key not in self._cast:
            value = self._values[name]
            self._cast[key] = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
        return self._cast[key]
