"""The whole update of pair states as one differentiable operation.

    product = sum over ends of (frames . operands) + states . matrices + bias
    gated = SiLU(scalars), others * sigmoid(gates), after the radial weights
    mixed = gated . mixing + mixing bias
    result = mixed * channel weights (+ offsets of scalars) + residual . residual matrices

The backward pass computes again what was between the inputs and the result, which takes less memory and not much more
time than keeping it. In float32 on a CPU compiled functions do it (`nn.native_update`), otherwise torch
(`nn.update_chunk`), which keeps the product. The plain formulation is the reference of the tests.

What follows the product in the fused update (`nn.fused_update`), for some rows, in both directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState
from slembench.nn.kernels.native import usable
from slembench.nn.kernels.pointwise import (
    gate_backward,
    gate_forward,
    hidden_backward,
    hidden_forward,
    weigh_backward,
    weigh_forward,
)
from slembench.nn.kernels.update import run_backward, run_forward
from slembench.nn.update_spec import UpdateInputs, UpdateSpec, nonzero_blocks


class UpdateChunk:
    """Everything between product and result for some rows, computed alike in both directions.

    Args:
        inputs: of the update.
        shape: of the update.
        product: (P, M_0), (P, 2, M_m).
        rows: to work on.
    """

    def __init__(self, inputs: UpdateInputs, shape: UpdateSpec, product: list[Tensor], rows: slice) -> None:
        self.inputs, self.shape, self.rows = inputs, shape, rows
        self.product = [p[rows] for p in product]
        self.radial: Tensor | None = None
        self.radial_bias: Tensor | None = None
        if inputs.radial:
            latent, matrix, *norm, weight, self.radial_bias = inputs.radial
            self.first_step = torch.mm(latent[rows], matrix)
            self.hidden = hidden_forward(self.first_step, norm, shape.eps)
            self.radial = torch.mm(self.hidden, weight)
        output = shape.output
        self.gated = gate_forward(output, self.product, self.radial, self.radial_bias)
        self.mixed = [torch.empty_like(tensor) for tensor in self.gated]
        for m, (tensor, target) in enumerate(zip(self.gated, self.mixed)):
            _mix(output, output, m, inputs.mixing[0], tensor, target)
        self.weights = torch.mm(inputs.weights[0][rows], inputs.weights[1])

    def write(self, result: list[Tensor], scalars: Tensor) -> None:
        """Write the result's rows, and the true scalars before channel weights and residual."""
        inputs, target = self.inputs, [r[self.rows] for r in result]
        constant = inputs.residual_mixing[1] if len(inputs.residual_mixing) > 1 else None
        bias, output = inputs.mixing[1], self.shape.output
        weigh_forward(output, self.mixed, bias, self.weights, constant, target, scalars[self.rows])
        for m, old in enumerate(inputs.residual):
            _mix(self.shape.old, output, m, inputs.residual_mixing[0], old[self.rows], target[m], add=True)

    def backward(
        self, slope: list[Tensor], of_scalars: Tensor | None, result: UpdateInputs, of_product: list[Tensor]
    ) -> None:
        """Add to the gradients of all but the product's inputs, and write those of the product.

        Args:
            slope: gradients of the result's rows for each m.
            of_scalars: gradients of the scalars' rows, or None.
            result: gradients of the inputs, added to.
            of_product: rows of the product's gradients, written.
        """
        inputs, output, s = self.inputs, self.shape.output, self.shape.output.scalars
        for m, old in enumerate(inputs.residual):
            arguments = (inputs.residual_mixing[0], old[self.rows], slope[m])
            _unmix(self.shape.old, output, m, *arguments, result.residual[m][self.rows], result.residual_mixing[0])
        if len(result.residual_mixing) > 1:
            result.residual_mixing[1] += slope[0][:, :s].sum(dim=0)
        of_weights = weigh_backward(output, slope, of_scalars, self.mixed, inputs.mixing[1], self.weights)
        latent, matrix = inputs.weights
        torch.mm(of_weights, matrix.T, out=result.weights[0][self.rows])
        result.weights[1].addmm_(latent[self.rows].T, of_weights)
        result.mixing[1] += self.mixed[0][:, :s].sum(dim=0)
        of_gated = [torch.empty_like(tensor) for tensor in self.gated]
        for m, (value, tensor) in enumerate(zip(self.gated, self.mixed)):
            _unmix(output, output, m, inputs.mixing[0], value, tensor, of_gated[m], result.mixing[0])
        of_radial = gate_backward(output, self.product, self.radial, self.radial_bias, of_gated, of_product)
        if of_radial is not None:
            self._radial_backward(*of_radial, result)

    def _radial_backward(self, of_radial: Tensor, of_bias: Tensor, result: UpdateInputs) -> None:
        """Gradients of the radial network from those of its values and of its last bias."""
        latent, matrix, *norm, weight, _ = self.inputs.radial
        of_latent, of_matrix, *of_norm, of_weight, of_last = result.radial
        of_hidden = torch.mm(of_radial, weight.T)
        of_weight.addmm_(self.hidden.T, of_radial)
        of_last += of_bias
        of_first, sums = hidden_backward(self.first_step, norm, self.shape.eps, of_hidden)
        for total, part in zip(of_norm, sums):
            total += part
        torch.mm(of_first, matrix.T, out=of_latent[self.rows])
        of_matrix.addmm_(latent[self.rows].T, of_first)


def _mix(
    inputs: Channels, output: Channels, m: int, matrix: Tensor, source: Tensor, target: Tensor, add: bool = False
) -> None:
    """Write (or add) the mixed channels of one m into ``target``."""
    matrix = matrix[inputs.first(m) :, output.first(m) :]
    source, target = source.view(-1, source.shape[-1]), target.view(-1, target.shape[-1])
    for a, b in nonzero_blocks(inputs, output, m):
        if add:
            target[:, b].addmm_(source[:, a], matrix[a, b])
        else:
            torch.mm(source[:, a], matrix[a, b], out=target[:, b])


def _unmix(
    inputs: Channels, output: Channels, m: int, matrix: Tensor, source: Tensor, slope: Tensor, of_source: Tensor,
    of_matrix: Tensor,
) -> None:  # fmt: skip
    """Gradients of `_mix`: of its source written, of its matrix added to."""
    matrix, of_matrix = (t[inputs.first(m) :, output.first(m) :] for t in (matrix, of_matrix))
    source, slope, of_source = (t.view(-1, t.shape[-1]) for t in (source, slope, of_source))
    for a, b in nonzero_blocks(inputs, output, m):
        torch.mm(slope[:, b], matrix[a, b].T, out=of_source[:, a])
        of_matrix[a, b].addmm_(source[:, a].T, slope[:, b])


def fused_update(inputs: UpdateInputs, shape: UpdateSpec) -> tuple[FrameState, Tensor]:
    """Update of a pair state; see the module's text.

    Returns:
        (P, C_0), (P, 2, C_m) of the result, and its true scalars (P, scalars) before channel weights and residual.
    """
    counts, tensors = inputs.flat()
    *state, scalars = _Update.apply(shape, counts, *tensors)  # type: ignore[no-untyped-call]
    return state, scalars


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: UpdateSpec, counts: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
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
            [end.edge_to_node(m, of_product[m], operand.shape[1]) for m, operand in enumerate(operands)]
            for end, operands in zip(shape.edge_frames, inputs.operands)
        ]
        return None, None, *result.flat()[1]


def _backward(
    inputs: UpdateInputs,
    shape: UpdateSpec,
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


def _start_product(inputs: UpdateInputs, shape: UpdateSpec) -> list[Tensor]:
    """What ends and bias contribute to the product: (P, M_0), then (P, 2, M_m)."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(shape.output.lmax + 1):
        total: Tensor | None = None
        for end, operands in reversed(
            list(zip(shape.edge_frames, inputs.operands))
        ):  # the centre, in place, comes last
            if m < len(operands):
                total = end.node_to_edge(m, operands[m], total)
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
