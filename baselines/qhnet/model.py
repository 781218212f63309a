"""QHNet, the version of the QH9 benchmark.

Source: arXiv 2306.04922; public code divelab/AIRS, OpenDFT/QHBench/QH9 (GPL-3), whose facts are followed, not its
code. Convolutions on a radius graph, then states of atoms and of all pairs from products of node states, expanded to
blocks with weights that depend on the elements. The convolutions' products are computed in bond frames, which is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField, type_cutoffs
from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, NodeState, pair_frames
from slembench.nn.functional import Constants, shifted_softplus
from slembench.nn.hermitian import Hermitised
from slembench.nn.layers import ChannelMixing
from slembench.nn.per_type import PairRows
from slembench.nn.radial import BernsteinBasis
from slembench.nn.readout import OperatorFeatures
from slembench.operators.orbitals import Basis

from .blocks import Convolution, EdgeContext, OnsiteLayer, PairLayer
from .config import QHNetConfig
from .expansion import Expansion


class QHNet(OperatorModel):
    """Rotations are exact; inversion is not, since the products of node states ignore parity."""

    Config = QHNetConfig
    config: QHNetConfig
    name = "qhnet"
    symmetry = "SO3"

    def __init__(
        self,
        config: QHNetConfig,
        basis: Basis,
        cutoffs: Mapping[int, float],
        targets: Sequence[str] = ("hamiltonian",),
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        width, lmax = config.width, config.lmax
        needed = max(c.l for c in self.layout.classes)
        if needed > lmax:
            raise ConfigError(f"model {self.name}: lmax {lmax}, but the blocks of this basis need l = {needed}")
        if config.first_pair_layer >= config.n_layers:
            raise ConfigError(f"model {self.name}: first_pair_layer must be below n_layers ({config.n_layers})")
        self.embedding = nn.Parameter(torch.randn(len(basis.elements), width))
        self.radial = BernsteinBasis(config.n_radial)
        # convolutions reach max_radius, pair states the whole pair cutoff; here it is one graph with two radii
        radii = torch.minimum(type_cutoffs(self).double(), torch.tensor(config.max_radius, dtype=torch.float64))
        self.constants = Constants({"radii": radii})
        options = (lmax, config.n_radial, config.softplus_factor)
        self.convolutions = nn.ModuleList(
            Convolution(width, lmax if number else 0, *options) for number in range(config.n_layers)
        )
        n_late = config.n_layers - config.first_pair_layer
        self.pair_layers = nn.ModuleList(PairLayer(width, *options) for _ in range(n_late))
        self.onsite_layers = nn.ModuleList(OnsiteLayer(width, lmax) for _ in range(n_late))
        hidden, narrow = (Channels((n,) * (lmax + 1), (0,) * (lmax + 1)) for n in (width, config.bottleneck))
        self.onsite_out = ChannelMixing(hidden, narrow, bias=False)
        self.pair_out = ChannelMixing(hidden, narrow, bias=False)
        self.onsite_expansions = nn.ModuleDict(
            {name: Expansion(self.layout, config.bottleneck, width, width) for name in self.targets}
        )
        self.pair_expansions = nn.ModuleDict(
            {name: Expansion(self.layout, config.bottleneck, 2 * width, width) for name in self.targets}
        )
        self.hermitised = Hermitised(self.layout, 1.0)

    @property
    def receptive_field(self) -> ReceptiveField:
        """As many radii as convolutions, around the atom or both atoms of the pair."""
        reach = self.config.n_layers * min(self.config.max_radius, self.pair_cutoff)
        return ReceptiveField(onsite=reach, pair=reach, strict=False)

    @property
    def frame_lmax(self) -> int:
        """Largest l of the states."""
        return self.config.lmax

    @classmethod
    def from_public(
        cls, file: Path, config: ModelConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str]
    ) -> QHNet:
        """Model with the weights of a checkpoint of the public code; see `weights.load_public`."""
        from slembench.models.e3nn_weights import sampled_factor

        from .weights import load_public

        factor = sampled_factor(shifted_softplus)
        model = cls(config.model_copy(update={"softplus_factor": factor}), basis, cutoffs, targets)
        load_public(model, file)
        return model

    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target."""
        n = len(self.basis.elements)
        rows = PairRows.of(graph, n, loops=False)
        onsite, pair = self.states(graph, rows)
        # sorted by element, so that each element's weights act on one range of rows
        order = torch.argsort(graph.species, stable=True)
        atoms = PairRows.of_atoms(graph.species, n)
        onsite, pair = self.onsite_out.on_nodes([x[order] for x in onsite]), self.pair_out.on_nodes(pair)
        # row s_i n + s_j: embeddings of both elements, for every pair type
        both_ends = torch.cat([self.embedding.repeat_interleave(n, dim=0), self.embedding.repeat(n, 1)], dim=1)
        result = {}
        for name in self.targets:
            # blocks of shells (a, b) and (b, a): H + H^T of the public code adds them
            upper, lower = self.onsite_expansions[name](onsite, self.embedding, atoms)
            at_atoms = self.hermitised(upper, lower, torch.arange(len(order), device=order.device))
            upper, lower = self.pair_expansions[name](pair, both_ends, rows.groups)
            _, at_pairs = rows.split(self.hermitised(upper, lower, rows.reverse))
            result[name] = OperatorFeatures(torch.zeros_like(at_atoms).index_copy(0, order, at_atoms), at_pairs)
        return result

    def states(self, graph: OperatorGraph, rows: PairRows) -> tuple[NodeState, NodeState]:
        """On-site states (N rows) and pair states (P rows, in the order of ``rows``), in the axes of the structure."""
        ctx = self._edge_context(graph, rows)
        node: NodeState = [self.embedding[graph.species][:, None]]
        onsite: NodeState | None = None
        pair: NodeState | None = None
        for number, convolution in enumerate(self.convolutions):
            node = convolution(node, ctx)
            late = number - self.config.first_pair_layer
            if late >= 0:
                onsite = self.onsite_layers[late](node, onsite)
                pair = self.pair_layers[late](node, pair, ctx)
        assert onsite is not None
        assert pair is not None
        return onsite, pair

    def _edge_context(self, graph: OperatorGraph, rows: PairRows) -> EdgeContext:
        flat = graph.frames if "frames" in graph else pair_frames(graph.pair_vector, self.config.lmax)
        length = graph.pair_vector.norm(dim=1)
        radial = self.radial(length, self.constants.get("radii", length)[graph.pair_type])
        return EdgeContext(
            frames=Frames(rows.sort(flat), self.config.lmax, separate_parity=True),
            centre=rows.centre,
            neighbour=rows.neighbour,
            radial=rows.sort(radial),
        )
