"""The whole update of pair states as one differentiable operation.

    product = sum over ends of (frames . operands) + states . matrices + bias
    gated = SiLU(scalars), others * sigmoid(gates), after the radial weights
    mixed = gated . mixing + mixing bias
    result = mixed * channel weights (+ offsets of scalars) + residual . residual matrices

The backward pass computes again what was between the inputs and the result, which takes less memory and not much more
time than keeping it. In float32 on a CPU compiled functions do it (`nn.native_update`), otherwise torch
(`nn.update_chunk`), which keeps the product. The plain formulation is the reference of the tests.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from slembench.nn.frames import FrameState
from slembench.nn.native import usable
from slembench.nn.native_update import run_backward, run_forward
from slembench.nn.update_chunk import UpdateChunk
from slembench.nn.update_shape import UpdateInputs, UpdateShape


def fused_update(inputs: UpdateInputs, shape: UpdateShape) -> tuple[FrameState, Tensor]:
    """Update of a pair state; see the module's text.

    Returns:
        (P, C_0), (P, 2, C_m) of the result, and its true scalars (P, scalars) before channel weights and residual.
    """
    counts, tensors = inputs.flat()
    *state, scalars = _Update.apply(shape, counts, *tensors)  # type: ignore[no-untyped-call]
    return state, scalars


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: UpdateShape, counts: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        tensors = tuple(tensor.contiguous() for tensor in tensors)
        inputs = UpdateInputs.of_flat(counts, tensors)
        product = _start_product(inputs, shape)
        n, output = len(product[0]), shape.output
        result = [product[0].new_empty(n, output.total)]
        result += [product[0].new_empty(n, 2, output.count_from(m)) for m in range(1, output.lmax + 1)]
        scalars = product[0].new_empty(n, output.scalars)
        if usable(scalars):
            run_forward(inputs, shape, product, result, scalars)
        else:
            for rows in shape.chunks(product[0]):
                _add_states(inputs, product, rows)
                UpdateChunk(inputs, shape, product, rows).write(result, scalars)
        ctx.shape, ctx.counts = shape, counts
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *([] if usable(scalars) else product))
        return *result, scalars

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        shape, counts = ctx.shape, ctx.counts
        inputs = UpdateInputs.of_flat(counts, ctx.saved_tensors[: sum(counts)])
        product = list(ctx.saved_tensors[sum(counts) :]) or _start_product(inputs, shape)
        of_product, (*slopes, of_scalars) = [torch.empty_like(p) for p in product], gradients
        slope = [_whole(s, p, shape.output.count_from(m)) for m, (s, p) in enumerate(zip(slopes, product))]
        kept = None if of_scalars is None else of_scalars.contiguous()
        run = run_backward if usable(product[0]) else _backward
        result = run(inputs, shape, product, slope, kept, of_product)
        result.operands = [
            [end.collect(m, of_product[m], operand.shape[1]) for m, operand in enumerate(operands)]
            for end, operands in zip(shape.ends, inputs.operands)
        ]
        return None, None, *result.flat()[1]


def _backward(
    inputs: UpdateInputs,
    shape: UpdateShape,
    product: list[Tensor],
    slope: list[Tensor],
    of_scalars: Tensor | None,
    of_product: list[Tensor],
) -> UpdateInputs:
    """`native_update.run_backward` in torch."""
    result = _empty_gradients(inputs)
    for rows in shape.chunks(product[0]):
        part, own = [p[rows] for p in of_product], None if of_scalars is None else of_scalars[rows]
        UpdateChunk(inputs, shape, product, rows).backward([s[rows] for s in slope], own, result, part)
        _product_backward(inputs, part, rows, result)
    return result


def _whole(slope: Tensor | None, product: Tensor, width: int) -> Tensor:
    """Gradient of one tensor of the result; zero where nothing depends on it."""
    if slope is None:
        return product.new_zeros(*product.shape[:-1], width)
    return slope.contiguous()


def _rows(tensor: Tensor, width: int) -> Tensor:
    return tensor.view(-1, width)


def _empty_gradients(inputs: UpdateInputs) -> UpdateInputs:
    """Gradients to fill in: sums over rows start at zero, rows are written whole."""
    return UpdateInputs(
        operands=[],
        states=[torch.empty_like(t) for t in inputs.states],
        matrices=[torch.zeros_like(t) for t in inputs.matrices],
        bias=[torch.zeros_like(t) for t in inputs.bias],
        radial=[torch.zeros_like(t) if k else torch.empty_like(t) for k, t in enumerate(inputs.radial)],
        mixing=[torch.zeros_like(t) for t in inputs.mixing],
        weights=[torch.zeros_like(t) if k else torch.empty_like(t) for k, t in enumerate(inputs.weights)],
        residual=[torch.empty_like(t) for t in inputs.residual],
        residual_mixing=[torch.zeros_like(t) for t in inputs.residual_mixing],
    )


def _start_product(inputs: UpdateInputs, shape: UpdateShape) -> list[Tensor]:
    """What ends and bias contribute to the product: (P, M_0), then (P, 2, M_m)."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(shape.output.lmax + 1):
        total: Tensor | None = None
        for end, operands in reversed(list(zip(shape.ends, inputs.operands))):  # the centre, in place, comes last
            if m < len(operands):
                total = end.spread(m, operands[m], total)
        if total is None and m == 0 and inputs.bias:
            total = inputs.bias[0].expand(n, -1).clone()
        product.append(like.new_zeros(n, *([2] if m else []), shape.width(m)) if total is None else total)
    return product


def _add_states(inputs: UpdateInputs, product: list[Tensor], rows: slice) -> None:
    """Add states . matrices to the rows of the product."""
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        _rows(product[m][rows], matrix.shape[1]).addmm_(_rows(state[rows], len(matrix)), matrix)


def _product_backward(inputs: UpdateInputs, slope: list[Tensor], rows: slice, result: UpdateInputs) -> None:
    """Gradients of states, matrices and bias from those of the product's rows."""
    for bias in result.bias:
        bias += slope[0].sum(dim=0)
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        own = _rows(slope[m], matrix.shape[1])
        torch.mm(own, matrix.T, out=_rows(result.states[m][rows], len(matrix)))
        result.matrices[m].addmm_(_rows(state[rows], len(matrix)).T, own)
