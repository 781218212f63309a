"""Elementwise steps of pair states with backward passes written out: they read and write each tensor once or twice.

Pair states are large and their elementwise work is bound by memory, not arithmetic; autograd's own chain of products
and sums would go over them several times more.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.autograd.function import FunctionCtx


class _ScaleBoth(torch.autograd.Function):
    """(P, 2, M) times (P, M), the same factor for both components."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(values, factors)
        return values * factors.unsqueeze(1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, factors = ctx.saved_tensors
        # factor f of both components: grad f = grad even * even + grad odd * odd
        first = gradient[:, 0] * values[:, 0]
        return gradient * factors.unsqueeze(1), torch.addcmul(first, gradient[:, 1], values[:, 1])


def scale_both(values: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Pair components times per-channel factors.

    Args:
        values: (P, 2, M) | even and odd component of every channel.
        factors: (P, M) | one factor for both.

    Returns:
        (P, 2, M).

    Example:
        >>> scale_both(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[10.0, 100.0]]))
        tensor([[[ 10., 200.],
                 [ 30., 400.]]])
    """
    result: torch.Tensor = _ScaleBoth.apply(values, factors)  # type: ignore[no-untyped-call]
    return result


class _RootMeanSquare(torch.autograd.Function):
    """Rows of several tensors divided by one weighted root mean square of all of them."""

    @staticmethod
    def forward(ctx: FunctionCtx, eps: float, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, weights = tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]
        products = [t.square() @ w for t, w in zip(values, weights)]
        squares = [p.reshape(len(p), math.prod(p.shape[1:])).sum(dim=1) for p in products]
        square = torch.stack(squares).sum(dim=0)
        # f = (sum_k w_k x_k^2 + eps)^(-1/2), y = f x
        factor = (square + eps).rsqrt()
        ctx.save_for_backward(factor, *tensors)
        return tuple(t * _rows(factor, t) for t in values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        factor, *tensors = ctx.saved_tensors
        values, weights = tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]
        # dy_k/dx_j = f delta_kj - f^3 x_k w_j x_j
        inner = sum((g * t).flatten(1).sum(dim=1) for g, t in zip(gradients, values))
        grad = -factor.pow(3) * inner
        result = [
            torch.addcmul(g * _rows(factor, t), t * w, _rows(grad, t)) for g, t, w in zip(gradients, values, weights)
        ]
        return (None, *result, *([None] * len(weights)))


def _rows(factor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return factor.reshape(-1, *([1] * (like.ndim - 1)))


def divide_by_rms(values: list[torch.Tensor], weights: list[torch.Tensor], eps: float) -> list[torch.Tensor]:
    """Tensors with common rows, divided by (sum of weighted squares of a row + eps)^(1/2).

    Args:
        values: (P, ..., C_k) each.
        weights: (C_k,) each | of the squares; constants.
        eps: added to the sum.

    Returns:
        Tensors of the same shapes.
    """
    result = _RootMeanSquare.apply(eps, *values, *weights)  # type: ignore[no-untyped-call]
    return list(result)
