"""SLEM: strictly localised equivariant message passing.

Source: arXiv 2407.06053 (ICLR 2025); its public implementation is the package dptb (method "slem"), whose facts
(order of operations, normalisations) are followed, not its code; parity is tested (`slembench.models.slem.weights`).

Symmetry O3 (default): hidden irreps of both parities. SO3: parity is ignored, as in dptb.
"""

from __future__ import annotations

import torch
from torch import nn

from slembench.models.contract import ReceptiveField
from slembench.models.pair_frame import EdgeContext, PairFrameConfig, PairFrameModel, ResidualWeights, State
from slembench.models.slem.config import SlemConfig
from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState
from slembench.nn.layers import ChannelMixing, NormAffine, ScalarMLP, SeparableNorm
from slembench.nn.update import Residual, SO2Update


class Slem(PairFrameModel):
    """Strictly localised model: an on-site block reads one cutoff, a pair block the union of both spheres."""

    Config = SlemConfig
    name = "slem"

    @property
    def receptive_field(self) -> ReceptiveField:
        """One cutoff around i for on-site blocks, around i and j for pairs; the same for any depth."""
        return ReceptiveField(onsite=self.pair_cutoff, pair=self.pair_cutoff, strict=True, centred=True)

    def build_layers(self, init: Channels, hidden: Channels, out: Channels) -> list[nn.Module]:
        """SLEM layers; edge states of an O3 model hold only irreps that the read-out can use."""
        n, self.init_affine_pair = self.config.n_layers, NormAffine(init)
        befores, afters = [init] + [hidden] * (n - 1), [hidden] * (n - 1) + [out]
        # an O3 read-out never turns an irrep into another one, so edge channels that no block has would be lost work
        usable = hidden.only(out) if self.config.symmetry == "O3" else hidden
        edges = [init] + [usable] * (n - 1) + [out]
        return [
            SlemLayer(self.config, len(self.basis.elements), before, hidden, after, edge_before, edge_after)
            for before, after, edge_before, edge_after in zip(befores, afters, edges, edges[1:])
        ]

    def init_edge_hidden(self, start: FrameState) -> FrameState:
        """Normalised pair features; not enveloped, so that they carry direction up to the cutoff."""
        return self.init_affine_pair.on_frames(self.norm.on_frames(start))


class SlemLayer(nn.Module):
    """One layer: hidden pair state, edge (read-out) state, node state, in this order.

    Args:
        config: hyper-parameters.
        n_species: number of elements.
        before: channels of node and hidden states that come in.
        hidden: channels of the hidden pair state that goes out.
        after: channels of the node state that goes out.
        edge_before: channels of the edge state that comes in.
        edge_after: channels of the edge state that goes out; only what the read-out can use.
    """

    def __init__(
        self,
        config: PairFrameConfig,
        n_species: int,
        before: Channels,
        hidden: Channels,
        after: Channels,
        edge_before: Channels,
        edge_after: Channels,
    ) -> None:
        super().__init__()
        self.before, self.hidden, self.after = before, hidden, after
        self.node_norm, self.hidden_norm_in = SeparableNorm(before), SeparableNorm(before)
        self.hidden_norm_out = SeparableNorm(hidden)
        self.node_affine, self.node_affine_message = NormAffine(before), NormAffine(before)
        self.hidden_affine_in, self.hidden_affine_out = NormAffine(before), NormAffine(hidden)
        options = (config.latent_dim, config.radial_channels, config.symmetry == "O3", config.activation_factors)
        self.hidden_update = SO2Update((before, before), hidden, *options)
        self.edge_update = SO2Update((before, hidden, before), edge_after, *options)
        self.node_update = SO2Update((before, hidden), after, *options)
        self.hidden_residual = ChannelMixing(before, hidden)
        self.edge_residual = ChannelMixing(edge_before, edge_after, config.pair_bias)
        self.node_residual = ChannelMixing(before, after)
        self.latent_norm, self.latent_norm_input = nn.LayerNorm(config.latent_dim), nn.LayerNorm(config.latent_dim)
        self.latent_update = ScalarMLP(
            (2 * n_species + config.latent_dim + hidden.scalars, *config.latent_channels, config.latent_dim),
            config.activation_factors.silu,
        )
        self.shares = ResidualWeights(3, config)

    def forward(self, state: State, ctx: EdgeContext) -> State:
        """New hidden, edge and node states and latent."""
        # factors of update and old state: one pair for each of the layer's residuals
        new, old = self.shares()
        node = self.node_norm.on_nodes(state.node)
        centre, both = (ctx.at_centre,), (ctx.at_centre, ctx.at_neighbour)

        # strict locality: the hidden state of (i, j) reads node i alone, never what j heard from its own neighbours
        hidden, scalars = self.hidden_update(
            node,
            state.hidden_normed or self.hidden_norm_in.on_frames(state.hidden),
            (self.node_affine, self.hidden_affine_in),
            centre,
            (state.latent, self.latent_norm(state.latent)),
            new[0],
            Residual(self.hidden_residual, state.hidden, old[0]),
        )
        update = self.latent_update.forward_concat([ctx.species, self.latent_norm_input(state.latent), scalars])
        # the update of the latent scalars is enveloped, so that they vanish with the pair at the cutoff
        latent = torch.addcmul(old[0] * state.latent, new[0] * ctx.envelope, update)

        hidden_normed = self.hidden_norm_out.on_frames(hidden)
        # node j enters here; edge states lead to the read-out only, so nothing is passed on from j to others
        edge, _ = self.edge_update(
            node,
            hidden_normed,
            (self.node_affine, self.hidden_affine_out),
            both,
            (latent, latent),
            new[1],
            Residual(self.edge_residual, state.edge, old[1]),
        )
        # the message reads the new pair state; summed over the pairs of atom i it updates the node
        message, _ = self.node_update(
            node,
            hidden_normed,
            (self.node_affine_message, self.hidden_affine_out),
            centre,
            (latent, latent),
            new[2],
        )
        node = ctx.aggregate_residual(message, self.after, self.node_residual.on_nodes(state.node), old[2])
        return State(node, hidden, edge, latent, hidden_normed)
