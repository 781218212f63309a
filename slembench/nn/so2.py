"""SO(2) and O(2) linear product in pair frames: one matrix product for each m.

Source: eSCN, arXiv 2302.03655; SLEM, arXiv 2407.06053. A linear map that commutes with rotations about the bond
treats m = 0 densely and mixes (m, -m) of all channels with l >= m by a complex weight. If it must commute with
reflections through the bond as well (O(3) models), the weight of a path is real between equal p(-1)^l and
imaginary between unequal ones, and m = 0 connects only equal ones; with the storage of `channels` all weights
are real then, at half the cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState


class SO2Linear(nn.Module):
    """Linear map of several frame features into one, plus invariant gates.

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
        bound = 1.0 / math.sqrt(rows)
        self.weight_0 = nn.Parameter(torch.empty(rows, n_gates + output.total).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_gates + output.total).uniform_(-bound, bound))
        if reflections:
            odd_in = torch.tensor([not n for c in inputs for n in c.is_natural])
            odd_out = torch.tensor([False] * n_gates + [not n for n in output.is_natural])
            mask = (odd_in[:, None] == odd_out[None, :]).to(self.weight_0.dtype)
            self.register_buffer("mask", mask, persistent=False)
            self.register_buffer("bias_mask", (~odd_out).to(mask), persistent=False)
            with torch.no_grad():
                self.weight_0.mul_(mask)
                self.bias.mul_(self.bias_mask)
        self.weights = nn.ParameterList()
        for m in range(1, output.lmax + 1):
            fan_in = sum(c.count_from(m) for c in inputs)
            bound = 1.0 / math.sqrt(2 * fan_in)
            shape = (fan_in, output.count_from(m)) if reflections else (2, fan_in, output.count_from(m))
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
        """Product.

        Args:
            states: frame feature of each input; tensors may be missing for large m, where they are zero.
            gains: see `effective_weights`.
            offsets: see `effective_weights`.

        Returns:
            Frame feature: (P, n_gates + C_out), then (P, 2, M_m) for m = 1...
        """
        none: list[torch.Tensor | None] = [None] * len(states)
        matrices, bias = self.effective_weights(gains or none, offsets or none)
        return frame_products(states, self.inputs, self.output, matrices, bias, paired=not self.reflections)


def frame_products(
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
    real, imaginary = weight.unbind(0)
    upper = torch.cat([real, imaginary], dim=1)
    lower = torch.cat([-imaginary, real], dim=1)
    if len(widths) == 1:
        return torch.cat([upper, lower])
    parts = [part for pair in zip(torch.split(upper, widths), torch.split(lower, widths)) for part in pair]
    return torch.cat(parts)
