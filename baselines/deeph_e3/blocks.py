"""Updates of node and pair states: product with the bond's harmonics, gate, radial weights, self-connection, norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState
from slembench.nn.functional import segment_sum
from slembench.nn.graph_norm import GraphNorm, GraphRows
from slembench.nn.layers import ChannelMixing, gate
from slembench.nn.per_type import PairRows, TypedMixing
from slembench.nn.tensor_products import BondProduct, reachable

if TYPE_CHECKING:
    from .config import DeepHE3Config


@dataclass(frozen=True)
class EdgeContext:
    """Geometry and radial functions of the pairs: what all blocks read and none changes.

    Attributes:
        frames: of pairs and self-loops; those of self-loops are the axes of the structure.
        rows: order of pairs and self-loops.
        length: (R,) | Angstrom.
        gaussians: (R, n_gaussians) of the length.
        species: (N,) int64.
        nodes: graph of every atom.
        pairs: graph of every row.
    """

    frames: Frames
    rows: PairRows
    length: torch.Tensor
    gaussians: torch.Tensor
    species: torch.Tensor
    nodes: GraphRows
    pairs: GraphRows


class Convolution(nn.Module):
    """Product with the harmonics of the bond, gate, weights of every channel from the distance.

    Args:
        inputs: channels of the node state (of i, of j) and of the pair state.
        output: channels of the result.
        config: hyper-parameters.
    """

    def __init__(self, inputs: Sequence[Channels], output: Channels, config: DeepHE3Config) -> None:
        super().__init__()
        self.inputs, self.output, self.factors = inputs, output, config.activation_factors
        # every channel but the true scalars has a gate; the products with Y run up to harmonics_lmax
        self.product = BondProduct(inputs, output, output.total - output.scalars, config.harmonics_lmax)
        self.radial = nn.Sequential(
            nn.Linear(config.n_gaussians, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, output.total)
        )

    def forward(self, node: NodeState, pair: FrameState, ctx: EdgeContext) -> FrameState:
        """Result for every pair and self-loop, in its frame."""
        frames, rows = ctx.frames, ctx.rows
        ends = [
            # n_i and n_j in the frame of the pair, where the product with Y is one matrix for each m
            frames.rotate_in([x.index_select(0, atoms) for x in node], self.inputs[0])
            for atoms in (rows.centre, rows.neighbour)
        ]
        product = self.product((*ends, pair), rows.n_loops)
        # weights from the distance come after the gate, one for each channel
        return gate(product, self.output, factors=self.factors, after=self.radial(ctx.gaussians))


class NodeUpdate(nn.Module):
    """Sum of the convolution over all pairs of i and its self-loop, self-connection, norm, skip.

    Args:
        n_species: number of elements.
        node: channels of the node state that comes in.
        pair: channels of the pair state.
        output: channels wanted of the node state that goes out; those that cannot be reached are left out.
        config: hyper-parameters.
    """

    def __init__(self, n_species: int, node: Channels, pair: Channels, output: Channels, config: DeepHE3Config) -> None:
        super().__init__()
        # a first layer of scalars has no axial channels to offer: what cannot be reached would stay zero
        self.output = output = reachable((node, pair), output, config.harmonics_lmax)
        self.before = ChannelMixing(node, node)
        self.convolution = Convolution((node, node, pair), output, config)
        self.after = ChannelMixing(output, output)
        self.self_connection = TypedMixing(node, output, n_species)
        self.norm = GraphNorm(output)
        # a plain sum where the irreps agree, else a linear map of what is common
        self.skip = None if node == output else ChannelMixing(node, output, bias=False)

    def forward(self, node: NodeState, pair: FrameState, ctx: EdgeContext) -> NodeState:
        """New node state."""
        message = self.convolution(self.before.on_nodes(node), pair, ctx)
        # messages of different pairs can only be added in the axes of the structure
        rotated = ctx.frames.rotate_out(message, self.output)
        summed = [segment_sum(x, ctx.rows.centre, len(ctx.species)) for x in rotated]
        own = self.self_connection.on_nodes(node, ctx.species)
        updated = [a + b for a, b in zip(self.after.on_nodes(summed), own)]
        old = node if self.skip is None else self.skip.on_nodes(node)
        return [a + b for a, b in zip(self.norm.on_nodes(updated, ctx.nodes), old)]


class PairUpdate(nn.Module):
    """Convolution, self-connection by the elements of the pair, norm, skip.

    Args:
        n_species: number of elements.
        node: channels of the node state.
        pair: channels of the pair state that comes in.
        output: channels wanted of the pair state that goes out; those that cannot be reached are left out.
        config: hyper-parameters.
    """

    def __init__(self, n_species: int, node: Channels, pair: Channels, output: Channels, config: DeepHE3Config) -> None:
        super().__init__()
        self.output = output = reachable((node, pair), output, config.harmonics_lmax)
        self.before = ChannelMixing(pair, pair)
        self.convolution = Convolution((node, node, pair), output, config)
        self.after = ChannelMixing(output, output)
        self.self_connection = TypedMixing(pair, output, n_species**2)
        self.norm = GraphNorm(output)
        self.skip = None if pair == output else ChannelMixing(pair, output, bias=False)

    def forward(self, node: NodeState, pair: FrameState, ctx: EdgeContext) -> FrameState:
        """New pair state."""
        update = self.after.on_frames(self.convolution(node, self.before.on_frames(pair), ctx))
        own = self.self_connection.on_frames(pair, ctx.rows)
        update = [a + b for a, b in zip(update, own)]
        normed = self.norm.on_frames(update, ctx.frames, ctx.pairs)
        if self.skip is None:
            return [a + b for a, b in zip(normed, pair)]
        return self.skip.add_to_frames(normed, pair, torch.ones((), dtype=pair[0].dtype, device=pair[0].device))
