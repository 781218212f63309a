"""The whole update of pair states as one differentiable operation that works through the pairs in cache-sized chunks.

    product = sum over ends of (frames . operands) + states . matrices + bias
    gated = SiLU(scalars), others * sigmoid(gates), after the radial weights
    mixed = gated . mixing + mixing bias
    result = mixed * channel weights (+ offsets of scalars) + residual . residual matrices

Elementwise steps of a chunk find their operands in cache, and the backward pass keeps only the product: everything
behind it is computed again, which costs less than fetching it from memory. The plain formulation is the reference of
the tests.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from slembench.nn.frames import FrameState
from slembench.nn.update_chunk import UpdateChunk
from slembench.nn.update_shape import UpdateInputs, UpdateShape, components, rows_of


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
        inputs = UpdateInputs.of_flat(counts, tensors)
        product = _start_product(inputs, shape)
        n, output = len(product[0]), shape.output
        result = [product[0].new_empty(n, output.total)]
        result += [result[0].new_empty(n, 2, output.count_from(m)) for m in range(1, output.lmax + 1)]
        scalars = result[0].new_empty(n, output.scalars)
        for rows in shape.chunks(product[0]):
            _add_states(inputs, shape, product, rows)
            chunk = UpdateChunk(inputs, shape, product, rows)
            scalars[rows] = chunk.mixed[0][:, : output.scalars]
            chunk.write(result)
        ctx.shape, ctx.counts = shape, counts
        ctx.save_for_backward(*tensors, *product)
        return *result, scalars

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        shape, counts = ctx.shape, ctx.counts
        inputs = UpdateInputs.of_flat(counts, ctx.saved_tensors[: sum(counts)])
        product = list(ctx.saved_tensors[sum(counts) :])
        result = _empty_gradients(inputs)
        slopes = [torch.empty_like(p) for p in product]
        for rows in shape.chunks(product[0]):
            chunk = UpdateChunk(inputs, shape, product, rows)
            chunk.backward([g[rows] for g in gradients], result, [s[rows_of(s, rows)] for s in slopes])
            _states_backward(inputs, shape, slopes, rows, result)
        result.operands = [
            [end.collect(m, components(slopes[m]), operand.shape[1]) for m, operand in enumerate(operands)]
            for end, operands in zip(shape.ends, inputs.operands)
        ]
        return None, None, *result.flat()[1]


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


# -- the product ------------------------------------------------------------------------------------------------------


def _start_product(inputs: UpdateInputs, shape: UpdateShape) -> list[Tensor]:
    """What the ends contribute to the product (zero where there is none): (P, M_0), (2, P, M_m), components first."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(shape.output.lmax + 1):
        total = like.new_empty(2, n, shape.width(m)) if m else like.new_empty(n, shape.width(m))
        started = False
        for end, operands in zip(shape.ends, inputs.operands):
            if m < len(operands):
                for target, part in zip(components(total), end.spread(m, operands[m])):
                    target.add_(part) if started else target.copy_(part)
                started = True
        product.append(total if started else total.zero_())
    return product


def _flat(state: Tensor, rows: slice) -> Tensor:
    return state[rows].flatten(1)


def _columns(matrix: Tensor, component: int) -> Tensor:
    half = matrix.shape[1] // 2
    return matrix[:, component * half : (component + 1) * half]


def _add_states(inputs: UpdateInputs, shape: UpdateShape, product: list[Tensor], rows: slice) -> None:
    """Add states . matrices and the bias to the rows of the product."""
    product[0][rows] += inputs.bias[0]
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        for c, target in enumerate(components(product[m])):
            if m and shape.paired:
                target[rows].addmm_(_flat(state, rows), _columns(matrix, c))
            else:
                target[rows].addmm_(state[rows, c] if m else state[rows], matrix)


def _states_backward(
    inputs: UpdateInputs, shape: UpdateShape, slopes: list[Tensor], rows: slice, result: UpdateInputs
) -> None:
    """Gradients of states, matrices and bias from those of the product (``slopes``)."""
    result.bias[0] += slopes[0][rows].sum(dim=0)
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        for c, slope in enumerate(components(slopes[m])):
            if m and shape.paired:
                target = _flat(result.states[m], rows)
                if c:
                    target.addmm_(slope[rows], _columns(matrix, c).T)
                else:
                    torch.mm(slope[rows], _columns(matrix, c).T, out=target)
                _columns(result.matrices[m], c).addmm_(_flat(state, rows).T, slope[rows])
            else:
                own = (rows, c) if m else (rows,)
                torch.mm(slope[rows], matrix.T, out=result.states[m][own])
                result.matrices[m].addmm_(state[own].T, slope[rows])
