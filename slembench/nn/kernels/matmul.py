"""Products of tall float32 matrices on a CPU through the compiled functions (`c/products.c`); torch's elsewhere.

The compiled ones take any number of rows at the same speed. oneDNN's, as fast, compile code for every shape that they
meet and keep it, which costs time and memory where every structure has another number of pairs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from slembench.nn.kernels.native import compiled, usable

_ARGUMENTS = [ctypes.c_int64] * 6 + ([ctypes.c_void_p] + [ctypes.c_int64] * 3) * 3
"""Of the functions at the end of `c/products.c`."""


LEAST = 2**18
"""Multiply-adds from which on the compiled functions are faster; calling them costs several times what torch does."""


_force_native_matmul = False


@contextmanager
def batch_invariant_matmul() -> Iterator[None]:
    """Within it a row of a product has the same bits however many rows there are: every product is a compiled one.

    For predictions: a structure and its parts differ in their rows, and should not in their blocks.
    """
    global _force_native_matmul
    before, _force_native_matmul = _force_native_matmul, True
    try:
        yield
    finally:
        _force_native_matmul = before


def raw_matmul(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """``a @ b``, or ``out += a @ b``; not differentiable.

    Args:
        a: (R, K) or (B, R, K).
        b: (K, N) or (B, K, N).
        out: (R, N) or (B, R, N) with columns side by side, added to and returned.

    Returns:
        (R, N) or (B, R, N).
    """
    # small products, other types and other devices: torch, whose call costs less
    if not _fit(a, b, a.shape[-1] == b.shape[-2], a.numel() * b.shape[-1]):
        if out is not None:
            return out.baddbmm_(a, b) if a.ndim == 3 else out.addmm_(a, b)
        return torch.bmm(a, b) if a.ndim == 3 else torch.mm(a, b)
    result = a.new_empty(*a.shape[:-1], b.shape[-1]) if out is None else out
    _run("matmul", [*a.shape[-2:], b.shape[-1]], (_side_by_side(a), b, result), out is not None)
    return result


def raw_matmul_t(x: Tensor, y: Tensor) -> Tensor:
    """``x.mT @ y``, a sum over rows; not differentiable.

    Args:
        x: (R, H) or (B, R, H).
        y: (R, W) or (B, R, W).

    Returns:
        (H, W) or (B, H, W).
    """
    if not _fit(x, y, x.shape[-2] == y.shape[-2], x.numel() * y.shape[-1]):
        return torch.bmm(x.mT, y) if x.ndim == 3 else torch.mm(x.T, y)
    result = x.new_empty(*x.shape[:-2], x.shape[-1], y.shape[-1])
    _run("matmul_t", [*x.shape[-2:], y.shape[-1]], (_side_by_side(x), _side_by_side(y), result), False)
    return result


def _fit(a: Tensor, b: Tensor, alike: bool, work: int) -> bool:
    """Whether the compiled functions take them; torch says what is wrong where they do not fit together."""
    enough = _force_native_matmul or work >= LEAST
    return enough and usable(a) and usable(b) and alike and a.shape[:-2] == b.shape[:-2]


def _side_by_side(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _run(function: str, sizes: list[int], tensors: tuple[Tensor, Tensor, Tensor], add: bool) -> None:
    """Run a function of `c/products.c`; its products are many and small, so that every microsecond here counts."""
    call = compiled(function)
    if not call.argtypes:
        call.argtypes = _ARGUMENTS
    batch, words = 1, [int(add)]
    for tensor in tensors:
        strides = tensor.stride()
        if len(strides) == 3:
            batch = len(tensor)
            # address, then how far apart rows, columns and matrices stand
            words += [tensor.data_ptr(), strides[1], strides[2], strides[0]]
        else:
            words += [tensor.data_ptr(), *strides, 0]
    if not call(torch.get_num_threads(), batch, *sizes, *words):
        raise MemoryError(f"no memory for the product of {batch} matrices of {sizes[0]} rows")


class _Matmul(torch.autograd.Function):
    """See `matmul`."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        grad_a, grad_b = ctx.needs_input_grad
        ctx.save_for_backward(a if grad_b else None, b if grad_a else None)
        return raw_matmul(a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        grad_a = raw_matmul(grad, b.mT) if ctx.needs_input_grad[0] else None
        return grad_a, raw_matmul_t(a, grad) if ctx.needs_input_grad[1] else None


class _MatmulT(torch.autograd.Function):
    """See `matmul_t`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        grad_x, grad_y = ctx.needs_input_grad
        ctx.save_for_backward(x if grad_y else None, y if grad_x else None)
        return raw_matmul_t(x, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = ctx.saved_tensors
        grad_x = raw_matmul(y, grad.mT) if ctx.needs_input_grad[0] else None
        return grad_x, raw_matmul(x, grad) if ctx.needs_input_grad[1] else None


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b``, differentiable once.

    Args:
        a: (..., K), its rows many; or (B, R, K).
        b: (K, N); or (B, K, N).

    Returns:
        (..., N); or (B, R, N).

    Example:
        >>> matmul(torch.ones(5, 2, 3), torch.ones(3, 4)).shape
        torch.Size([5, 2, 4])
    """
    if not usable(a):
        return a @ b
    # leading axes are rows of one tall matrix
    if b.ndim == 2 and a.ndim != 2:
        flat: Tensor = _Matmul.apply(a.reshape(-1, a.shape[-1]), b)  # type: ignore[no-untyped-call]
        return flat.view(*a.shape[:-1], b.shape[-1])
    result: Tensor = _Matmul.apply(a, b)  # type: ignore[no-untyped-call]
    return result


def matmul_t(x: Tensor, y: Tensor) -> Tensor:
    """``x.mT @ y``, differentiable once.

    Args:
        x: (R, H) or (B, R, H).
        y: (R, W) or (B, R, W).

    Returns:
        (H, W) or (B, H, W).
    """
    if not usable(x):
        return x.mT @ y
    result: Tensor = _MatmulT.apply(x, y)  # type: ignore[no-untyped-call]
    return result
