"""An SO(2) product one input at a time: matrices for a frame feature, operands for a node feature (`nn.ends`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from slembench.nn.channels import Channels
from slembench.nn.frames import NodeState
from slembench.nn.products import product
from slembench.nn.so2 import SO2Linear


class InputWeights:
    """Weights of an SO(2) product, divided among its inputs.

    Args:
        product: the map.

    Attributes:
        rows: for m = 0, 1, ... the weights of every input: (rows, columns), for SO(2) and m > 0 (2, rows, columns).
        bias: (columns of m = 0,).
    """

    def __init__(self, product: SO2Linear) -> None:
        first: torch.Tensor = product.weight_0
        self.bias: torch.Tensor = product.bias
        if product.reflections:
            first, self.bias = first * product.mask, self.bias * product.bias_mask
        self.inputs, self.lmax, self.reflections = product.inputs, product.output.lmax, product.reflections
        self.rows = [
            torch.split(weight, [channels.count_from(m) for channels in product.inputs], dim=-2)
            for m, weight in enumerate([first, *product.weights])
        ]


def frame_matrices(
    weights: InputWeights, k: int, gain: torch.Tensor, offset: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Rows of input ``k`` with its gain and offset folded in.

    Args:
        weights: of the map.
        k: number of the input.
        gain: (C,) | factors of its channels.
        offset: (scalars,) | added to its true scalars.

    Returns:
        Real matrices for m = 0, 1, ..., as of `SO2Linear.effective_weights`, and the bias with the offset's part.
    """
    channels = weights.inputs[k]
    bias = weights.bias + offset @ weights.rows[0][k][: channels.scalars]
    matrices = [
        weights.rows[m][k] * gain[channels.first(m) :, None] for m in range(min(weights.lmax, channels.lmax) + 1)
    ]
    return _real(weights, matrices), bias


def stacked_matrices(weights: InputWeights, tensors: Sequence[int]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Matrices for all inputs side by side in one frame feature.

    Args:
        weights: of the map.
        tensors: how many tensors each input has; those of larger m are zero.

    Returns:
        As `frame_matrices`; rows of m hold the inputs that have this m.
    """
    matrices = []
    for m in range(min(weights.lmax + 1, max(tensors))):
        matrices.append(torch.cat([weights.rows[m][k] for k, count in enumerate(tensors) if m < count], dim=-2))
    return _real(weights, matrices), weights.bias


def node_operands(
    weights: InputWeights, k: int, node: NodeState, bias: torch.Tensor | None = None
) -> list[torch.Tensor]:
    """What input ``k`` adds where it is a node feature: mapped once an atom, for `EndFrames.spread`.

    Args:
        weights: of the map.
        k: number of the input.
        node: (N, 2l + 1, C_l) for each l, gain and offset applied.
        bias: (columns of m = 0,) or None | added to what every pair gets: in the row of l = 0, which frames keep.

    Returns:
        (N, K_m, columns) for m = 0, 1, ... up to the smaller lmax of input and output.
    """
    channels = weights.inputs[k]
    top = min(weights.lmax, channels.lmax)
    blocks = [torch.split(weights.rows[m][k], list(channels.counts[m:]), dim=-2) for m in range(top + 1)]
    parts: list[list[torch.Tensor]] = [[] for _ in blocks]
    for l, tensor in enumerate(node):
        columns = [blocks[0][l]]
        for m in range(1, min(l, top) + 1):
            block = blocks[m][l - m]
            columns += _by_parity(block, channels, l) if weights.reflections else block.unbind(0)
        pieces = torch.split(product(tensor, torch.cat(columns, dim=1)), [c.shape[1] for c in columns], dim=2)
        parts[0].append(pieces[0] if bias is None or l else pieces[0] + bias)
        for m in range(1, min(l, top) + 1):
            parts[m] += pieces[2 * m - 1 : 2 * m + 1]
    return [torch.cat(p, dim=1) for p in parts]


def _by_parity(block: torch.Tensor, channels: Channels, l: int) -> list[torch.Tensor]:
    """Rows of the natural channels of one l alone, rows of the unnatural ones alone."""
    natural, unnatural = channels.natural[l], channels.unnatural[l]
    return [
        nn.functional.pad(block[:natural], (0, 0, 0, unnatural)),
        nn.functional.pad(block[natural:], (0, 0, natural, 0)),
    ]


def _real(weights: InputWeights, matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    if weights.reflections:
        return matrices
    return [matrices[0], *(_TwoByTwo.apply(m) for m in matrices[1:])]  # type: ignore[no-untyped-call]


class _TwoByTwo(torch.autograd.Function):
    """Real and imaginary part (2, rows, columns) -> [[a, b], [-b, a]]."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor) -> torch.Tensor:
        _, rows, columns = weight.shape
        result = weight.new_empty(2, rows, 2, columns)
        result[0] = weight.transpose(0, 1)
        result[1, :, 1] = weight[0]
        torch.neg(weight[1], out=result[1, :, 0])
        return result.view(2 * rows, 2 * columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        (a, b), (c, d) = slope.view(2, len(slope) // 2, 2, slope.shape[1] // 2).transpose(1, 2).unbind(0)
        return torch.stack([a + d, b - c])
