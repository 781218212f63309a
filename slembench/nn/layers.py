"""Equivariant layers on node and frame features: channel mixing, normalisation, gate, channel weights, scalar MLP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from slembench.nn.channels import Channels, linear_paths
from slembench.nn.frames import FrameState, NodeState
from slembench.nn.kernels.elementwise import divide_by_rms, scale_both
from slembench.nn.kernels.matmul import matmul
from slembench.nn.kernels.native import usable
from slembench.nn.kernels.norm import divide_by_norms


def second_moment_factor(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """1 / sqrt(E[f(z)^2]) for a standard normal z; keeps unit variance through an activation.

    By the trapezoidal rule, whose error falls exponentially with the number of points for analytic functions.
    e3nn's `normalize2mom` estimates the same number by sampling and is off by up to 1e-3.

    Example:
        >>> round(second_moment_factor(nn.functional.silu), 4)
        1.6765
        >>> round(second_moment_factor(lambda z: z), 4)
        1.0
    """
    # beyond |z| = 12 the density is below 1e-31, so the ends of the interval do not count
    z = torch.linspace(-12.0, 12.0, 481, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    return 1.0 / math.sqrt(float((function(z).square() * density).sum() * (z[1] - z[0])))


SILU_FACTOR = second_moment_factor(nn.functional.silu)
SIGMOID_FACTOR = second_moment_factor(torch.sigmoid)


class ScalarMLP(nn.Module):
    """Bias-free multilayer perceptron with SiLU and unit-variance weights scaled by 1 / sqrt(fan-in).

    Source: Allegro / SLEM (arXiv 2407.06053) two-body latent networks.

    Args:
        sizes: widths from input to output.
        activation_factor: factor that follows every SiLU.
    """

    def __init__(self, sizes: Sequence[int], activation_factor: float = SILU_FACTOR) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            # uniform on +-sqrt(3) has unit variance
            nn.Parameter(torch.empty(a, b).uniform_(-math.sqrt(3), math.sqrt(3)))
            for a, b in zip(sizes, sizes[1:])
        )
        self.activation_factor = activation_factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., sizes[0]) -> (..., sizes[-1])."""
        return self._hidden_layers(matmul(x, self._scaled(0)))

    def forward_concat(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """`forward` of parts (P, width) that would stand side by side, without putting them there."""
        x: torch.Tensor | None = None
        # [a b c] W = a W_a + b W_b + c W_c
        for part, weight in zip(parts, torch.split(self._scaled(0), [part.shape[1] for part in parts])):
            x = matmul(part, weight) if x is None else x + matmul(part, weight)
        assert x is not None
        return self._hidden_layers(x)

    def _scaled(self, k: int) -> torch.Tensor:
        # y = x W / sqrt(fan-in) keeps unit variance; the activation's own factor is folded into the next matrix
        factor = 1.0 / math.sqrt(self.weights[k].shape[0])
        weight: torch.Tensor = self.weights[k]
        return weight * (factor * self.activation_factor if k else factor)

    def _hidden_layers(self, x: torch.Tensor) -> torch.Tensor:
        for k in range(1, len(self.weights)):
            x = matmul(nn.functional.silu(x), self._scaled(k))
        return x


class ChannelMixing(nn.Module):
    """Linear map among the channels of each (l, parity), with a bias on true scalars; e3nn's `Linear`.

    Example:
        >>> mixing = ChannelMixing(Channels.parse("4x0e+2x1o"), Channels.parse("3x0e+5x1o"))
        >>> node = [torch.ones(7, 1, 4), torch.ones(7, 3, 2)]  # 7 atoms
        >>> [tuple(t.shape) for t in mixing.on_nodes(node)]
        [(7, 1, 3), (7, 3, 5)]
        >>> bool(mixing.matrix()[:4, 3:].any())  # scalars do not mix with vectors
        False

    Args:
        inputs: channels that come in.
        output: channels that go out; (l, parity) without input channels stay zero.
        bias: False for pair states that must vanish where their input does.
    """

    def __init__(self, inputs: Channels, output: Channels, bias: bool = True) -> None:
        super().__init__()
        self.inputs, self.output = inputs, output
        self.paths = linear_paths(inputs, output)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(fan_in, count)) for _, _, fan_in, _, count in self.paths
        )
        self.bias = nn.Parameter(torch.zeros(output.scalars)) if bias else None

    def matrix(self, factor: torch.Tensor | float = 1.0, rows: torch.Tensor | None = None) -> torch.Tensor:
        """(C_in, C_out) | the map among all channels, block by block; zero between different (l, parity).

        Args:
            factor: number that multiplies it.
            rows: (C_in, 1) or None | constants that multiply its rows.
        """
        full: torch.Tensor = _Blocks.apply(self, rows, *self.weights)  # type: ignore[no-untyped-call]
        return full * factor if isinstance(factor, torch.Tensor) or factor != 1.0 else full

    def on_frames(self, state: FrameState) -> FrameState:
        """Frame feature of ``inputs`` -> frame feature of ``output``."""
        matrix = self.matrix()
        result = [matmul(state[0], matrix)]
        if self.bias is not None:
            result[0] = result[0] + nn.functional.pad(self.bias, (0, self.output.total - self.output.scalars))
        for m in range(1, self.output.lmax + 1):
            # m has the channels of l >= m: the lower right corner of the matrix
            result.append(matmul(state[m], matrix[self.inputs.first(m) :, self.output.first(m) :]))
        return result

    def add_to_frames(self, new: FrameState, old: FrameState, factor: torch.Tensor) -> FrameState:
        """``new + factor * map(old)``, one product for each m; for large m ``old`` may be missing (zero)."""
        matrix = self.matrix(factor)
        result = []
        for m, tensor in enumerate(new):
            # pair states begin as m = 0 alone (rotation-invariant in their frame); what is not there is zero
            if m >= len(old) or self.inputs.count_from(m) == 0:
                result.append(tensor)
                continue
            block = matrix[self.inputs.first(m) :, self.output.first(m) :]
            flat = torch.addmm(tensor.reshape(-1, block.shape[1]), old[m].reshape(-1, block.shape[0]), block)
            result.append(flat.reshape(tensor.shape))
        if self.bias is not None:
            scalars = result[0][:, : self.output.scalars] + factor * self.bias
            result[0] = torch.cat([scalars, result[0][:, self.output.scalars :]], dim=1)
        return result

    def on_nodes(self, state: NodeState) -> NodeState:
        """Node feature of ``inputs`` -> node feature of ``output``."""
        matrix = self.matrix()
        result = []
        for l in range(self.output.lmax + 1):
            columns = slice(self.output.first(l), self.output.first(l + 1))
            if l > self.inputs.lmax:
                result.append(state[0].new_zeros(len(state[0]), 2 * l + 1, self.output.counts[l]))
                continue
            result.append(state[l] @ matrix[self.inputs.first(l) : self.inputs.first(l + 1), columns])
        if self.bias is not None:
            result[0] = result[0] + nn.functional.pad(self.bias, (0, self.output.counts[0] - self.output.scalars))
        return result


class _Blocks(torch.autograd.Function):
    """Matrix of a `ChannelMixing` from its weights."""

    @staticmethod
    def forward(ctx: Any, mixing: ChannelMixing, rows: torch.Tensor | None, *weights: torch.Tensor) -> torch.Tensor:
        ctx.paths, ctx.rows = mixing.paths, rows
        full = weights[0].new_zeros(mixing.inputs.total, mixing.output.total)
        for block, weight, (_, _, fan_in, _, _) in zip(_cut(full, mixing.paths), weights, mixing.paths):
            # e3nn's normalisation by element: each output is a sum of fan_in products of unit variance
            torch.mul(weight, 1.0 / math.sqrt(fan_in), out=block)
        return full if rows is None else full.mul_(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad = grad if ctx.rows is None else grad * ctx.rows
        gradients = [block / math.sqrt(path[2]) for block, path in zip(_cut(grad, ctx.paths), ctx.paths)]
        return None, None, *gradients


def _cut(matrix: torch.Tensor, paths: Sequence[tuple[int, int, int, int, int]]) -> list[torch.Tensor]:
    """Blocks of the paths; see `linear_paths`."""
    return [matrix[first : first + n, start : start + count] for _, first, n, start, count in paths]


class SeparableNorm(nn.Module):
    """Layer norm: true scalars centred and divided by their norm, all others by one common root mean square.

    The common norm weighs every (l, parity) alike: the mean over (l, parity) of the mean square over components.
    The learned gain and scalar offset are not applied here but handed to the linear map that follows
    (`SO2Linear.forward`), into whose weights they fold exactly; so one normalised feature serves several maps.
    Source: EquiformerV2's separable layer norm as used by SLEM (arXiv 2407.06053).

    Args:
        channels: of the feature.
        eps: added to the norms.
    """

    weight: torch.Tensor

    def __init__(self, channels: Channels, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        blocks = [b for b in channels.parity_blocks if (b[0], b[1]) != (0, True)]
        weight = torch.zeros(channels.total)
        for l, _, start, count in blocks:
            # mean over blocks of the mean over the (2l + 1) count components of each
            weight[start : start + count] = 1.0 / ((2 * l + 1) * count * len(blocks))
        self.register_buffer("weight", weight, persistent=False)

    def _scalars(self, scalars: torch.Tensor) -> torch.Tensor:
        # only true scalars may be centred: a mean subtracted from other irreps would not commute with rotations
        centred = scalars - scalars.mean(dim=-1, keepdim=True)
        norm: torch.Tensor = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        # by the norm, not by the standard deviation: as dptb does it
        return centred / (norm + self.eps)

    def on_frames(self, state: FrameState) -> FrameState:
        """Normalised frame feature; tensors may be missing for large m (zero)."""
        c = self.channels
        if usable(state[0]):
            return divide_by_norms(c, self.eps, self.weight, state)
        # squares are summed over m as well, which is invariant since the frames are orthogonal
        weights = [self.weight[c.scalars :]] + [self.weight[c.first(m) :] for m in range(1, len(state))]
        rest, *others = divide_by_rms([state[0][:, c.scalars :], *state[1:]], weights, self.eps)
        return [torch.cat([self._scalars(state[0][:, : c.scalars]), rest], dim=1), *others]

    def on_nodes(self, state: NodeState) -> NodeState:
        """Normalised node feature."""
        c = self.channels
        rest = state[0][:, :, c.scalars :]
        square = (rest.square() @ self.weight[c.scalars : c.first(1)]).sum(dim=1)
        for l in range(1, c.lmax + 1):
            square = square + (state[l].square() @ self.weight[c.first(l) : c.first(l + 1)]).sum(dim=1)
        factor = (square + self.eps).rsqrt()[:, None, None]
        first = torch.cat([self._scalars(state[0][:, :, : c.scalars]), rest * factor], dim=2)
        return [first] + [tensor * factor for tensor in state[1:]]


class NormAffine(nn.Module):
    """Gain of every channel and offset of the true scalars that belong to a `SeparableNorm`."""

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self.channels = channels
        self.gain = nn.Parameter(torch.ones(channels.total))
        self.offset = nn.Parameter(torch.zeros(channels.scalars))

    def on_frames(self, state: FrameState) -> FrameState:
        """Applied to a frame feature, where it cannot be folded."""
        c = self.channels
        first = state[0] * self.gain + nn.functional.pad(self.offset, (0, c.total - c.scalars))
        return [first] + [t * self.gain[c.first(m) :] for m, t in enumerate(state[1:], start=1)]

    def on_nodes(self, state: NodeState) -> NodeState:
        """Applied to a node feature."""
        c = self.channels
        scaled = [t * self.gain[c.first(l) : c.first(l + 1)] for l, t in enumerate(state)]
        return [scaled[0] + nn.functional.pad(self.offset, (0, c.counts[0] - c.scalars)), *scaled[1:]]


class ActivationFactors(NamedTuple):
    """Factors that keep unit variance through the activations; e3nn-based models carry sampled values of their own.

    Attributes:
        silu: of scalars and latent networks.
        sigmoid: of gates.
    """

    silu: float = SILU_FACTOR
    sigmoid: float = SIGMOID_FACTOR


def gate(
    state: FrameState,
    channels: Channels,
    weights: FrameState | None = None,
    factors: ActivationFactors | None = None,
    after: torch.Tensor | None = None,
) -> FrameState:
    """SiLU on true scalars, sigmoid gates on all other channels, each with its second-moment factor.

    Args:
        state: frame feature with C - scalars gate channels in front of m = 0 (`SO2Linear` output).
        channels: of the feature without the gates.
        weights: optional radial weights of the product, (P, width) for each m as the m = 0 tensor and one of the
            two of m > 0, applied first.
        factors: of the activations; exact ones by default.
        after: optional (P, C) factors of all channels, applied last.

    Returns:
        Frame feature of ``channels``.
    """
    n_gates = channels.total - channels.scalars
    first = state[0] if weights is None else state[0] * weights[0]
    factors = factors or ActivationFactors()
    # split, not slices: the backward pass of each slice would fill a whole tensor with zeros
    gates, scalars, others = torch.split(first, [n_gates, channels.scalars, n_gates], dim=1)
    gates, scalars = torch.sigmoid(gates), nn.functional.silu(scalars)
    if factors != (1.0, 1.0):
        gates, scalars = gates * factors.sigmoid, scalars * factors.silu
    if after is not None:
        scalars, gates = scalars * after[:, : channels.scalars], gates * after[:, channels.scalars :]
    result = [torch.cat([scalars, others * gates], dim=1)]
    for m, tensor in enumerate(state[1:], start=1):
        factor = gates[:, channels.first(m) - channels.scalars :]
        result.append(scale_both(tensor, factor if weights is None else factor * weights[m]))
    return result
