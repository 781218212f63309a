"""LEM: the semi-local variant of SLEM. The pair state is the message, and its update reads both ends.

Source: arXiv 2407.06053; package dptb, method "lem", whose facts are followed, not its code. After L layers an on-site
block reads L + 1 cutoffs, a pair block L cutoffs around both ends: long reach for small, dense molecules.
"""

from __future__ import annotations

import torch
from torch import nn

from slembench.models.contract import ReceptiveField
from slembench.models.lem.config import LemConfig
from slembench.models.pair_frame import EdgeContext, PairFrameConfig, PairFrameModel, ResidualWeights, State
from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState
from slembench.nn.layers import ChannelMixing, NormAffine, ScalarMLP, SeparableNorm
from slembench.nn.update import Residual, SO2Update


class Lem(PairFrameModel):
    """Semi-local model: every layer widens the receptive field by one cutoff."""

    Config = LemConfig
    name = "lem"

    @property
    def receptive_field(self) -> ReceptiveField:
        """L + 1 cutoffs around i for on-site blocks, L cutoffs around i and j for pairs."""
        n = self.config.n_layers
        return ReceptiveField(onsite=(n + 1) * self.pair_cutoff, pair=n * self.pair_cutoff, strict=False, centred=True)

    def build_layers(self, init: Channels, hidden: Channels, out: Channels) -> list[nn.Module]:
        """LEM layers."""
        n = self.config.n_layers
        befores, afters = [init] + [hidden] * (n - 1), [hidden] * (n - 1) + [out]
        return [LemLayer(self.config, len(self.basis.elements), a, b) for a, b in zip(befores, afters)]

    def init_edge_hidden(self, start: FrameState) -> FrameState:
        """LEM has no hidden pair states."""
        return []


class LemLayer(nn.Module):
    """One layer: pair state, then node state.

    Args:
        config: hyper-parameters.
        n_species: number of elements.
        before: channels that come in.
        after: channels that go out.
    """

    def __init__(self, config: PairFrameConfig, n_species: int, before: Channels, after: Channels) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.node_norm, self.edge_norm_in, self.edge_norm_out = (SeparableNorm(c) for c in (before, before, after))
        self.node_affine, self.node_affine_message = NormAffine(before), NormAffine(before)
        self.edge_affine_in, self.edge_affine_out = NormAffine(before), NormAffine(after)
        options = (config.latent_dim, config.radial_channels, config.symmetry == "O3", config.activation_factors)
        self.edge_update = SO2Update((before, before, before), after, *options)
        self.node_update = SO2Update((before, after), after, *options)
        self.edge_residual = ChannelMixing(before, after, config.pair_bias)
        self.node_residual = ChannelMixing(before, after)
        self.latent_norm = nn.LayerNorm(config.latent_dim)
        self.latent_update = ScalarMLP(
            (2 * n_species + config.latent_dim + after.scalars, *config.latent_channels, config.latent_dim),
            config.activation_factors.silu,
        )
        self.shares = ResidualWeights(2, config)

    def forward(self, state: State, ctx: EdgeContext) -> State:
        """New edge and node states and latent."""
        # factors of update and old state: one pair for each of the layer's residuals
        new, old = self.shares()
        node = self.node_norm.on_nodes(state.node)

        # the pair state reads nodes i and j and is the next message: the receptive field grows by a cutoff a layer
        edge, scalars = self.edge_update(
            node,
            self.edge_norm_in.on_frames(state.edge),
            (self.node_affine, self.edge_affine_in),
            (ctx.at_centre, ctx.at_neighbour),
            (state.latent, state.latent),
            new[0],
            Residual(self.edge_residual, state.edge, old[0]),
        )
        update = self.latent_update.forward_concat([ctx.species, self.latent_norm(state.latent), scalars])
        # the update of the latent scalars is enveloped, so that they vanish with the pair at the cutoff
        latent = torch.addcmul(old[0] * state.latent, new[0] * ctx.envelope, update)

        # the message reads the new pair state; summed over the pairs of atom i it updates the node
        message, _ = self.node_update(
            node,
            self.edge_norm_out.on_frames(edge),
            (self.node_affine_message, self.edge_affine_out),
            (ctx.at_centre,),
            (latent, latent),
            new[1],
        )
        node = ctx.aggregate_residual(message, self.after, self.node_residual.on_nodes(state.node), old[1])
        return State(node, [], edge, latent)
