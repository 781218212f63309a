"""The fused update through the compiled functions (`c/update.c`): float32 on a CPU, some rows after the others."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.kernels.native import compiled
from slembench.nn.update_spec import UpdateInputs, UpdateSpec, l_ranges

_Integers = ctypes.POINTER(ctypes.c_int64)
_Pointers = ctypes.POINTER(ctypes.c_void_p)


class _Feature(ctypes.Structure):
    """`Feature` of `c/update.c`."""

    _fields_ = (("channels", ctypes.c_int64), ("groups", ctypes.c_int64), ("first", _Integers), ("ends", _Integers))


class _Update(ctypes.Structure):
    """`Update` of `c/update.c`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "threads", "top", "scalars", "states", "old", "hidden")),
        *((name, ctypes.c_int64) for name in ("bias", "old_bias", "numbers")),
        ("eps", ctypes.c_float),
        ("output", _Feature),
        ("before", _Feature),
        ("parameters", _Pointers),
        *((name, _Integers) for name in ("inner", "columns", "places")),
        *((name, _Pointers) for name in ("state", "old_state", "product", "latents", "result")),
        ("kept", ctypes.c_void_p),
        *((name, _Pointers) for name in ("grad_state", "grad_old_state", "grad_product", "grad_latents", "grad")),
        ("grad_kept", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
    )


def run_forward(
    inputs: UpdateInputs, spec: UpdateSpec, product: list[Tensor], result: list[Tensor], scalars: Tensor
) -> None:
    """Write the result.

    Args:
        inputs: of the update; all tensors contiguous, float32, on a CPU.
        spec: of the update.
        product: (P, M_0), (P, 2, M_m) | what ends and bias contribute; changed.
        result: (P, C_0), (P, 2, C_m) | written.
        scalars: (P, scalars) | written: the true scalars before channel weights and residual.
    """
    update = _filled(inputs, spec, product)
    update.result, update.kept = _pointers(result), scalars.data_ptr()
    _run("update_forward", update)


def run_backward(
    inputs: UpdateInputs,
    spec: UpdateSpec,
    product: list[Tensor],
    grad: list[Tensor],
    grad_scalars: Tensor | None,
    grad_product: list[Tensor],
) -> UpdateInputs:
    """Gradients of all inputs but the operands.

    Args:
        inputs: of the update.
        spec: of the update.
        product: as given forward.
        grad: gradients of the result.
        grad_scalars: gradient of the scalars, or None.
        grad_product: gradients of the product, written.

    Returns:
        Gradients; no operands.
    """
    update, given = _filled(inputs, spec, product), _parameters(inputs)
    # each thread sums the gradients of parameters by itself; added in order, they are the same in every run
    sums = product[0].new_zeros(torch.get_num_threads(), update.numbers)
    states, old = ([torch.empty_like(t) for t in part] for part in (inputs.states, inputs.residual))
    latents = [torch.empty_like(t) for t in (*inputs.radial[:1], inputs.weights[0])]
    update.grad_state, update.grad_old_state = _pointers(states), _pointers(old)
    # without radial weights there is one latent, and both pointers are to it
    update.grad_latents = _pointers([latents[0], latents[-1]])
    update.grad_product, update.grad, update.sums = _pointers(grad_product), _pointers(grad), sums.data_ptr()
    update.grad_kept = None if grad_scalars is None else grad_scalars.data_ptr()
    _run("update_backward", update)
    total = sums[0] if len(sums) == 1 else sums.sum(dim=0)
    parameters = iter(p.view(t.shape) for p, t in zip(total.split([t.numel() for t in given]), given))
    matrices, bias = ([next(parameters) for _ in part] for part in (inputs.states, inputs.bias))
    radial = [latents[0], *(next(parameters) for _ in inputs.radial[1:])] if inputs.radial else []
    mixing, weights = [next(parameters), next(parameters)], [latents[-1], next(parameters)]
    return UpdateInputs([], states, matrices, bias, radial, mixing, weights, old, list(parameters))


def _parameters(inputs: UpdateInputs) -> list[Tensor]:
    """All matrices and biases, in the order of `c/update.c`."""
    mixing = [*inputs.mixing, inputs.weights[1], *inputs.residual_mixing]
    return [*inputs.matrices, *inputs.bias, *inputs.radial[1:], *mixing]


def _filled(inputs: UpdateInputs, spec: UpdateSpec, product: list[Tensor]) -> _Update:
    """What both directions need."""
    given = _parameters(inputs)
    sizes = [tensor.numel() for tensor in given]
    # the old state may reach beyond the result's lmax
    top = max(spec.output.lmax, spec.old.lmax)
    return _Update(
        rows=len(product[0]),
        threads=torch.get_num_threads(),
        top=spec.output.lmax,
        scalars=spec.output.scalars,
        states=len(inputs.states),
        old=len(inputs.residual),
        hidden=inputs.radial[1].shape[1] if inputs.radial else 0,
        bias=len(inputs.bias),
        old_bias=max(0, len(inputs.residual_mixing) - 1),
        numbers=sum(sizes),
        eps=spec.eps,
        output=_feature(spec.output, spec.output, top),
        before=_feature(spec.old, spec.output, top),
        parameters=_pointers(given),
        inner=_integers([tensor.shape[0] for tensor in given]),
        columns=_integers([tensor.shape[-1] for tensor in given]),
        places=_integers([sum(sizes[:k]) for k in range(len(sizes))]),
        state=_pointers(inputs.states),
        old_state=_pointers(inputs.residual),
        product=_pointers(product),
        latents=_pointers([(inputs.radial or inputs.weights)[0], inputs.weights[0]]),
    )


@cache
def _feature(channels: Channels, output: Channels, top: int) -> _Feature:
    """A feature for `c/update.c`; ``first`` goes on to l = ``top`` + 1, as ranges of l may be the other feature's."""
    ranges = l_ranges(channels, output)
    ends = [ranges[0][0], *(end for _, end in ranges)]
    first = [channels.first(l) for l in range(top + 2)]
    return _Feature(channels.total, len(ranges), _integers(first), _integers(ends))


def _pointers(tensors: Sequence[Tensor]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * max(1, len(tensors)))(*[tensor.data_ptr() for tensor in tensors])


def _integers(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(values))(*values)


def _run(function: str, update: _Update) -> None:
    if not compiled(function)(ctypes.byref(update)):
        raise MemoryError(f"no memory for the blocks of an update of {update.rows} pairs")
