"""SLEM: strictly localised equivariant message passing.

Source: arXiv 2407.06053 (ICLR 2025); its public implementation is the package dptb (method "slem"), whose facts
(order of operations, normalisations) are followed, not its code. What is done to pair states commutes with the
rotation into the pair's frame, so they live there through all layers: the Wigner matrices are built once a
structure, node states are rotated in and messages out once a layer, and the read-out rotates once.

Symmetry O3 (default): hidden irreps of both parities. SO3: parity is ignored, as in dptb.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from slembench.data.graph import OperatorGraph
from slembench.errors import ConfigError
from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField, type_cutoffs
from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState, pair_frames
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine, ScalarMLP, SeparableNorm
from slembench.nn.pack import Packing
from slembench.nn.radial import BesselBasis, polynomial_envelope
from slembench.nn.readout import OperatorFeatures
from slembench.nn.segment import segment_sum
from slembench.nn.update import SO2Update
from slembench.orbitals import Basis


class SlemConfig(ModelConfig):
    """Hyper-parameters of SLEM."""

    symmetry: Literal["O3", "SO3"] = Field("O3", description="exact symmetry; SO3 ignores parity as dptb does")
    irreps_hidden: str = Field(
        "32x0e+8x0o+16x1o+16x1e+16x2e+8x2o+8x3o+4x3e+4x4e+4x4o",
        description="e3nn irreps of node and pair states; O3 wants both parities",
    )
    init_multiplicity: int = Field(16, ge=1, description="copies of every l in the initial states")
    n_layers: int = Field(3, ge=1)
    n_bessel: int = Field(10, ge=1, description="radial Bessel functions")
    envelope_power: int = Field(6, ge=2, description="p of the polynomial envelope")
    latent_dim: int = Field(64, ge=1, description="width of the two-body latent scalar")
    latent_channels: tuple[int, ...] = Field((64,), description="hidden widths of the latent networks")
    radial_channels: int | None = Field(32, ge=1, description="width of the products' radial weights; null: none")
    residual_ratio: float = Field(0.5, gt=0, lt=1, description="s of new*s/sqrt(1+s^2) + old/sqrt(1+s^2)")
    learnable_residual: bool = False
    pair_bias: bool = Field(
        False, description="bias of the pair scalars, as in dptb; it makes blocks step at the cutoff"
    )
    activation_factors: ActivationFactors = Field(
        ActivationFactors(), description="unit-variance factors of SiLU and sigmoid; imported weights need their own"
    )
    overlap_channels: tuple[int, ...] = Field((64, 64), description="hidden widths of the two-body overlap head")

    @field_validator("irreps_hidden")
    @classmethod
    def _parses(cls, value: str) -> str:
        if Channels.parse(value).scalars == 0:
            raise ValueError(f"irreps_hidden {value!r} needs 0e channels")
        return value


class Slem(OperatorModel):
    """Strictly localised model: an on-site block reads one cutoff, a pair block the union of both spheres."""

    Config = SlemConfig
    name = "slem"
    config: SlemConfig
    type_cutoffs: torch.Tensor
    average_neighbours: torch.Tensor

    def __init__(
        self, config: SlemConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str] = ("hamiltonian",)
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        self.symmetry = config.symmetry
        hidden = Channels.parse(config.irreps_hidden)
        out = Channels.of_classes(self.layout.classes)
        _check_output(config, hidden, out)
        lmax = hidden.lmax
        init = Channels((config.init_multiplicity,) * (lmax + 1), (0,) * (lmax + 1))
        n_species = len(basis.elements)
        self.bessel = BesselBasis(config.n_bessel, self.pair_cutoff)
        self.register_buffer("type_cutoffs", type_cutoffs(self))
        self.register_buffer("average_neighbours", torch.tensor(1.0))
        sizes = (2 * n_species + config.n_bessel, *config.latent_channels, config.latent_dim)
        self.two_body = ScalarMLP(sizes, config.activation_factors.silu)
        self.init_weights = ScalarMLP((config.latent_dim, init.total))
        self.init_affine_node, self.init_affine_pair = NormAffine(init), NormAffine(init)
        self.init, self.norm = init, SeparableNorm(init)
        self.trunk_targets = tuple(t for t in targets if t != "overlap")
        states = [init] + [hidden] * (config.n_layers - 1)
        outputs = [hidden] * (config.n_layers - 1) + [out]
        usable = hidden.only(out) if config.symmetry == "O3" else hidden
        edges = [init] + [usable] * (config.n_layers - 1) + [out]
        self.layers = nn.ModuleList()
        for before, after, edge_before, edge_after in zip(states, outputs, edges, edges[1:]):
            if self.trunk_targets:
                self.layers.append(SlemLayer(config, n_species, before, hidden, after, edge_before, edge_after))
        self.heads = nn.ModuleDict({t: OperatorHead(out, config.pair_bias) for t in self.trunk_targets})
        self.packing = Packing(self.layout, out)
        if "overlap" in targets:
            self.overlap_head = OverlapHead(config, out)

    @property
    def receptive_field(self) -> ReceptiveField:
        """One cutoff around i for on-site blocks, around i and j for pairs; the same for any depth."""
        return ReceptiveField(onsite=self.pair_cutoff, pair=self.pair_cutoff, strict=True)

    @property
    def frame_lmax(self) -> int:
        """Largest l of the hidden states."""
        return self.init.lmax

    def set_average_neighbours(self, value: float) -> None:
        """Normalises the sums over neighbours by 1 / sqrt(value)."""
        self.average_neighbours.fill_(value)

    def raw(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target."""
        flat = graph.frames if "frames" in graph else pair_frames(graph.pair_vector, self.frame_lmax)
        frames = Frames(flat, self.frame_lmax, separate_parity=self.symmetry == "O3")
        ends = _one_hot_ends(graph, len(self.basis.elements), flat.dtype)
        length = graph.pair_vector.norm(dim=1)
        envelope = polynomial_envelope(length, self.type_cutoffs[graph.pair_type], self.config.envelope_power)[:, None]
        two_body = self.two_body(torch.cat([ends, self.bessel(length)], dim=1))
        latent = two_body * envelope
        result: dict[str, OperatorFeatures] = {}
        if "overlap" in self.targets:
            result["overlap"] = self.overlap_head(latent, frames, graph, self.packing)
        if self.trunk_targets:
            node, pair = self.trunk(graph, frames, ends, envelope, two_body, latent)
            for name in self.trunk_targets:
                result[name] = self.heads[name](node, pair, frames, self.packing)
        return result

    def trunk(
        self,
        graph: OperatorGraph,
        frames: Frames,
        ends: torch.Tensor,
        envelope: torch.Tensor,
        two_body: torch.Tensor,
        latent: torch.Tensor,
    ) -> tuple[NodeState, FrameState]:
        """Node states and pair states (in their frames) after the last layer, in the channels of the layout."""
        centre, neighbour = graph.pair_index
        scale = self.average_neighbours.rsqrt()
        weights = _split_channels(self.init_weights(two_body), self.init)
        node = [segment_sum(weights[0][:, None, :] * envelope[:, :, None], centre, graph.num_nodes) * scale]
        for l in range(1, self.init.lmax + 1):
            message = frames.harmonics(l)[:, :, None] * (weights[l] * envelope)[:, None, :]
            node.append(segment_sum(message, centre, graph.num_nodes) * scale)
        start = torch.cat([w * (2 * l + 1) ** 0.5 for l, w in enumerate(weights)], dim=1)
        edge: FrameState = [start * envelope]
        hidden = self.init_affine_pair.on_frames(self.norm.on_frames([start]))
        node = self.init_affine_node.on_nodes(self.norm.on_nodes(node))
        for layer in self.layers:
            node, hidden, edge, latent = layer(
                node, hidden, edge, latent, frames, ends, envelope, centre, neighbour, scale
            )
        return node, edge


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

    ratio: torch.Tensor

    def __init__(
        self,
        config: SlemConfig,
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
        ratio = torch.logit(torch.tensor(config.residual_ratio))
        if config.learnable_residual:
            self.ratio = nn.Parameter(ratio.expand(3).clone())
        else:
            self.register_buffer("ratio", ratio.expand(3).clone())

    def forward(
        self,
        node: NodeState,
        hidden: FrameState,
        edge: FrameState,
        latent: torch.Tensor,
        frames: Frames,
        ends: torch.Tensor,
        envelope: torch.Tensor,
        centre: torch.Tensor,
        neighbour: torch.Tensor,
        scale: torch.Tensor,
    ) -> tuple[NodeState, FrameState, FrameState, torch.Tensor]:
        """New node, hidden and edge states and latent."""
        share = torch.sigmoid(self.ratio)
        old = torch.rsqrt(share.square() + 1.0)
        new = share * old
        normed = self.node_norm.on_nodes(node)
        at_centre = frames.rotate_in([x.index_select(0, centre) for x in normed], self.before)
        at_neighbour = frames.rotate_in([x.index_select(0, neighbour) for x in normed], self.before)

        update, scalars = self.hidden_update(
            (at_centre, self.hidden_norm_in.on_frames(hidden)),
            (self.node_affine, self.hidden_affine_in),
            latent,
            self.latent_norm(latent),
            new[0],
        )
        hidden = self.hidden_residual.add_to_frames(update, hidden, old[0])
        inputs = torch.cat([ends, self.latent_norm_input(latent), scalars], dim=1)
        latent = new[0] * envelope * self.latent_update(inputs) + old[0] * latent

        hidden_normed = self.hidden_norm_out.on_frames(hidden)
        update, _ = self.edge_update(
            (at_centre, hidden_normed, at_neighbour),
            (self.node_affine, self.hidden_affine_out, self.node_affine),
            latent,
            latent,
            new[1],
        )
        edge = self.edge_residual.add_to_frames(update, edge, old[1])

        message, _ = self.node_update(
            (at_centre, hidden_normed),
            (self.node_affine_message, self.hidden_affine_out),
            latent,
            latent,
            new[2] * scale,
        )
        sums = [segment_sum(x, centre, len(node[0])) for x in frames.rotate_out(message, self.after)]
        kept = self.node_residual.on_nodes(node)
        node = [s + old[2] * k for s, k in zip(sums, kept)]
        return node, hidden, edge, latent


class OperatorHead(nn.Module):
    """Last channel mixing of node and pair states of one target, and the packing into features."""

    def __init__(self, out: Channels, pair_bias: bool) -> None:
        super().__init__()
        self.out = out
        self.node, self.pair = ChannelMixing(out, out), ChannelMixing(out, out, pair_bias)

    def forward(self, node: NodeState, pair: FrameState, frames: Frames, packing: Packing) -> OperatorFeatures:
        """Features of the target, unit scale."""
        rotated = frames.rotate_out(self.pair.on_frames(pair), self.out)
        return OperatorFeatures(packing.features(self.node.on_nodes(node)), packing.features(rotated))


class OverlapHead(nn.Module):
    """Overlap as the two-body quantity it is: S_ij in the pair frame depends on species and distance alone.

    In that frame only m = 0 of natural-parity irreps is not zero. The on-site block depends on the species only and is
    left to the statistics (shift of the scalars).
    """

    def __init__(self, config: SlemConfig, out: Channels) -> None:
        super().__init__()
        self.out = out
        self.network = ScalarMLP((config.latent_dim, *config.overlap_channels, sum(out.natural)))

    def forward(self, latent: torch.Tensor, frames: Frames, graph: OperatorGraph, packing: Packing) -> OperatorFeatures:
        """Features of the overlap, unit scale."""
        parts = torch.split(self.network(latent), list(self.out.natural), dim=1)
        pair = [_pad_channels(parts[0][:, None, :], self.out.counts[0])]
        for l in range(1, self.out.lmax + 1):
            value = frames.harmonics(l)[:, :, None] * parts[l][:, None, :]
            pair.append(_pad_channels(value, self.out.counts[l]))
        features = packing.features(pair)
        onsite = features.new_zeros(graph.num_nodes, features.shape[1])
        return OperatorFeatures(onsite, features)


def _pad_channels(value: torch.Tensor, count: int) -> torch.Tensor:
    return nn.functional.pad(value, (0, count - value.shape[-1]))


def _split_channels(weights: torch.Tensor, channels: Channels) -> list[torch.Tensor]:
    return list(torch.split(weights, list(channels.counts), dim=1))


def _one_hot_ends(graph: OperatorGraph, n_species: int, dtype: torch.dtype) -> torch.Tensor:
    """(P, 2 n_species) | species of both ends."""
    one_hot = nn.functional.one_hot(graph.species, n_species).to(dtype)
    return torch.cat([one_hot[graph.pair_index[0]], one_hot[graph.pair_index[1]]], dim=1)


def _check_output(config: SlemConfig, hidden: Channels, out: Channels) -> None:
    if out.lmax > hidden.lmax:
        raise ConfigError(
            f"irreps_hidden {config.irreps_hidden!r} ends at l = {hidden.lmax}; "
            f"the blocks of this basis need l = {out.lmax}"
        )
    if config.symmetry == "O3" and any(out.unnatural) and not any(hidden.unnatural):
        raise ConfigError(
            f"irreps_hidden {config.irreps_hidden!r} has natural parity only; "
            "the blocks of this basis need unnatural irreps (such as 1e of p-p) as well: add some, or set symmetry: SO3"
        )
