"""HarmoSE: an equivariant stage gives H1 and covariant features, a non-equivariant Transformer refines it to H1 + dH.

Source: arXiv 2401.00744 (Mach. Learn.: Sci. Technol. 2024, doi 10.1088/2632-2153/ad8d30); no public code. Stage 1 is
any registered equivariant model, DeepH-E3 by default. What the paper does not give is ours and stated in
slembench/models/harmose/README.md.

Random rotations of structure and target are drawn by rotating what stage 2 reads and rotating its dH back: the same
loss, since stage 1 is exactly equivariant and the map between features and matrix elements is orthogonal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from slembench.core.config import parse_config
from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import OperatorModel, ReceptiveField, Stage, Symmetry, type_cutoffs
from slembench.models.harmose.config import HarmoseConfig
from slembench.models.registry import load_model_class
from slembench.nn.frames import NodeState
from slembench.nn.radial import GaussianBasis, polynomial_envelope
from slembench.nn.readout import OperatorFeatures
from slembench.nn.transformer import Neighbourhood, TransformerLayer
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import wigner_d


class Harmose(OperatorModel):
    """Two cascaded stages; equivariant only as far as stage 2 has learned it."""

    Config = HarmoseConfig
    config: HarmoseConfig
    name = "harmose"
    progress: torch.Tensor
    type_cutoffs: torch.Tensor

    def __init__(
        self,
        config: HarmoseConfig,
        basis: Basis,
        cutoffs: Mapping[int, float],
        targets: Sequence[str] = ("hamiltonian",),
    ) -> None:
        super().__init__(config, basis, cutoffs, targets)
        if config.width % config.heads:
            raise ConfigError(f"model {self.name}: heads {config.heads} must divide width {config.width}")
        if config.joint_share is not None and config.joint_share <= config.stage1_share:
            raise ConfigError(
                f"model {self.name}: joint_share {config.joint_share} must be above stage1_share {config.stage1_share}"
            )
        self.first = _stage1(config, basis, cutoffs, targets)
        self.symmetry: Symmetry = self.first.symmetry if config.stage1_only else "none"
        self.register_buffer("progress", torch.zeros(()))
        self.register_buffer("type_cutoffs", type_cutoffs(self))
        if config.stage1_only:
            return
        n, width, size = len(basis.elements), config.width, len(self.targets) * self.layout.n_features
        self.gaussians = GaussianBasis(self.pair_cutoff, config.n_gaussians)
        self.node_in = nn.LazyLinear(width)
        self.pair_in = nn.LazyLinear(width)
        self.species, self.pair_species = nn.Embedding(n, width), nn.Embedding(n * n, width)
        self.layers = nn.ModuleList(TransformerLayer(width, config.heads) for _ in range(config.n_layers))
        self.node_norm, self.pair_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.node_out, self.pair_out = nn.Linear(width, size), nn.Linear(width, size)
        # so that stage 2 begins at the H1 that stage 1 has reached
        for layer in (self.node_out, self.pair_out):  # dH is zero at the start
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self._materialise(basis)

    def _materialise(self, basis: Basis) -> None:
        """Settle the input widths, which follow from stage 1, on a pair of atoms."""
        import ase

        from slembench.data.graph import build_graph

        z = basis.elements[0]
        atoms = ase.Atoms([z, z], positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 0.5 * self.cutoffs[z]]])
        dtype = next(self.first.parameters()).dtype
        with torch.no_grad():
            features, node, pair = self.first.forward_with_features(
                build_graph(atoms, self.cutoffs, self.layout, dtype=dtype)
            )
            self.node_in(_flat(self._joined(node, [f.onsite for f in features.values()])))
            states = _flat(self._joined(pair, [f.pair for f in features.values()]))
            self.pair_in(torch.cat([states, states.new_zeros(len(states), 3 + self.config.n_gaussians)], dim=1))

    @property
    def receptive_field(self) -> ReceptiveField:
        """That of stage 1, and one cutoff more for every layer of stage 2."""
        field = self.first.receptive_field
        if self.config.stage1_only:
            return field
        reach = max(field.onsite, field.pair) + self.config.n_layers * self.pair_cutoff
        return ReceptiveField(onsite=reach, pair=reach, strict=False)

    @property
    def frame_lmax(self) -> int:
        """Largest l of the pair frames that stage 1 reads."""
        return self.first.frame_lmax

    def set_average_neighbours(self, value: float) -> None:
        """Passed on to stage 1, which normalises its sums by it."""
        self.first.set_average_neighbours(value)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Where stage 2 begins, and where both are trained together."""
        if self.config.stage1_only:
            return ()
        shares = (self.config.stage1_share, self.config.joint_share)
        return tuple(Stage(share, self.config.later_lr_factor) for share in shares if share is not None)

    def set_progress(self, used: float) -> None:
        """Keep the used part of the training budget, which says what is trained; part of the checkpoints."""
        self.progress.fill_(used)

    def activate_all_parts(self) -> None:
        """Count the training as done."""
        self.set_progress(1.0)

    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of H1, plus dH once stage 2 is being trained."""
        # stage 1 alone, then stage 2 on a frozen stage 1, then (with joint_share) both
        used = float(self.progress)
        if self.config.stage1_only or used < self.config.stage1_share:
            return self.first.forward_irreps(graph)
        joint = self.config.joint_share is not None and used >= self.config.joint_share
        # frozen: no graph through stage 1 is built
        with torch.set_grad_enabled(joint and torch.is_grad_enabled()):
            features, node, pair = self.first.forward_with_features(graph)
        refined = self._refinement(graph, features, node, pair)
        return {
            name: OperatorFeatures(*(a + b for a, b in zip(features[name], refined[name]))) for name in self.targets
        }

    def _refinement(
        self, graph: OperatorGraph, features: dict[str, OperatorFeatures], node: NodeState, pair: NodeState
    ) -> dict[str, OperatorFeatures]:
        """Correction dH of every target, unit scale."""
        length = graph.pair_vector.norm(dim=1)
        node = self._joined(node, [f.onsite for f in features.values()])
        pair = self._joined(pair, [f.pair for f in features.values()])
        # (y, z, x): the order m = -1, 0, 1 of l = 1, so that D_1 rotates it
        direction = (graph.pair_vector / length[:, None])[:, [1, 2, 0]]
        turn = self._rotation(len(node), direction) if self.training and self.config.random_rotations else None
        if turn is not None:
            node, pair = ([d @ x for d, x in zip(turn, state)] for state in (node, pair))
            direction = direction @ turn[1].T
        inputs = torch.cat([_flat(pair), direction, self.gaussians(length)], dim=1)
        atoms = self.node_in(_flat(node)) + self.species(graph.species)
        bonds = self.pair_in(inputs) + self.pair_species(graph.pair_type)
        envelope = polynomial_envelope(length, self.type_cutoffs[graph.pair_type], self.config.envelope_power)
        ctx = Neighbourhood(graph.pair_index[0], graph.pair_index[1], length, envelope)
        for layer in self.layers:
            atoms, bonds = layer(atoms, bonds, ctx)
        onsite = self.node_out(self.node_norm(atoms)).chunk(len(self.targets), dim=1)
        pairs = (self.pair_out(self.pair_norm(bonds)) * envelope[:, None]).chunk(len(self.targets), dim=1)
        result = {}
        for name, *parts in zip(self.targets, onsite, pairs):
            back = parts if turn is None else [self._turned_back(part, turn) for part in parts]
            result[name] = OperatorFeatures(*back)
        return result

    def _joined(self, state: NodeState, features: Sequence[torch.Tensor]) -> NodeState:
        """States and the irreps of H1 together: (rows, 2l + 1, C_l) for each l."""
        parts: list[list[torch.Tensor]] = [
            [] for _ in range(1 + max(len(state) - 1, *(c.l for c in self.layout.classes)))
        ]
        for l, tensor in enumerate(state):
            parts[l].append(tensor)
        for c in self.layout.classes:
            parts[c.l].extend(f[:, c.slice].reshape(len(f), 2 * c.l + 1, c.n_paths) for f in features)
        return [
            torch.cat(same, dim=2) if same else features[0].new_zeros(len(features[0]), 2 * l + 1, 0)
            for l, same in enumerate(parts)
        ]

    def _turned_back(self, features: torch.Tensor, turn: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (rows, F) of the rotated structure in the axes of the given one."""
        blocks = [
            # dH = D^T dH', the inverse rotation
            turn[c.l].T @ features[:, c.slice].reshape(len(features), 2 * c.l + 1, c.n_paths)
            for c in self.layout.classes
        ]
        return torch.cat([block.flatten(1) for block in blocks], dim=1)

    @staticmethod
    def _rotation(count: int, like: torch.Tensor) -> list[torch.Tensor]:
        """Wigner matrices l = 0 .. count - 1 of one rotation drawn at random (torch's generator)."""
        # a normal vector in four dimensions, normalised, is a uniform unit quaternion: a uniform rotation
        w, x, y, z = nn.functional.normalize(torch.randn(4, dtype=torch.float64), dim=0).tolist()
        rotation = torch.tensor(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ],
            dtype=torch.float64,
        ).numpy()
        return [torch.from_numpy(wigner_d(l, rotation)).to(like) for l in range(max(count, 2))]


def _stage1(config: HarmoseConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str]) -> OperatorModel:
    kind = load_model_class(config.stage1)
    if issubclass(kind, Harmose):
        raise ConfigError("model harmose: stage1 must be an equivariant model, not harmose itself")
    settings = parse_config(kind.Config, config.stage1_settings, f"model harmose: stage1_settings of {config.stage1}")
    return kind(settings, basis, cutoffs, targets)


def _flat(state: NodeState) -> torch.Tensor:
    """(rows, all components)."""
    return torch.cat([x.flatten(1) for x in state], dim=1)
