"""What a model is.

Built from a typed configuration and a basis, it maps a graph to operator features, and states its cutoffs,
receptive field, inputs and symmetry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import nn

from slembench.core.config import StrictModel
from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.nn.frames import NodeState
from slembench.nn.readout import OperatorFeatures, TargetStatistics, split_features, statistics_of
from slembench.operators import OPERATORS
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis

Symmetry = Literal["O3", "SO3", "none"]
"""Group under which a model is exactly equivariant: rotations and inversion, rotations alone, or neither."""


class ModelConfig(StrictModel):
    """Base of all model configurations; unknown keys are refused."""


@dataclass(frozen=True)
class ReceptiveField:
    """Receptive field of on-site and pair outputs.

    Attributes:
        onsite: Angstrom | an on-site block of i depends on atoms within this distance of i.
        pair: Angstrom | a pair block (i, j) depends on atoms within this distance of i or of j.
        strict: True where neither grows with the number of layers.
        centred: True where all that reaches a block is collected by atoms from the pairs centred on them; of the
            atoms in the outermost pair cutoff of the field, the pairs that are centred on them do not matter then.
    """

    onsite: float
    pair: float
    strict: bool
    centred: bool = False


class Stage(NamedTuple):
    """A stage of a model's training: where it begins, in [0, 1) of the budget, and its factor on the learning rate."""

    begin: float
    lr_factor: float = 1.0


class OperatorModel(nn.Module, ABC):
    """Base class of all models.

    A subclass sets ``Config`` and implements `forward_irreps` and `receptive_field`; scales and shifts of the targets
    are shared.

    Args:
        config: instance of ``Config``.
        basis: shells per element; fixes the layout.
        cutoffs: atomic number -> cutoff radius | Angstrom; a pair reaches (r_i + r_j) / 2.
        targets: operators to predict ("hamiltonian", "overlap", "density").

    Raises:
        ConfigError: an element of the basis without cutoff, or no target.

    Example:
        A model on the graph of a molecule; its features become matrix blocks by `BlockIrreps.to_blocks`.

        >>> import ase
        >>> from slembench.data.graph import build_graph
        >>> from slembench.models.registry import load_model_class
        >>> kind = load_model_class("lem")
        >>> model = kind(kind.Config(n_layers=1), Basis.parse({"H": "1s", "O": "1s1p"}), {1: 3.0, 8: 3.0})
        >>> water = ase.Atoms("OH2", positions=[[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> graph = build_graph(water, model.cutoffs, model.layout, dtype=torch.float32)
        >>> features = model(graph)["hamiltonian"]
        >>> tuple(features.onsite.shape), tuple(features.pair.shape)  # 3 atoms, 6 ordered pairs
        ((3, 13), (6, 13))
        >>> model.symmetry, model.receptive_field.onsite
        ('O3', 6.0)
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    name: ClassVar[str] = ""
    inputs: ClassVar[tuple[str, ...]] = ()
    uses_native_kernels: ClassVar[bool] = False
    """Whether nearly all its float32 products on a CPU are the native ones of `slembench.nn.kernels`, not torch's."""
    symmetry: Symmetry = "O3"
    energy_unit: str | None = None
    """Unit of the Hamiltonians it was trained on ("eV" or "Hartree"), where that is known; kept with its weights."""

    def __init__(
        self, config: ModelConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str] = ("hamiltonian",)
    ) -> None:
        super().__init__()
        # more cutoffs than elements are no mistake: only those of the basis are kept
        missing = sorted(set(basis.elements) - set(cutoffs))
        if missing:
            raise ConfigError(f"model {self.name}: no cutoff radius for element Z = {missing[0]}")
        if not targets or not set(targets) <= set(OPERATORS):
            raise ConfigError(f"model {self.name}: targets must be among {', '.join(OPERATORS)}; got {targets}")
        self.config, self.basis = config, basis
        # in the order of the basis, which is the order of the species numbers in graphs
        self.cutoffs = {z: float(cutoffs[z]) for z in basis.elements}
        self.targets = tuple(targets)
        self.layout = BlockIrreps(basis)
        # buffers that `fit_statistics` fills: scale 1 and shift 0 until then
        self.statistics = statistics_of(self.layout, self.targets)

    @property
    @abstractmethod
    def receptive_field(self) -> ReceptiveField:
        """Distance up to which atoms can change a block of the output."""

    @abstractmethod
    def forward_irreps(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of every target for a graph (or a batch of graphs)."""

    def forward_with_features(self, graph: OperatorGraph) -> tuple[dict[str, OperatorFeatures], NodeState, NodeState]:
        """What `forward_irreps` returns, and the hidden states that it was made of.

        States of atoms (N rows) and pairs (P rows) are covariant, in the axes of the structure. Models that build on
        another one read them; one that has none to give returns empty lists.
        """
        return self.forward_irreps(graph), [], []

    def forward(self, graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Features (N, F), (P, F) of every target, in the unit of the data."""
        return self.in_units(self.forward_irreps(graph), graph)

    def in_units(self, features: dict[str, OperatorFeatures], graph: OperatorGraph) -> dict[str, OperatorFeatures]:
        """Unit-scale features of a graph, scaled and shifted into the unit of the data."""
        return {name: self.statistics[name](value, graph.species, graph.pair_type) for name, value in features.items()}

    def fit_statistics(self, graphs: Iterable[OperatorGraph]) -> None:
        """Scales and shifts of all targets from training graphs, and the mean number of neighbours."""
        # read twice
        graphs = list(graphs)
        for name in self.targets:
            statistics = self.statistics[name]
            assert isinstance(statistics, TargetStatistics)
            statistics.fit(split_features(graph, name) for graph in graphs)
        pairs = sum(graph.pair_index.shape[1] for graph in graphs)
        self.set_average_neighbours(pairs / max(1, sum(int(graph.num_nodes) for graph in graphs)))

    def set_average_neighbours(self, value: float) -> None:
        """Mean number of neighbours of an atom in the training set; models that normalise sums keep it."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages after the first, in order, for models that are trained in stages."""
        return ()

    def set_progress(self, used: float) -> None:
        """Called before every training step with the used part of the budget, in [0, 1]; staged models keep it."""

    def activate_all_parts(self) -> None:
        """Make an untrained model compute all that a trained one does; models trained in stages override this."""

    @classmethod
    def from_public(
        cls, file: Path, config: ModelConfig, basis: Basis, cutoffs: Mapping[int, float], targets: Sequence[str]
    ) -> OperatorModel:
        """Model with the weights of a checkpoint that the model's public code wrote; see ``import-checkpoint``.

        Args:
            file: the checkpoint.
            config: hyper-parameters that it was trained with.
            basis: shells per element.
            cutoffs: atomic number -> cutoff radius | Angstrom.
            targets: the operator that it predicts.

        Raises:
            ConfigError: the model has no importer, or the file does not fit.
        """
        raise ConfigError(f"model {cls.name}: does not import checkpoints of other programs")

    @property
    def frame_lmax(self) -> int:
        """Largest l of pair frames that graphs should bring along (`attach_frames`); 0 for none."""
        return 0

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def pair_cutoff(self) -> float:
        """Largest pair cutoff | Angstrom."""
        return max(self.cutoffs.values())


def type_cutoffs(model: OperatorModel) -> torch.Tensor:
    """(n_elements^2,) | Angstrom | pair cutoff of every pair type s_i * n_elements + s_j.

    Example:
        >>> from slembench.models.registry import load_model_class
        >>> kind = load_model_class("slem")
        >>> model = kind(kind.Config(n_layers=1), Basis.parse({"H": "1s", "O": "1s1p"}), {1: 3.0, 8: 4.0})
        >>> type_cutoffs(model)
        tensor([3.0000, 3.5000, 3.5000, 4.0000])
    """
    # r_ij = (r_i + r_j) / 2, the rule by which graphs are built
    radius = torch.tensor([model.cutoffs[z] for z in model.basis.elements], dtype=torch.get_default_dtype())
    return ((radius[:, None] + radius[None, :]) / 2).reshape(-1)
