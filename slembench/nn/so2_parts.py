"""An SO(2) product one input at a time: matrices for a frame feature, operands for a node feature (`nn.ends`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import NodeState
from slembench.nn.so2 import SO2Linear


def frame_matrices(
    product: SO2Linear, k: int, gain: torch.Tensor, offset: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Rows of input ``k`` with its gain and offset folded in.

    Args:
        product: the map.
        k: number of the input.
        gain: (C,) | factors of its channels.
        offset: (scalars,) | added to its true scalars.

    Returns:
        Real matrices for m = 0, 1, ..., as of `SO2Linear.effective_weights`, and the bias with the offset's part.
    """
    channels = product.inputs[k]
    weights = [_rows(product, k, m) for m in range(min(product.output.lmax, channels.lmax) + 1)]
    bias = product.bias * product.bias_mask if product.reflections else product.bias
    bias = bias + offset @ weights[0][: channels.scalars]
    weights = [w * gain[channels.first(m) :, None] for m, w in enumerate(weights)]
    return _real(product, weights), bias


def stacked_matrices(product: SO2Linear, tensors: Sequence[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Matrices for all inputs side by side in one frame feature.

    Args:
        product: the map.
        tensors: how many tensors each input has; those of larger m are zero.

    Returns:
        As `frame_matrices`; rows of m hold the inputs that have this m.
    """
    weights = []
    for m in range(min(product.output.lmax + 1, max(tensors))):
        weights.append(torch.cat([_rows(product, k, m) for k, count in enumerate(tensors) if m < count], dim=-2))
    return _real(product, weights), product.bias * product.bias_mask if product.reflections else product.bias


def node_operands(product: SO2Linear, k: int, node: NodeState, bias: torch.Tensor | None = None) -> list[torch.Tensor]:
    """What input ``k`` adds where it is a node feature: mapped once an atom, for `EndFrames.spread`.

    Args:
        product: the map.
        k: number of the input.
        node: (N, 2l + 1, C_l) for each l, gain and offset applied.
        bias: (columns of m = 0,) or None | added to what every pair gets: in the row of l = 0, which frames keep.

    Returns:
        (N, K_m, columns) for m = 0, 1, ... up to the smaller lmax of input and output.
    """
    channels = product.inputs[k]
    top = min(product.output.lmax, channels.lmax)
    weights = [_rows(product, k, m) for m in range(top + 1)]
    parts: list[list[torch.Tensor]] = [[] for _ in weights]
    for l, tensor in enumerate(node):
        columns = [weights[0][channels.first(l) : channels.first(l + 1)]]
        for m in range(1, min(l, top) + 1):
            start = channels.first(l) - channels.first(m)
            block = weights[m].narrow(-2, start, channels.counts[l])
            columns += _by_parity(block, channels, l) if product.reflections else block.unbind(0)
        pieces = torch.split(tensor @ torch.cat(columns, dim=1), [c.shape[1] for c in columns], dim=2)
        parts[0].append(pieces[0] if bias is None or l else pieces[0] + bias)
        for m in range(1, min(l, top) + 1):
            parts[m] += pieces[2 * m - 1 : 2 * m + 1]
    return [torch.cat(p, dim=1) for p in parts]


def _rows(product: SO2Linear, k: int, m: int) -> torch.Tensor:
    """Weights of ``m`` that act on input ``k``: (rows, columns), for SO(2) and m > 0 (2, rows, columns)."""
    start = sum(c.count_from(m) for c in product.inputs[:k])
    weight = product.weights[m - 1] if m else product.weight_0
    rows = weight.narrow(-2, start, product.inputs[k].count_from(m))
    return rows * product.mask.narrow(0, start, len(rows)) if product.reflections and m == 0 else rows


def _by_parity(block: torch.Tensor, channels: Channels, l: int) -> list[torch.Tensor]:
    """Rows of the natural channels of one l alone, rows of the unnatural ones alone."""
    natural, unnatural = channels.natural[l], channels.unnatural[l]
    return [
        nn.functional.pad(block[:natural], (0, 0, 0, unnatural)),
        nn.functional.pad(block[natural:], (0, 0, natural, 0)),
    ]


def _real(product: SO2Linear, weights: list[torch.Tensor]) -> list[torch.Tensor]:
    return weights if product.reflections else [weights[0], *(_two_by_two(w) for w in weights[1:])]


def _two_by_two(weight: torch.Tensor) -> torch.Tensor:
    """Real and imaginary part (2, rows, columns) -> [[a, b], [-b, a]]."""
    real, imaginary = weight.unbind(0)
    return torch.cat([torch.cat([real, imaginary], dim=1), torch.cat([-imaginary, real], dim=1)])
