"""What SLEM and LEM share: two-body initial states, pair states that stay in their pair frames, heads and read-out.

What is done to pair states commutes with the rotation into the pair's frame, so they stay there through all layers:
the Wigner matrices are built once a structure, node states are rotated in and messages out once a layer, and the
read-out rotates once. Facts of the architecture (order of operations, normalisations) follow arXiv 2407.06053 and the
public implementation, package dptb.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import ModelConfig, OperatorModel, type_cutoffs
from slembench.nn.channels import Channels
from slembench.nn.edge_frames import EdgeFrames
from slembench.nn.frames import Frames, FrameState, NodeState, pair_frames
from slembench.nn.heads import Activation, IrrepsToFlat, ResidualMLP
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine, ScalarMLP, SeparableNorm
from slembench.nn.radial import BesselBasis, polynomial_envelope
from slembench.nn.readout import OperatorFeatures, statistics_of
from slembench.operators.orbitals import Basis


class PairFrameConfig(ModelConfig):
    """Hyper-parameters of SLEM and LEM."""

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
    overlap_channels: tuple[int, ...] = Field((32, 32), description="hidden widths of the two-body overlap head")
    overlap_residual: Activation | None = Field(
        None, description="activation of a residual overlap network with biases, as in dptb; null: a plain one without"
    )
    pair_shifts: bool = Field(False, description="shifts of the pair scalars, as in dptb; they step at the cutoff")

    @field_validator("irreps_hidden")
    @classmethod
    def _parses(cls, value: str) -> str:
        if Channels.parse(value).scalars == 0:
            raise ValueError(f"irreps_hidden {value!r} needs 0e channels")
        return value


@dataclass
class EdgeContext:
    """Geometry and two-body scalars of the pairs: what all layers read and none changes.

    Attributes:
        frames: of the pairs.
        species: (P, 2 n_elements) | species of i and of j, one-hot.
        envelope: (P, 1) | smooth step to zero at the cutoff.
        two_body: (P, latent_dim) | scalars of species and distance, without the envelope.
        centre: (P,) | atom i of every pair.
        neighbour: (P,) | atom j of every pair.
        scale: () | 1 / sqrt(average number of neighbours).
    """

    frames: Frames
    species: torch.Tensor
    envelope: torch.Tensor
    two_body: torch.Tensor
    centre: torch.Tensor
    neighbour: torch.Tensor
    scale: torch.Tensor

    @cached_property
    def at_centre(self) -> EdgeFrames:
        """Frames acting on what the atoms i hold."""
        return EdgeFrames(self.frames, self.centre)

    @cached_property
    def at_neighbour(self) -> EdgeFrames:
        """Frames acting on what the atoms j hold."""
        return EdgeFrames(self.frames, self.neighbour)

    def aggregate(self, message: FrameState, channels: Channels, n_atoms: int) -> NodeState:
        """Messages of all pairs, rotated out and summed into their centres, normalised: (n_atoms, ...) for each l."""
        # a sum of n independent messages has variance n: 1 / sqrt(mean number of neighbours) keeps it near 1
        return [x * self.scale for x in self.at_centre.scatter_sum(message, channels, n_atoms)]

    def aggregate_residual(
        self, message: FrameState, channels: Channels, kept: NodeState, factor: torch.Tensor
    ) -> NodeState:
        """`aggregate` plus ``factor`` times the kept states."""
        return [x + factor * k for x, k in zip(self.aggregate(message, channels, len(kept[0])), kept)]


@dataclass
class State:
    """What a layer takes and returns.

    Attributes:
        node: node states.
        hidden: hidden pair states, in their frames (SLEM; empty for LEM).
        hidden_normed: the same normalised, where a layer has done it already; None otherwise.
        edge: pair states that the read-out takes.
        latent: (P, latent_dim) | two-body latent scalars.
    """

    node: NodeState
    hidden: FrameState
    edge: FrameState
    latent: torch.Tensor
    hidden_normed: FrameState | None = None


class ResidualWeights(nn.Module):
    """Factors of the residual mixing new * s / sqrt(1 + s^2) + old / sqrt(1 + s^2), s = sigmoid(logit).

    Args:
        count: number of residuals.
        config: gives s at the start and whether it is learned.
    """

    logits: torch.Tensor

    def __init__(self, count: int, config: PairFrameConfig) -> None:
        super().__init__()
        # s = sigmoid(logit) stays in (0, 1) while it is learned
        logits = torch.logit(torch.tensor(config.residual_ratio)).expand(count).clone()
        if config.learnable_residual:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits)

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors of the new and of the old state, (count,) each."""
        share = torch.sigmoid(self.logits)
        # (s^2 + 1) / (1 + s^2) = 1: the sum of two independent states of unit variance has unit variance
        old = torch.rsqrt(share.square() + 1.0)
        return share * old, old


class PairFrameModel(OperatorModel):
    """Base of SLEM and LEM; a subclass builds the layers and states their receptive field."""

    Config = PairFrameConfig
    uses_native_kernels = True
    config: PairFrameConfig
    type_cutoffs: torch.Tensor
    average_neighbours: torch.Tensor

    def __init__(
        self,
        config: PairFrameConfig,
        basis: Basis,
        cutoffs: Mapping[int, float],
        targets: Sequence[str] = ("hamiltonian",),
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        self.symmetry = config.symmetry
        self.statistics = statistics_of(self.layout, self.targets, config.pair_shifts)
        hidden, out = Channels.parse(config.irreps_hidden), Channels.of_classes(self.layout.classes)
        _check_output(config, hidden, out)
        # two-body states are made of Y_l alone: polar channels
        self.init = init = Channels((config.init_multiplicity,) * (hidden.lmax + 1), (0,) * (hidden.lmax + 1))
        self.bessel = BesselBasis(config.n_bessel, self.pair_cutoff)
        self.register_buffer("type_cutoffs", type_cutoffs(self))
        self.register_buffer("average_neighbours", torch.tensor(1.0))
        sizes = (2 * len(basis.elements) + config.n_bessel, *config.latent_channels, config.latent_dim)
        self.two_body = ScalarMLP(sizes, config.activation_factors.silu)
        self.init_weights = ScalarMLP((config.latent_dim, init.total))
        self.norm, self.init_affine_node = SeparableNorm(init), NormAffine(init)
        # S is a two-body quantity and needs no message passing: a model of S alone has no layers
        self.trunk_targets = tuple(t for t in targets if t != "overlap")
        self.layers = nn.ModuleList(self.build_layers(init, hidden, out) if self.trunk_targets else [])
        self.heads = nn.ModuleDict({t: OperatorHead(out, config.pair_bias) for t in self.trunk_targets})
        self.packing = IrrepsToFlat(self.layout, out)
        if "overlap" in targets:
            self.overlap_head = OverlapHead(config, out)

    @abstractmethod
    def build_layers(self, init: Channels, hidden: Channels, out: Channels) -> list[nn.Module]:
        """Layers, each a map (State, EdgeContext) -> State; channels init -> hidden ... -> out."""

    @abstractmethod
    def init_edge_hidden(self, start: FrameState) -> FrameState:
        """Hidden pair states before the first layer, from the pair features without envelope (m = 0 alone)."""

    @property
    def frame_lmax(self) -> int:
        """Largest l of the hidden states."""
        return self.init.lmax

    def set_average_neighbours(self, value: float) -> None:
        """Normalises the sums over neighbours by 1 / sqrt(value)."""
        self.average_neighbours.fill_(value)

    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target."""
        ctx = self.edge_context(graph)
        return self.read_out(graph, ctx, self.states(graph, ctx))

    def forward_with_features(self, graph: OperatorGraph) -> tuple[dict[str, OperatorFeatures], NodeState, NodeState]:
        """The same, with the node and pair states behind the last layer; none where S alone is predicted."""
        ctx = self.edge_context(graph)
        state = self.states(graph, ctx)
        pair = ctx.frames.rotate_out(state.edge, self.packing.channels) if state.edge else []
        return self.read_out(graph, ctx, state), state.node, pair

    def states(self, graph: OperatorGraph, ctx: EdgeContext) -> State:
        """Node and pair states behind the last layer."""
        state = self.start(ctx, int(graph.num_nodes))
        for layer in self.layers:
            state = layer(state, ctx)
        return state

    def edge_context(self, graph: OperatorGraph) -> EdgeContext:
        """What all layers read: frames, species, envelope and two-body scalars of the pairs."""
        # frames cost more than a layer; training graphs bring them along from the cache
        flat = graph.frames if "frames" in graph else pair_frames(graph.pair_vector, self.frame_lmax)
        length = graph.pair_vector.norm(dim=1)
        species = _one_hot_species(graph, len(self.basis.elements), flat.dtype)
        return EdgeContext(
            frames=Frames(flat, self.frame_lmax, separate_parity=self.symmetry == "O3"),
            species=species,
            envelope=polynomial_envelope(
                length, self.type_cutoffs[graph.pair_type], self.config.envelope_power
            ).unsqueeze(1),
            two_body=self.two_body(torch.cat([species, self.bessel(length)], dim=1)),
            centre=graph.pair_index[0],
            neighbour=graph.pair_index[1],
            scale=self.average_neighbours.rsqrt(),
        )

    def start(self, ctx: EdgeContext, n_atoms: int) -> State:
        """Two-body states: weights(x) Y_l(r) for pairs, their sums over neighbours for nodes; empty for S alone."""
        latent = ctx.two_body * ctx.envelope
        if not self.trunk_targets:
            return State([], [], [], latent)
        # w_l(r) Y_l(r): in the frame of the pair only m = 0 of it is not zero, with the value sqrt(2l + 1)
        weights = torch.split(self.init_weights(ctx.two_body), list(self.init.counts), dim=1)
        start = torch.cat([w * (2 * l + 1) ** 0.5 for l, w in enumerate(weights)], dim=1)
        # the envelope goes into what other atoms read, so that a neighbour leaves the cutoff without a step
        enveloped = start * ctx.envelope
        node = ctx.aggregate([enveloped], self.init, n_atoms)
        node = self.init_affine_node.on_nodes(self.norm.on_nodes(node))
        return State(node, self.init_edge_hidden([start]), [enveloped], latent)

    def read_out(self, graph: OperatorGraph, ctx: EdgeContext, state: State) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target from the state behind the last layer."""
        result: dict[str, OperatorFeatures] = {}
        if "overlap" in self.targets:
            latent = ctx.two_body * ctx.envelope
            result["overlap"] = self.overlap_head(latent, ctx.frames, graph, self.packing)
        for name in self.trunk_targets:
            result[name] = self.heads[name](state.node, state.edge, ctx.frames, self.packing)
        return result


class OperatorHead(nn.Module):
    """Last channel mixing of node and pair states of one target, and the packing into features."""

    def __init__(self, out: Channels, pair_bias: bool) -> None:
        super().__init__()
        self.out = out
        self.node, self.pair = ChannelMixing(out, out), ChannelMixing(out, out, pair_bias)

    def forward(self, node: NodeState, pair: FrameState, frames: Frames, packing: IrrepsToFlat) -> OperatorFeatures:
        """Features of the target, unit scale."""
        rotated = frames.rotate_out(self.pair.on_frames(pair), self.out)
        return OperatorFeatures(packing.features(self.node.on_nodes(node)), packing.features(rotated))


class OverlapHead(nn.Module):
    """Overlap as the two-body quantity it is: S_ij in the pair frame depends on species and distance alone.

    In that frame only m = 0 of polar irreps is not zero. The on-site block depends on the species only and is
    left to the statistics (shift of the scalars).
    """

    def __init__(self, config: PairFrameConfig, out: Channels) -> None:
        super().__init__()
        self.out = out
        sizes = (config.latent_dim, *config.overlap_channels, sum(out.polar))
        residual = config.overlap_residual
        self.network = ScalarMLP(sizes) if residual is None else ResidualMLP(sizes, residual)

    def forward(
        self, latent: torch.Tensor, frames: Frames, graph: OperatorGraph, packing: IrrepsToFlat
    ) -> OperatorFeatures:
        """Features of the overlap, unit scale."""
        parts = torch.split(self.network(latent), list(self.out.polar), dim=1)
        pair = [_pad_channels(parts[0][:, None, :], self.out.counts[0])]
        for l in range(1, self.out.lmax + 1):
            value = frames.harmonics(l)[:, :, None] * parts[l][:, None, :]
            pair.append(_pad_channels(value, self.out.counts[l]))
        features = packing.features(pair)
        # on-site S depends on the element alone and is its mean over the training set
        onsite = features.new_zeros(graph.num_nodes, features.shape[1])
        return OperatorFeatures(onsite, features)


def _pad_channels(value: torch.Tensor, count: int) -> torch.Tensor:
    return nn.functional.pad(value, (0, count - value.shape[-1]))


def _one_hot_species(graph: OperatorGraph, n_species: int, dtype: torch.dtype) -> torch.Tensor:
    """(P, 2 n_species) | species of i and of j."""
    one_hot = nn.functional.one_hot(graph.species, n_species).to(dtype)
    return torch.cat([one_hot[graph.pair_index[0]], one_hot[graph.pair_index[1]]], dim=1)


def _check_output(config: PairFrameConfig, hidden: Channels, out: Channels) -> None:
    if out.lmax > hidden.lmax:
        raise ConfigError(
            f"irreps_hidden {config.irreps_hidden!r} ends at l = {hidden.lmax}; "
            f"the blocks of this basis need l = {out.lmax}"
        )
    # SO3 models take polar channels for axial ones; O3 models need axial channels for irreps such as 1e of p-p
    if config.symmetry == "O3" and any(out.axial) and not any(hidden.axial):
        raise ConfigError(
            f"irreps_hidden {config.irreps_hidden!r} has polar irreps only; "
            "the blocks of this basis need axial irreps (such as 1e of p-p) as well: add some, or set symmetry: SO3"
        )
