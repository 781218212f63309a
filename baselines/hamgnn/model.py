"""HamGNN: node and pair features updated in turn, on-site blocks from nodes, others from pairs.

Source: npj Comput. Mater. 2023, doi 10.1038/s41524-023-01130-4; public code QuantumLab-ZY/HamGNN v2.1 (GPL-3), whose
facts are followed, not its code: its `lite_mode`, in which a message is one linear map of all products with the bond's
harmonics, times weights from the distance. It is computed in the frame of the bond, which is exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import OperatorModel, ReceptiveField
from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState, pair_frames
from slembench.nn.heads import IrrepsToFlat
from slembench.nn.hermitian import HermitianHead
from slembench.nn.layers import ChannelMixing, ScalarMLP
from slembench.nn.radial import BesselBasis
from slembench.nn.readout import OperatorFeatures
from slembench.operators.orbitals import Basis

from .blocks import EdgeContext, GatedResidual, Layer
from .config import HamGNNConfig


class HamGNN(OperatorModel):
    """Every layer widens the receptive field by one cutoff."""

    Config = HamGNNConfig
    config: HamGNNConfig
    name = "hamgnn"

    def __init__(
        self,
        config: HamGNNConfig,
        basis: Basis,
        cutoffs: Mapping[int, float],
        targets: Sequence[str] = ("hamiltonian",),
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        self.channels = channels = Channels.parse(config.irreps)
        out = Channels.of_classes(self.layout.classes)
        held = {(l, polar) for l, polar, _, _ in channels.parity_blocks}
        # a read-out cannot make an irrep of others: each that a block has must be among the states
        lacking = [(l, n) for l, n, _, _ in out.parity_blocks if (l, n) not in held]
        if lacking or not channels.scalars:
            l, polar = lacking[0] if lacking else (0, True)
            wanted = f"{l}{'e' if ((-1) ** l == 1) == polar else 'o'}"
            raise ConfigError(f"model {self.name}: irreps {config.irreps!r} lack {wanted}, which is needed")
        n_species = len(basis.elements)
        self.bessel = BesselBasis(config.n_bessel, config.cutoff)
        radial = (config.n_bessel, *config.radial_channels)
        self.node_start = nn.Parameter(torch.randn(n_species, channels.scalars))
        self.ends = nn.ParameterList(torch.randn(n_species, n_species) for _ in range(2))
        lmax = min(config.harmonics_lmax, channels.lmax)
        # one-hot element sum of both atoms times Y_l of the bond
        self.start = Channels((n_species,) * (lmax + 1), (0,) * (lmax + 1))
        self.start_radial = ScalarMLP((*radial, self.start.total))
        self.start_mixing = ChannelMixing(self.start, channels, bias=False)
        self.layers = nn.ModuleList(Layer(channels, config.harmonics_lmax, radial) for _ in range(config.n_layers))
        self.node_residual, self.pair_residual = GatedResidual(channels), GatedResidual(channels)
        self.node_heads = nn.ModuleDict({name: ChannelMixing(channels, out) for name in self.targets})
        self.pair_heads = nn.ModuleDict({name: HermitianHead(channels, self.layout) for name in self.targets})
        self.packing = IrrepsToFlat(self.layout, out)

    @property
    def receptive_field(self) -> ReceptiveField:
        """One cutoff a layer, around the atom or both atoms of the pair."""
        reach = self.config.n_layers * self.pair_cutoff
        return ReceptiveField(onsite=reach, pair=reach, strict=False)

    @property
    def frame_lmax(self) -> int:
        """Largest l of the states."""
        return self.channels.lmax

    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target."""
        ctx = self._edge_context(graph)
        node, pair = self._start(graph, ctx)
        for layer in self.layers:
            node, pair = layer(node, pair, ctx)
        node, pair = self.node_residual.on_nodes(node), self.pair_residual.on_frames(pair)
        result = {}
        for name in self.targets:
            onsite = self.packing.features(self.node_heads[name].on_nodes(node))
            result[name] = OperatorFeatures(onsite, self.pair_heads[name](pair, ctx.frames, graph.reverse))
        return result

    def _start(self, graph: OperatorGraph, ctx: EdgeContext) -> tuple[NodeState, FrameState]:
        """Node scalars from the elements, pair states from elements, distance and the harmonics of the bond."""
        c, n_species = self.channels, len(self.basis.elements)
        # e3nn's norm of a linear map of one-hot vectors
        scale = 1.0 / math.sqrt(n_species)
        scalars = nn.functional.pad(self.node_start[graph.species] * scale, (0, c.counts[0] - c.scalars))
        node = [scalars[:, None]]
        for l in range(1, c.lmax + 1):
            node.append(scalars.new_zeros(len(scalars), 2 * l + 1, c.counts[l]))
        first, second = (graph.species[x] for x in (ctx.centre, ctx.neighbour))
        ends = (self.ends[0][first] + self.ends[1][second]) * scale
        degrees = torch.arange(self.start.lmax + 1, device=ends.device, dtype=ends.dtype)
        # Y_l of the bond in its frame: m = 0 alone, sqrt(2l + 1)
        harmonics = (2 * degrees + 1).sqrt().repeat_interleave(n_species)
        values = self.start_radial(ctx.radial) * ends.repeat(1, self.start.lmax + 1) * harmonics
        mixed = values @ self.start_mixing.matrix()
        pair = [mixed]
        for m in range(1, c.lmax + 1):
            pair.append(mixed.new_zeros(len(mixed), 2, c.count_from(m)))
        return node, pair

    def _edge_context(self, graph: OperatorGraph) -> EdgeContext:
        flat = graph.frames if "frames" in graph else pair_frames(graph.pair_vector, self.channels.lmax)
        length = graph.pair_vector.norm(dim=1)
        # cosine cutoff; the clamp keeps it at zero beyond, where the cosine would rise again
        window = 0.5 * (1.0 + torch.cos(math.pi * (length / self.config.cutoff).clamp(max=1.0)))
        return EdgeContext(
            frames=Frames(flat, self.channels.lmax, separate_parity=True),
            centre=graph.pair_index[0],
            neighbour=graph.pair_index[1],
            radial=self.bessel(length) * window[:, None],
        )
