"""Elementwise steps of the update of pair states in torch, in both directions (`nn.update_chunk`).

`c/pointwise.c` has the same formulas for float32 on a CPU. States are (P, C), then (P, 2, C_m) for m = 1, 2, ...
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from slembench.nn.channels import Channels


def _values(product: Tensor, radial: Tensor | None, bias: Tensor | None) -> Tensor:
    if radial is None or bias is None:
        return product
    width = product.shape[1]
    return product * (radial[:, :width] + bias[:width])


def _factors(opened: Tensor, radial: Tensor | None, bias: Tensor | None, end: int) -> tuple[Tensor, Tensor | None]:
    """Factors of one m, gates times radial weights, and the radial weights alone; ``end`` counts the columns so far."""
    if radial is None or bias is None:
        return opened, None
    columns = slice(end, end + opened.shape[1])
    weight = radial[:, columns] + bias[columns]
    return opened * weight, weight


def gate_forward(channels: Channels, product: list[Tensor], radial: Tensor | None, bias: Tensor | None) -> list[Tensor]:
    """SiLU of the true scalars, sigmoid gates on all others, after the radial weights.

    Args:
        channels: of the result.
        product: (P, gates + C), (P, 2, C_m).
        radial: (P, widths of all m) or None | weights of the product's columns.
        bias: (widths of all m,) or None | added to the weights.

    Returns:
        (P, C), (P, 2, C_m).
    """
    s, g = channels.scalars, channels.total - channels.scalars
    values = _values(product[0], radial, bias)
    opened = torch.sigmoid(values[:, :g])
    scalars = torch.nn.functional.silu(values[:, g : g + s])
    gated, end = [torch.cat([scalars, values[:, g + s :] * opened], dim=1)], g + channels.total
    for m, tensor in enumerate(product[1:], start=1):
        factor, _ = _factors(opened[:, channels.first(m) - s :], radial, bias, end)
        gated.append(tensor * factor.unsqueeze(1))
        end += tensor.shape[2]
    return gated


def gate_backward(
    channels: Channels,
    product: list[Tensor],
    radial: Tensor | None,
    bias: Tensor | None,
    slope: list[Tensor],
    of_product: list[Tensor],
) -> tuple[Tensor, Tensor] | None:
    """Gradients of `gate_forward`.

    Args:
        channels: of the result.
        product: as given forward.
        radial: as given forward.
        bias: as given forward.
        slope: gradients of the result.
        of_product: gradients of the product, written.

    Returns:
        Gradients of ``radial`` and ``bias``, or None.
    """
    s, g = channels.scalars, channels.total - channels.scalars
    of_radial = None if radial is None else torch.empty_like(radial)
    values = _values(product[0], radial, bias)
    opened = torch.sigmoid(values[:, :g])
    of_opened, end = slope[0][:, s:] * values[:, g + s :], g + channels.total
    for m, tensor in enumerate(product[1:], start=1):
        start = channels.first(m) - s
        factor, weight = _factors(opened[:, start:], radial, bias, end)
        both = (slope[m] * tensor).sum(dim=1)
        torch.mul(slope[m], factor.unsqueeze(1), out=of_product[m])
        if weight is not None and of_radial is not None:
            torch.mul(both, opened[:, start:], out=of_radial[:, end : end + tensor.shape[2]])
            both *= weight
        of_opened[:, start:] += both
        end += tensor.shape[2]
    of_gates = torch.ops.aten.sigmoid_backward(of_opened, opened)
    of_scalars = torch.ops.aten.silu_backward(slope[0][:, :s], values[:, g : g + s])
    of_values = torch.cat([of_gates, of_scalars, slope[0][:, s:] * opened], dim=1)
    if radial is None or bias is None or of_radial is None:
        of_product[0].copy_(of_values)
        return None
    width = of_values.shape[1]
    torch.mul(of_values, product[0], out=of_radial[:, :width])
    torch.mul(of_values, radial[:, :width] + bias[:width], out=of_product[0])
    return of_radial, of_radial.sum(dim=0)


def weigh_forward(
    channels: Channels,
    mixed: list[Tensor],
    bias: Tensor,
    weights: Tensor,
    constant: Tensor | None,
    result: list[Tensor],
    scalars: Tensor,
) -> None:
    """Channel weights on a state, offsets on its true scalars.

    Args:
        channels: of the state.
        mixed: (P, C), (P, 2, C_m).
        bias: (scalars,) | added to the true scalars of ``mixed`` first.
        weights: (P, C + scalars) | weights and offsets.
        constant: (scalars,) or None | added to the true scalars of the result.
        result: written, the same shapes as ``mixed``.
        scalars: (P, scalars) | written: the true scalars of ``mixed`` with bias.
    """
    s, c = channels.scalars, channels.total
    torch.add(mixed[0][:, :s], bias, out=scalars)
    torch.mul(mixed[0], weights[:, :c], out=result[0])
    torch.addcmul(weights[:, c:], scalars, weights[:, :s], out=result[0][:, :s])
    if constant is not None:
        result[0][:, :s] += constant
    for m, tensor in enumerate(mixed[1:], start=1):
        torch.mul(tensor, weights[:, None, channels.first(m) : c], out=result[m])


def weigh_backward(
    channels: Channels, slope: list[Tensor], kept: Tensor | None, mixed: list[Tensor], bias: Tensor, weights: Tensor
) -> Tensor:
    """Gradients of `weigh_forward`.

    Args:
        channels: of the state.
        slope: gradients of the result.
        kept: gradient of the scalars that it wrote, or None.
        mixed: as given forward; overwritten by its gradient.
        bias: as given forward.
        weights: as given forward.

    Returns:
        Gradient of ``weights``.
    """
    s, c = channels.scalars, channels.total
    of_weights = torch.empty_like(weights)
    mixed[0][:, :s] += bias
    torch.mul(slope[0], mixed[0], out=of_weights[:, :c])
    of_weights[:, c:] = slope[0][:, :s]
    torch.mul(slope[0], weights[:, :c], out=mixed[0])
    if kept is not None:
        mixed[0][:, :s] += kept
    for m, tensor in enumerate(mixed[1:], start=1):
        of_weights[:, channels.first(m) : c] += (slope[m] * tensor).sum(dim=1)
        torch.mul(slope[m], weights[:, None, channels.first(m) : c], out=tensor)
    return of_weights


def hidden_forward(values: Tensor, norm: Sequence[Tensor], eps: float) -> Tensor:
    """SiLU of the layer norm of ``values + bias``.

    Args:
        values: (P, H).
        norm: bias, gain and offset, (H,) each.
        eps: added to the variance.

    Returns:
        (P, H).
    """
    bias, gain, offset = norm
    return torch.nn.functional.silu(torch.nn.functional.layer_norm(values + bias, gain.shape, gain, offset, eps))


def hidden_backward(values: Tensor, norm: Sequence[Tensor], eps: float, slope: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Gradients of `hidden_forward`.

    Args:
        values: as given forward.
        norm: as given forward.
        eps: as given forward.
        slope: (P, H) | gradient of the result.

    Returns:
        Gradient of ``values``, and those of ``bias``, ``gain`` and ``offset``.
    """
    (bias, gain, offset), width = norm, values.shape[1]
    shifted = values + bias
    normed, mean, factor = torch.native_layer_norm(shifted, [width], gain, offset, eps)
    slope = torch.ops.aten.silu_backward(slope, normed)
    result, of_gain, of_offset = torch.ops.aten.native_layer_norm_backward(
        slope, shifted, [width], mean, factor, gain, offset, [True, True, True]
    )
    return result, [result.sum(dim=0), of_gain, of_offset]
