"""Layers of QHNet on node features (N, 2l + 1, C) for l = 0..lmax, C polar channels for every l."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, NodeState
from slembench.nn.functional import segment_sum, shifted_softplus
from slembench.nn.layers import ChannelMixing
from slembench.nn.tensor_products import ChannelBondProduct, ChannelProduct, bond_paths, channel_paths


@dataclass(frozen=True)
class EdgeContext:
    """Geometry and radial functions of the pairs: what all layers read and none changes.

    Attributes:
        frames: of the pairs.
        centre: (P,) int64 | atom i of each pair.
        neighbour: (P,) int64 | atom j of each pair.
        radial: (P, n_radial) | radial functions of the distance.
    """

    frames: Frames
    centre: torch.Tensor
    neighbour: torch.Tensor
    radial: torch.Tensor


class RadialMLP(nn.Module):
    """Bias-free perceptron of one hidden layer with shifted softplus, weights scaled by 1 / sqrt(fan-in) (e3nn's).

    Args:
        sizes: widths from input to output.
        factor: unit-variance factor of the activation.
    """

    def __init__(self, sizes: tuple[int, int, int], factor: float) -> None:
        super().__init__()
        self.first, self.last = (nn.Parameter(torch.randn(a, b)) for a, b in zip(sizes, sizes[1:]))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, sizes[0]) -> (R, sizes[2])."""
        # the activation's factor is folded into the last matrix
        hidden = shifted_softplus(x @ (self.first / math.sqrt(len(self.first))))
        result: torch.Tensor = hidden @ (self.last * (self.factor / math.sqrt(len(self.last))))
        return result


class NormGate(nn.Module):
    """Scalars replaced and all other channels multiplied by a perceptron of scalars and norms.

    Args:
        width: channels of every l.
        lmax: largest l.
    """

    def __init__(self, width: int, lmax: int) -> None:
        super().__init__()
        total = width * (lmax + 1)
        self.network = nn.Sequential(nn.Linear(total, total), nn.SiLU(), nn.Linear(total, total))

    def forward(self, state: NodeState) -> NodeState:
        """Gated state of the same shape."""
        # the gradient of a norm of zero is taken as zero
        norms = [x.square().sum(dim=1).relu().sqrt() for x in state[1:]]
        gates = self.network(torch.cat([state[0][:, 0], *norms], dim=1)).chunk(len(state), dim=1)
        return [gates[0][:, None]] + [x * g[:, None] for x, g in zip(state[1:], gates[1:])]


def invariants(first: NodeState, second: NodeState, scalars: Sequence[torch.Tensor]) -> torch.Tensor:
    """(P, (2 + lmax) C) | two sets of scalars, and inner products of l >= 1 channel by channel, over 2l + 1."""
    # sum over m of a_m b_m is invariant under rotations
    products = [(a * b).sum(dim=1) / a.shape[1] for a, b in zip(first[1:], second[1:])]
    return torch.cat([*(x[:, 0] for x in scalars), *products], dim=1)


def gathered(state: NodeState, index: torch.Tensor) -> NodeState:
    """Rows of all l by index (P,)."""
    return [x.index_select(0, index) for x in state]


def path_factors(paths: Sequence[tuple[int, int, int]]) -> dict[int, float]:
    """l3 -> factor of QHNet's products: e3nn's norm by component and element, path weights sqrt((2 l3 + 1) / paths)."""
    counts: dict[int, int] = {}
    for _, _, l3 in paths:
        counts[l3] = counts.get(l3, 0) + 1
    # first root: path weights of the public code; second: e3nn's norm by element over all paths
    return {l3: math.sqrt((2 * l3 + 1) / n * math.sqrt((2 * l3 + 1) / len(paths))) for l3, n in counts.items()}


class Convolution(nn.Module):
    """Messages x_j (x) Y with weights of distance and of the invariants of both ends, summed into i.

    Args:
        width: channels of every l.
        lmax_in: of the state that comes in: 0 for the first layer, which has no gate and no skip.
        lmax: of the state that goes out and of the harmonics.
        n_radial: radial functions.
        factor: of the shifted softplus.
    """

    def __init__(self, width: int, lmax_in: int, lmax: int, n_radial: int, factor: float) -> None:
        super().__init__()
        self.inputs = Channels((width,) * (lmax_in + 1), (0,) * (lmax_in + 1))
        self.output = Channels((width,) * (lmax + 1), (0,) * (lmax + 1))
        self.width, self.gated = width, lmax_in == lmax
        factors = path_factors(bond_paths(lmax_in, lmax, lmax))
        # the public code takes the harmonics of r_i - r_j, our pair vector is r_j - r_i
        self.product = ChannelBondProduct(lmax_in, lmax, lmax, factors, against=True)
        n_weights = len(self.product.paths) * width
        self.radial = RadialMLP((n_radial, 32, n_weights), factor)
        self.ends = RadialMLP(((lmax_in + 2) * width, 32, n_weights), factor)
        self.after = ChannelMixing(self.output, self.output)
        if self.gated:
            self.gate = NormGate(width, lmax_in)
            self.before, self.compared = (ChannelMixing(self.inputs, self.inputs) for _ in range(2))

    def forward(self, state: NodeState, ctx: EdgeContext) -> NodeState:
        """New node state."""
        compared = self.compared.on_nodes(state) if self.gated else state
        sent = self.before.on_nodes(self.gate(state)) if self.gated else state
        at_centre, at_neighbour = gathered(compared, ctx.centre), gathered(compared, ctx.neighbour)
        # twice the scalars of i, as in the public code
        s = invariants(at_centre, at_neighbour, (at_centre[0], at_centre[0]))
        weights = (self.radial(ctx.radial) * self.ends(s)).reshape(len(s), len(self.product.paths), self.width)
        in_frames = ctx.frames.rotate_in(gathered(sent, ctx.neighbour), self.inputs)
        message = ctx.frames.rotate_out(self.product(in_frames, weights), self.output)
        summed = [segment_sum(x, ctx.centre, len(state[0])) for x in message]
        if not self.gated:
            return self.after.on_nodes(summed)
        updated = self.after.on_nodes([a + b for a, b in zip(summed, sent)])
        return [a + b for a, b in zip(updated, state)]


class PairLayer(nn.Module):
    """Pair state: product x_j (x) x_i of all degrees with weights of distance and invariants; parity is ignored.

    Args:
        width: channels of every l.
        lmax: largest l.
        n_radial: radial functions.
        factor: of the shifted softplus.
    """

    def __init__(self, width: int, lmax: int, n_radial: int, factor: float) -> None:
        super().__init__()
        channels = Channels((width,) * (lmax + 1), (0,) * (lmax + 1))
        self.width = width
        self.gate_before, self.gate_after = NormGate(width, lmax), NormGate(width, lmax)
        self.before, self.compared, self.after = (ChannelMixing(channels, channels) for _ in range(3))
        self.product = ChannelProduct(lmax, path_factors(channel_paths(lmax)))
        n_weights = len(self.product.paths) * width
        self.radial = RadialMLP((n_radial, width, n_weights), factor)
        self.ends = nn.Sequential(nn.Linear((lmax + 2) * width, width), nn.SiLU(), nn.Linear(width, n_weights))

    def forward(self, state: NodeState, old: NodeState | None, ctx: EdgeContext) -> NodeState:
        """New pair state (P rows)."""
        compared = self.compared.on_nodes(state)
        at_centre, at_neighbour = gathered(compared, ctx.centre), gathered(compared, ctx.neighbour)
        s = invariants(at_centre, at_neighbour, (at_centre[0], at_neighbour[0]))
        weights = (self.radial(ctx.radial) * self.ends(s)).reshape(len(s), len(self.product.paths), self.width)
        sent = self.before.on_nodes(self.gate_before(state))
        # 3j symbols without regard to parity: l = 1 (x) l = 1 -> l = 1 mixes polar and axial, so inversion is lost
        product = self.product(gathered(sent, ctx.neighbour), gathered(sent, ctx.centre), weights)
        updated = self.after.on_nodes(self.gate_after(product))
        return updated if old is None else [a + b for a, b in zip(updated, old)]


class OnsiteLayer(nn.Module):
    """On-site state: product of two maps of the node state with itself; parity is ignored.

    Args:
        width: channels of every l.
        lmax: largest l.
    """

    def __init__(self, width: int, lmax: int) -> None:
        super().__init__()
        channels = Channels((width,) * (lmax + 1), (0,) * (lmax + 1))
        self.gate_left, self.gate_right, self.gate_after = (NormGate(width, lmax) for _ in range(3))
        self.left, self.right, self.after = (ChannelMixing(channels, channels) for _ in range(3))
        self.product = ChannelProduct(lmax, path_factors(channel_paths(lmax)))
        self.weights = nn.Parameter(torch.randn(len(self.product.paths), width))

    def forward(self, state: NodeState, old: NodeState | None) -> NodeState:
        """New on-site state (N rows)."""
        left, right = self.left.on_nodes(self.gate_left(state)), self.right.on_nodes(self.gate_right(state))
        product = self.product(left, right, self.weights[None])
        updated = self.after.on_nodes(self.gate_after([a + b for a, b in zip(product, state)]))
        return updated if old is None else [a + b for a, b in zip(updated, old)]
