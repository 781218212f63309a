"""The norm of pair states through the compiled functions (`c/norm.c`): float32 on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.kernels.native import call


def _like(states: Sequence[Tensor]) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in states]


def _contiguous(states: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.contiguous() for tensor in states]


class _Norm(torch.autograd.Function):
    """See `divide_by_norms`."""

    @staticmethod
    def forward(ctx: Any, channels: Channels, eps: float, weight: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        states = _contiguous(values)
        result, divisors = _like(states), states[0].new_empty(len(states[0]), 2)
        call("norm_forward", channels, len(states) - 1, states, weight, float(eps), result, divisors)
        ctx.save_for_backward(weight, divisors, *states)
        ctx.channels, ctx.eps = channels, eps
        return tuple(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, divisors, *states = ctx.saved_tensors
        result = _like(states)
        # a tensor that nothing depends on has no gradient; the compiled function wants zeros
        grad = _contiguous([t.new_zeros(t.shape) if g is None else g for g, t in zip(gradients, states)])
        arguments = (states, weight, float(ctx.eps), divisors, grad, result)
        call("norm_backward", ctx.channels, len(states) - 1, *arguments)
        return None, None, None, *result


def divide_by_norms(channels: Channels, eps: float, weight: Tensor, state: Sequence[Tensor]) -> list[Tensor]:
    """True scalars centred and divided by their norm, all else by one root of the weighted sum of squares.

    Only where `native.usable` holds; `layers.SeparableNorm` has the formula in torch.

    Args:
        channels: of the state.
        eps: added to the norm, and to the sum of squares.
        weight: (C,) | of the squares; constants.
        state: (P, C), (P, 2, C_m); tensors may be missing for large m.

    Returns:
        Tensors of the same shapes.
    """
    return list(_Norm.apply(channels, eps, weight, *state))  # type: ignore[no-untyped-call]
