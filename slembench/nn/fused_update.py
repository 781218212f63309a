"""The whole update of pair states, from the inputs of its SO(2) product to the new state, as one operation.

    product = sum over EdgeFrames of (frames . operands) + states . matrices + bias
    gated   = SiLU(scalars), sigmoid(gates) * others, after the radial weights
    mixed   = gated . mixing + mixing bias
    result  = mixed * channel weights (+ offsets of scalars) + residual . residual mixing

What lies between the product and the result is several times larger than either. So it is not kept for the backward
pass but computed again, some rows at a time. In float32 on a CPU compiled functions do both passes
(`slembench.nn.kernels.update`), which compute the product again, too. Elsewhere the formula stands here in torch,
under `torch.utils.checkpoint`, and the product is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState
from slembench.nn.kernels.elementwise import scale_both
from slembench.nn.kernels.native import usable
from slembench.nn.kernels.update import run_backward, run_forward
from slembench.nn.layers import ActivationFactors, gate
from slembench.nn.update_spec import UpdateInputs, UpdateSpec, nonzero_blocks

UNIT_FACTORS = ActivationFactors(1.0, 1.0)
"""The factors of the activations are in the rows of the mixing matrix already."""


def fused_update(inputs: UpdateInputs, spec: UpdateSpec) -> tuple[FrameState, Tensor]:
    """Update of a pair state; see the module's text.

    Returns:
        (P, C_0), (P, 2, C_m) of the result, and its true scalars (P, scalars) before channel weights and residual.
    """
    if usable(inputs.weights[0]):
        counts, tensors = inputs.flat()
        *state, scalars = _NativeUpdate.apply(spec, counts, *tensors)  # type: ignore[no-untyped-call]
        return state, scalars
    product = _product(inputs, spec)
    parts = [_checkpointed(inputs.rows(rows), spec, [p[rows] for p in product]) for rows in spec.chunks(product[0])]
    *state, scalars = parts[0] if len(parts) == 1 else [torch.cat(same) for same in zip(*parts)]
    return state, scalars


def _product(inputs: UpdateInputs, spec: UpdateSpec) -> list[Tensor]:
    """The SO(2) product: (P, M_0), gates in front, then (P, 2, M_m)."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(spec.output.lmax + 1):
        total = inputs.bias[0] if m == 0 and inputs.bias else None
        if m < len(inputs.states):
            matrix = inputs.matrices[m]
            # an SO(2) matrix of m > 0 acts on (even, odd) at once, an O(2) matrix on each of the two
            flat = inputs.states[m].reshape(-1, len(matrix))
            flat = flat @ matrix if total is None else torch.addmm(total, flat, matrix)
            total = flat.reshape(n, *([2] if m else []), spec.width(m))
        for frames, operands in zip(spec.edge_frames, inputs.operands):
            if m < len(operands):
                part = frames.node_to_edge(m, operands[m])
                total = part if total is None else total + part
        product.append(like.new_zeros(n, *([2] if m else []), spec.width(m)) if total is None else total)
    return product


def _checkpointed(inputs: UpdateInputs, spec: UpdateSpec, product: list[Tensor]) -> tuple[Tensor, ...]:
    """`_from_product` whose intermediate tensors are computed again in the backward pass."""
    result: tuple[Tensor, ...] = checkpoint(
        _from_product,
        inputs,
        spec,
        product,
        use_reentrant=False,  # the other kind finds no gradients of tensors inside lists and dataclasses
        preserve_rng_state=False,  # nothing here is random
    )
    return result


def _from_product(inputs: UpdateInputs, spec: UpdateSpec, product: list[Tensor]) -> tuple[Tensor, ...]:
    """The result's tensors for each m, and the true scalars before channel weights and residual."""
    output, s = spec.output, spec.output.scalars
    radial: list[Tensor] | None = None
    if inputs.radial:
        latent, matrix, bias, gain, offset, last, last_bias = inputs.radial
        hidden = nn.functional.layer_norm(torch.addmm(bias, latent, matrix), gain.shape, gain, offset, spec.eps)
        values = torch.addmm(last_bias, nn.functional.silu(hidden), last)
        radial = list(torch.split(values, [p.shape[-1] for p in product], dim=1))
    gated = gate(product, output, radial, UNIT_FACTORS)
    mixed = [_mix(output, output, m, inputs.mixing[0], tensor) for m, tensor in enumerate(gated)]
    factors, offsets = torch.split(inputs.weights[0] @ inputs.weights[1], [output.total, s], dim=1)
    if len(inputs.residual_mixing) > 1:
        offsets = offsets + inputs.residual_mixing[1]
    scalars, others = torch.split(mixed[0], [s, output.total - s], dim=1)
    scalars = scalars + inputs.mixing[1]
    on_scalars, on_others = torch.split(factors, [s, output.total - s], dim=1)
    result = [torch.cat([torch.addcmul(offsets, scalars, on_scalars), others * on_others], dim=1)]
    result += [scale_both(t, factors[:, output.first(m) :]) for m, t in enumerate(mixed[1:], start=1)]
    for m, old in enumerate(inputs.residual):
        result[m] = result[m] + _mix(spec.old, output, m, inputs.residual_mixing[0], old)
    return *result, scalars


def _mix(inputs: Channels, output: Channels, m: int, matrix: Tensor, source: Tensor) -> Tensor:
    """(..., C_in of m) -> (..., C_out of m), without what is zero in the matrix between ranges of l."""
    matrix = matrix[inputs.first(m) :, output.first(m) :]
    parts = [source[..., rows] @ matrix[rows, columns] for rows, columns in nonzero_blocks(inputs, output, m)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class _NativeUpdate(torch.autograd.Function):
    """The compiled functions: float32 on a CPU."""

    @staticmethod
    def forward(ctx: Any, spec: UpdateSpec, counts: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        tensors = tuple(tensor.contiguous() for tensor in tensors)
        inputs, output = UpdateInputs.of_flat(counts, tensors), spec.output
        product = _product_of_nodes(inputs, spec)
        n = len(product[0])
        result = [product[0].new_empty(n, output.total)]
        result += [product[0].new_empty(n, 2, output.count_from(m)) for m in range(1, output.lmax + 1)]
        scalars = product[0].new_empty(n, output.scalars)
        run_forward(inputs, spec, product, result, scalars)
        ctx.spec, ctx.counts = spec, counts
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return *result, scalars

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        spec = ctx.spec
        inputs = UpdateInputs.of_flat(ctx.counts, ctx.saved_tensors)
        product = _product_of_nodes(inputs, spec)
        grad_product, (*grads, grad_scalars) = [torch.empty_like(p) for p in product], gradients
        grad = [_filled(g, p, spec.output.count_from(m)) for m, (g, p) in enumerate(zip(grads, product))]
        kept = None if grad_scalars is None else grad_scalars.contiguous()
        result = run_backward(inputs, spec, product, grad, kept, grad_product)
        result.operands = [
            [frames.edge_to_node(m, grad_product[m], operand.shape[1]) for m, operand in enumerate(operands)]
            for frames, operands in zip(spec.edge_frames, inputs.operands)
        ]
        return None, None, *result.flat()[1]


def _filled(grad: Tensor | None, product: Tensor, width: int) -> Tensor:
    """Gradient of one tensor of the result; zero where nothing depends on it."""
    if grad is None:
        return product.new_zeros(*product.shape[:-1], width)
    return grad.contiguous()


def _product_of_nodes(inputs: UpdateInputs, spec: UpdateSpec) -> list[Tensor]:
    """What operands and bias contribute to the product; the compiled functions add that of the states."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(spec.output.lmax + 1):
        total: Tensor | None = None
        # the frames of the centres come last: their rows need no reordering, so that they are added in place
        for frames, operands in reversed(list(zip(spec.edge_frames, inputs.operands))):
            if m < len(operands):
                total = frames.node_to_edge(m, operands[m], total)
        if total is None and m == 0 and inputs.bias:
            total = inputs.bias[0].expand(n, -1).clone()
        product.append(like.new_zeros(n, *([2] if m else []), spec.width(m)) if total is None else total)
    return product
