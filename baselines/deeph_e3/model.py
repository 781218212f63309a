"""DeepH-E3: equivariant convolutions over pairs and self-loops.

Source: arXiv 2210.13955 (Nat. Commun. 14, 2848); public code Xiaoxun-Gong/DeepH-E3 (MIT), whose facts (order of
operations, normalisations) are followed, not its code. Its products with the spherical harmonics of the bond are
computed in the frame of the bond, which is exact; pair states stay there through all layers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField
from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState, pair_frames
from slembench.nn.graph_norm import GraphRows
from slembench.nn.hermitian import HermitianHead, both_orders
from slembench.nn.per_type import PairRows
from slembench.nn.radial import GaussianBasis
from slembench.nn.readout import OperatorFeatures
from slembench.operators.orbitals import Basis

from .blocks import EdgeContext, NodeUpdate, PairUpdate
from .config import DeepHE3Config


class DeepHE3(OperatorModel):
    """Node and pair states updated in turn; on-site blocks come from self-loops.

    The layer norms take their means over the whole graph, so every block reads all atoms, however far.
    """

    Config = DeepHE3Config
    config: DeepHE3Config
    name = "deeph-e3"

    def __init__(
        self,
        config: DeepHE3Config,
        basis: Basis,
        cutoffs: Mapping[int, float],
        targets: Sequence[str] = ("hamiltonian",),
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        n_species = len(basis.elements)
        mid = Channels.parse(config.irreps_mid)
        if not mid.scalars:
            raise ConfigError(f"model {self.name}: irreps_mid {config.irreps_mid!r} needs 0e channels")
        self.embedding = nn.Parameter(torch.randn(n_species, config.embedding))
        self.gaussians = GaussianBasis(config.gaussian_stop, config.n_gaussians)
        self.first_pairs = GaussianBasis(config.embedding_stop, config.embedding)
        # both begin as scalars; the harmonics of the bonds bring in l > 0 block by block
        node = pair = Channels((config.embedding,), (0,))
        self.node_updates, self.pair_updates = nn.ModuleList(), nn.ModuleList()
        for number in range(config.n_blocks):
            last = number == config.n_blocks - 1
            self.node_updates.append(NodeUpdate(n_species, node, pair, mid, config))
            node = self.node_updates[-1].output
            # the last pair state has one channel for each irrep of each ordered shell pair, as the read-out wants it
            wanted = both_orders(self.layout) if last else mid
            self.pair_updates.append(PairUpdate(n_species, node, pair, wanted, config))
            pair = self.pair_updates[-1].output
            if last and pair != wanted:
                raise ConfigError(
                    f"model {self.name}: harmonics_lmax {config.harmonics_lmax} and irreps_mid {config.irreps_mid!r} "
                    "do not reach all irreps of the blocks of this basis; raise either"
                )
        self.heads = nn.ModuleDict({name: HermitianHead(pair, self.layout) for name in self.targets})
        self.lmax = max(mid.lmax, pair.lmax)

    @property
    def receptive_field(self) -> ReceptiveField:
        """Everything: the layer norms are means over the whole structure."""
        return ReceptiveField(onsite=math.inf, pair=math.inf, strict=False)

    @property
    def frame_lmax(self) -> int:
        """Largest l of node and pair states."""
        return self.lmax

    @classmethod
    def from_public(
        cls, file: Path, config: ModelConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str]
    ) -> DeepHE3:
        """Model with the weights of a checkpoint of the public code; see `weights.load_public`."""
        from slembench.models.e3nn_weights import sampled_activation_factors

        from .weights import load_public

        factors = sampled_activation_factors()
        model = cls(config.model_copy(update={"activation_factors": factors}), basis, cutoffs, targets)
        load_public(model, file)
        return model

    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target."""
        ctx = self._edge_context(graph)
        _, pair = self.states(graph, ctx)
        return self._read_out(pair, ctx)

    def forward_with_features(self, graph: OperatorGraph) -> tuple[dict[str, OperatorFeatures], NodeState, NodeState]:
        """The same, with the last node states and the states of the pairs (without self-loops)."""
        ctx = self._edge_context(graph)
        node, pair = self.states(graph, ctx)
        rotated = ctx.frames.rotate_out(pair, self.pair_updates[-1].output)
        return self._read_out(pair, ctx), node, [ctx.rows.split(x)[1] for x in rotated]

    def _read_out(self, pair: FrameState, ctx: EdgeContext) -> dict[str, OperatorFeatures]:
        features = {name: head(pair, ctx.frames, ctx.rows.reverse) for name, head in self.heads.items()}
        return {name: OperatorFeatures(*ctx.rows.split(value)) for name, value in features.items()}

    def states(self, graph: OperatorGraph, ctx: EdgeContext) -> tuple[NodeState, FrameState]:
        """Node states, and states of pairs and self-loops in their frames, after all blocks."""
        # e3nn's linear map of a one-hot vector: its norm by element divides by sqrt(n_species)
        node: NodeState = [(self.embedding / math.sqrt(len(self.embedding)))[graph.species][:, None, :]]
        pair: FrameState = [self.first_pairs(ctx.length)]
        for update_node, update_pair in zip(self.node_updates, self.pair_updates):
            node = update_node(node, pair, ctx)
            pair = update_pair(node, pair, ctx)
        return node, pair

    def _edge_context(self, graph: OperatorGraph) -> EdgeContext:
        rows = PairRows.of(graph, len(self.basis.elements))
        flat = graph.frames if "frames" in graph else pair_frames(graph.pair_vector, self.lmax)
        # a self-loop has no direction: its frame is that of the axes, and its product leaves l > 0 harmonics out
        pole = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64, device=flat.device)
        loop = pair_frames(pole, self.lmax).to(flat)
        flat = torch.cat([rows.sort(flat[:, : loop.shape[1]]), loop.expand(rows.n_loops, -1)])
        length = rows.sort(graph.pair_vector).norm(dim=1)
        # self-loops have length 0
        length = torch.cat([length, length.new_zeros(rows.n_loops)])
        batched = "batch" in graph and graph.batch is not None
        # the norms take means over each graph of a batch by itself
        graphs = graph.batch if batched else torch.zeros_like(graph.species)
        n_graphs = graph.num_graphs if batched else 1
        return EdgeContext(
            frames=Frames(flat, self.lmax, separate_parity=True),
            rows=rows,
            length=length,
            gaussians=self.gaussians(length),
            species=graph.species,
            nodes=GraphRows.of(graphs, n_graphs, flat),
            pairs=GraphRows.of(graphs[rows.centre], n_graphs, flat),
        )
