"""Sum of pair rows into their atoms."""

from __future__ import annotations

import math

import torch


def segment_sum(values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    """Rows added up by index.

    Args:
        values: (P, ...).
        index: (P,) int64 | target row of each.
        size: number of target rows.

    Returns:
        (size, ...).
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return flat.new_zeros(size, flat.shape[1]).index_add(0, index, flat).reshape(size, *values.shape[1:])
