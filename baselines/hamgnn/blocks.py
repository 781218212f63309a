"""Layers of HamGNN: messages from products with the bond's harmonics, gated residual blocks, skips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState
from slembench.nn.functional import SOFTPLUS_FACTOR, TANH_FACTOR, segment_sum, shifted_softplus
from slembench.nn.kernels.elementwise import scale_both
from slembench.nn.layers import ChannelMixing, ScalarMLP
from slembench.nn.tensor_products import BondProduct


@dataclass(frozen=True)
class EdgeContext:
    """Geometry and radial functions of the pairs: what all layers read and none changes.

    Attributes:
        frames: of the pairs.
        centre: (P,) int64 | atom i of each pair.
        neighbour: (P,) int64 | atom j of each pair.
        radial: (P, n_bessel) | radial functions of the distance, times the cutoff function.
    """

    frames: Frames
    centre: torch.Tensor
    neighbour: torch.Tensor
    radial: torch.Tensor


class Message(nn.Module):
    """Products of (n_i, n_j) and of the pair state with Y, added, times weights from the distance, mixed.

    Args:
        channels: of nodes, pairs and the message.
        lmax: of the harmonics.
        radial: widths of the radial network without its last one.
    """

    def __init__(self, channels: Channels, lmax: int, radial: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.of_nodes = BondProduct((channels, channels), channels, 0, lmax, split=False)
        self.of_pairs = BondProduct((channels,), channels, 0, lmax, split=False)
        self.radial = ScalarMLP((*radial, channels.total))
        self.mixing = ChannelMixing(channels, channels, bias=False)

    def forward(self, first: NodeState, second: NodeState, pair: FrameState, ctx: EdgeContext) -> FrameState:
        """Message of every pair, in its frame; ``first`` is read at i, ``second`` at j."""
        ends = [
            ctx.frames.rotate_in([x.index_select(0, atoms) for x in node], self.channels)
            for node, atoms in ((first, ctx.centre), (second, ctx.neighbour))
        ]
        weights = self.radial(ctx.radial)
        # lite_mode: one weight for every path of the products, the distance acts on the channels of their sum alone
        total = [a + b for a, b in zip(self.of_nodes(ends), self.of_pairs([pair]))]
        scaled = [total[0] * weights]
        for m, tensor in enumerate(total[1:], start=1):
            scaled.append(scale_both(tensor, weights[:, self.channels.first(m) :]))
        return self.mixing.on_frames(scaled)


class GatedResidual(nn.Module):
    """x + linear(gate(linear(x))): shifted softplus on 0e and on the gates, tanh on 0o.

    Args:
        channels: of x.
    """

    def __init__(self, channels: Channels) -> None:
        super().__init__()
        self.channels = channels
        self.gates = nn.Linear(channels.scalars, channels.total - channels.counts[0], bias=False)
        self.first, self.last = (ChannelMixing(channels, channels, bias=False) for _ in range(2))

    def _activated(self, scalars: torch.Tensor) -> torch.Tensor:
        # 0o changes sign under inversion, so its activation must be odd: tanh; 0e may have any
        even, odd = scalars[..., : self.channels.scalars], scalars[..., self.channels.scalars :]
        return torch.cat([shifted_softplus(even) * SOFTPLUS_FACTOR, torch.tanh(odd) * TANH_FACTOR], dim=-1)

    def _factors(self, scalars: torch.Tensor) -> torch.Tensor:
        """(R, C - C_0) | gates of all channels with l > 0, from the true scalars (R, C_0e)."""
        gates: torch.Tensor = shifted_softplus(self.gates(scalars)) * SOFTPLUS_FACTOR
        return gates

    def on_nodes(self, state: NodeState) -> NodeState:
        """The same shape."""
        c = self.channels
        # the gates read x itself, not the map of it
        factors = self._factors(state[0][:, 0, : c.scalars])
        mixed = self.first.on_nodes(state)
        gated = [self._activated(mixed[0])]
        for l in range(1, c.lmax + 1):
            gated.append(mixed[l] * factors[:, None, c.first(l) - c.counts[0] : c.first(l + 1) - c.counts[0]])
        return [a + b for a, b in zip(state, self.last.on_nodes(gated))]

    def on_frames(self, state: FrameState) -> FrameState:
        """The same shape."""
        c = self.channels
        n0 = c.counts[0]
        factors = self._factors(state[0][:, : c.scalars])
        mixed = self.first.on_frames(state)
        gated = [torch.cat([self._activated(mixed[0][:, :n0]), mixed[0][:, n0:] * factors], dim=1)]
        for m, tensor in enumerate(mixed[1:], start=1):
            gated.append(scale_both(tensor, factors[:, c.first(m) - n0 :]))
        return [a + b for a, b in zip(state, self.last.on_frames(gated))]


class Layer(nn.Module):
    """Node update by the sum of messages, then pair update by a message.

    Args:
        channels: of nodes and pairs.
        lmax: of the harmonics.
        radial: widths of the radial networks without their last one.
    """

    def __init__(self, channels: Channels, lmax: int, radial: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.to_node, self.to_pair = (Message(channels, lmax, radial) for _ in range(2))
        self.residual = GatedResidual(channels)
        mixings = (ChannelMixing(channels, channels, bias=False) for _ in range(4))
        self.skip_node, self.skip_pair, self.at_centre, self.at_neighbour = mixings

    def forward(self, node: NodeState, pair: FrameState, ctx: EdgeContext) -> tuple[NodeState, FrameState]:
        """New node and pair states."""
        message = ctx.frames.rotate_out(self.to_node(node, node, pair, ctx), self.channels)
        # a sum, not a mean: an atom with more neighbours gets larger messages, as in the public code
        summed = [segment_sum(x, ctx.centre, len(node[0])) for x in message]
        node = [a + b for a, b in zip(self.residual.on_nodes(summed), self.skip_node.on_nodes(node))]
        ends = self.at_centre.on_nodes(node), self.at_neighbour.on_nodes(node)
        new = self.to_pair(*ends, pair, ctx)
        return node, [a + b for a, b in zip(new, self.skip_pair.on_frames(pair))]
