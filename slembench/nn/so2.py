"""SO(2) and O(2) linear product in pair frames: one matrix product for each m.

Source: eSCN, arXiv 2302.03655; SLEM, arXiv 2407.06053. A linear map that commutes with rotations about the bond
treats m = 0 densely and mixes (m, -m) of all channels with l >= m by a complex weight. If it must commute with
reflections through the bond as well (O(3) models), the weight of a path is real between equal p(-1)^l and
imaginary between unequal ones, and m = 0 connects only equal ones; with the storage of `channels` all weights
are real then, at half the cost.

`SO2Linear` maps frame features. The fused update divides the same weights among its inputs (`InputWeights`): matrices
for a frame feature, operands for a node feature that is mapped once an atom (`slembench.nn.edge_frames`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState, NodeState
from slembench.nn.kernels.matmul import matmul


class SO2Linear(nn.Module):
    """Linear map of several frame features into one, plus invariant gates.

    Example:
        >>> from slembench.nn.channels import Channels
        >>> channels = Channels.parse("4x0e+3x1o+2x2e")
        >>> product = SO2Linear([channels], channels, n_gates=5, reflections=True)
        >>> state = [torch.ones(6, 9), torch.ones(6, 2, 5), torch.ones(6, 2, 2)]  # 6 pairs
        >>> [tuple(t.shape) for t in product([state])]  # 5 gates in front of m = 0
        [(6, 14), (6, 2, 5), (6, 2, 2)]
        >>> [tuple(w.shape) for w in product.weights]  # m = 1, 2: one real weight a path; SO(2) has (2, ...)
        [(5, 5), (2, 2)]

    The frame tensor of m = 0 that comes out carries ``n_gates`` gate channels (0e) in front.

    Args:
        inputs: channels of each input feature.
        output: channels of the result; its lmax must not exceed the largest one of the inputs.
        n_gates: further true scalars.
        reflections: True for O(2) (O(3) models), False for SO(2).
    """

    mask: torch.Tensor
    bias_mask: torch.Tensor

    def __init__(self, inputs: Sequence[Channels], output: Channels, n_gates: int, reflections: bool) -> None:
        super().__init__()
        if output.lmax > max(c.lmax for c in inputs):
            raise ValueError(f"inputs end at l = {max(c.lmax for c in inputs)}, the output needs {output.lmax}")
        self.inputs, self.output, self.n_gates, self.reflections = tuple(inputs), output, n_gates, reflections
        rows = sum(c.total for c in inputs)
        # uniform within +-1 / sqrt(fan-in): torch's initialisation of a linear map
        bound = 1.0 / math.sqrt(rows)
        self.weight_0 = nn.Parameter(torch.empty(rows, n_gates + output.total).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_gates + output.total).uniform_(-bound, bound))
        if reflections:
            # m = 0 of an axial channel changes sign under reflection through the bond, that of a polar one does not
            odd_in = torch.tensor([not n for c in inputs for n in c.is_polar])
            odd_out = torch.tensor([False] * n_gates + [not n for n in output.is_polar])
            mask = (odd_in[:, None] == odd_out[None, :]).to(self.weight_0.dtype)
            self.register_buffer("mask", mask, persistent=False)
            self.register_buffer("bias_mask", (~odd_out).to(mask), persistent=False)
            with torch.no_grad():
                self.weight_0.mul_(mask)
                self.bias.mul_(self.bias_mask)
        self.weights = nn.ParameterList()
        for m in range(1, output.lmax + 1):
            fan_in = sum(c.count_from(m) for c in inputs)
            # a complex weight has two real inputs to each output, (even, odd)
            bound = 1.0 / math.sqrt(2 * fan_in)
            shape = (fan_in, output.count_from(m)) if reflections else (2, fan_in, output.count_from(m))
            # the O(2) map has one real weight where SO(2) has two: the same variance with sqrt(2) the bound
            scale = math.sqrt(2.0) if reflections else 1.0
            self.weights.append(nn.Parameter(torch.empty(shape).uniform_(-bound * scale, bound * scale)))

    def effective_weights(
        self, gains: Sequence[torch.Tensor | None], offsets: Sequence[torch.Tensor | None]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Weights and bias with the inputs' own per-channel gain and scalar offset folded in.

        Args:
            gains: for each input (C,) factors of its channels, or None.
            offsets: for each input (scalars,) added to its true scalars, or None.

        Returns:
            Real matrices for m = 0, 1, ... (for SO(2) and m > 0 the 2 x 2 form [[a, b], [-b, a]]), rows of the
            inputs one below the other, and the bias (n_gates + C_out,).
        """
        weight_0 = self.weight_0 * self.mask if self.reflections else self.weight_0
        matrices = [weight_0, *self.weights]
        bias = self.bias * self.bias_mask if self.reflections else self.bias
        start = 0
        for channels, offset in zip(self.inputs, offsets):
            if offset is not None:
                # W (g x + o) + b = (W g) x + (W o + b)
                bias = bias + offset @ weight_0[start : start + channels.scalars]
            start += channels.total
        if any(g is not None for g in gains):
            matrices = [self._scaled(m, matrix, gains) for m, matrix in enumerate(matrices)]
        if not self.reflections:
            widths = [[c.count_from(m) for c in self.inputs] for m in range(len(matrices))]
            matrices[1:] = [_complex_block(w, widths[m]) for m, w in enumerate(matrices[1:], start=1)]
        return matrices, bias

    def _scaled(self, m: int, matrix: torch.Tensor, gains: Sequence[torch.Tensor | None]) -> torch.Tensor:
        parts = [
            g[c.first(m) :] if g is not None else matrix.new_ones(c.count_from(m))
            for g, c in zip(gains, self.inputs)
            if c.count_from(m)
        ]
        return matrix * torch.cat(parts)[:, None]

    def forward(
        self,
        states: Sequence[FrameState],
        gains: Sequence[torch.Tensor | None] | None = None,
        offsets: Sequence[torch.Tensor | None] | None = None,
    ) -> FrameState:
        """Sum over the inputs of (gain x + offset) W, for each m.

        Args:
            states: frame feature of each input; tensors may be missing for large m, where they are zero.
            gains: see `effective_weights`.
            offsets: see `effective_weights`.

        Returns:
            Frame feature: (P, n_gates + C_out), then (P, 2, M_m) for m = 1...
        """
        none: list[torch.Tensor | None] = [None] * len(states)
        matrices, bias = self.effective_weights(gains or none, offsets or none)
        return so2_linear(states, self.inputs, self.output, matrices, bias, paired=not self.reflections)


def so2_linear(
    states: Sequence[FrameState],
    inputs: Sequence[Channels],
    output: Channels,
    matrices: Sequence[torch.Tensor],
    bias: torch.Tensor | None = None,
    paired: bool = False,
) -> FrameState:
    """Sum of the products of several frame features with one matrix for each m.

    Args:
        states: frame feature of each input; tensors may be missing for large m, where they are zero.
        inputs: channels of each input.
        output: channels of the result; m = 0 may have more columns in front (gates).
        matrices: for m = 0, 1, ... (rows of all inputs one below the other, columns).
        bias: (columns of m = 0,) or None.
        paired: matrices of m > 0 act on both components of a pair at once (2 rows, 2 columns), not on each.

    Returns:
        Frame feature: (P, columns of m = 0), then (P, 2, M_m) for m = 1...
    """
    result = []
    for m in range(output.lmax + 1):
        # y = x W, with x = (even, odd) as one row of 2 M_m numbers for SO(2), as two rows for O(2)
        components = 2 if m and paired else 1
        total = bias if m == 0 else None
        start = 0
        for state, channels in zip(states, inputs):
            width = channels.count_from(m) * components
            rows = matrices[m][start : start + width]
            start += width
            if m >= len(state) or not width:
                continue
            flat = state[m].reshape(-1, width)
            total = flat @ rows if total is None else torch.addmm(total, flat, rows)
        if total is None:
            total = states[0][0].new_zeros(len(states[0][0]) * (2 // components), matrices[m].shape[1])
        result.append(total if m == 0 else total.reshape(-1, 2, output.count_from(m)))
    return result


def _complex_block(weight: torch.Tensor, widths: list[int]) -> torch.Tensor:
    """(2, rows, columns) -> for each input [[a, b], [-b, a]], one below the other: (2 rows, 2 columns)."""
    # (even + i odd)(a + i b) = (even a - odd b) + i (even b + odd a): rows even [a, b], odd [-b, a]
    real, imaginary = weight.unbind(0)
    upper = torch.cat([real, imaginary], dim=1)
    lower = torch.cat([-imaginary, real], dim=1)
    if len(widths) == 1:
        return torch.cat([upper, lower])
    parts = [part for pair in zip(torch.split(upper, widths), torch.split(lower, widths)) for part in pair]
    return torch.cat(parts)


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
    """What input ``k`` adds where it is a node feature: mapped once an atom, for `EdgeFrames.node_to_edge`.

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
            # for m > 0 two operands: what the rows of D_l meet, and what those times i do
            columns += _by_parity(block, channels, l) if weights.reflections else block.unbind(0)
        pieces = torch.split(matmul(tensor, torch.cat(columns, dim=1)), [c.shape[1] for c in columns], dim=2)
        # the row of l = 0 is the number 1 for every pair, so it carries the bias
        parts[0].append(pieces[0] if bias is None or l else pieces[0] + bias)
        for m in range(1, min(l, top) + 1):
            parts[m] += pieces[2 * m - 1 : 2 * m + 1]
    return [torch.cat(p, dim=1) for p in parts]


def _by_parity(block: torch.Tensor, channels: Channels, l: int) -> list[torch.Tensor]:
    """Rows of the polar channels of one l alone, rows of the axial ones alone."""
    polar, axial = channels.polar[l], channels.axial[l]
    return [
        nn.functional.pad(block[:polar], (0, 0, 0, axial)),
        nn.functional.pad(block[polar:], (0, 0, polar, 0)),
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
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        # gradient of [[a, b], [-b, a]]: a stands in two places, b in two with both signs
        (a, b), (c, d) = grad.view(2, len(grad) // 2, 2, grad.shape[1] // 2).transpose(1, 2).unbind(0)
        return torch.stack([a + d, b - c])
