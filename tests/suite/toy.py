"""A small model that tests copy into a folder of its own: obedient, not equivariant or failing, as its recipe says."""

from typing import Literal

import torch
from torch import nn

from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField
from slembench.nn.readout import OperatorFeatures


class ToyConfig(ModelConfig):
    manner: Literal["obedient", "crooked", "failing", "infinite", "forgetful", "crowded"] = "obedient"
    claims: Literal["O3", "SO3", "none"] = "O3"


class Toy(OperatorModel):
    """Scalars of every pair from species and distance; a crooked one fills the other irreps with them, too."""

    Config = ToyConfig
    name = "toy"

    def __init__(self, config, basis, cutoffs, targets=("hamiltonian",)):
        super().__init__(config, basis, cutoffs, targets)
        n, size = len(basis.elements), self.layout.n_features
        self.symmetry = config.claims
        self.onsite = nn.ModuleDict({t: nn.Embedding(n, size) for t in self.targets})
        self.pair = nn.ModuleDict({t: nn.Linear(n * n + 1, size) for t in self.targets})
        allowed = torch.from_numpy(self.layout.scalar)
        self.register_buffer("allowed", torch.ones_like(allowed) if config.manner == "crooked" else allowed)
        self.calls = 0

    @property
    def receptive_field(self):
        return ReceptiveField(0.0, self.pair_cutoff, True)

    def forward_irreps(self, graph):
        self.calls += 1
        manner = self.config.manner
        if manner == "failing":
            raise RuntimeError("the toy is broken")
        n = len(self.basis.elements)
        i, j = graph.pair_type // n, graph.pair_type % n
        kind = nn.functional.one_hot(graph.pair_type, n * n) + nn.functional.one_hot(j * n + i, n * n)
        distance = graph.pair_vector.norm(dim=1, keepdim=True)
        pairs = torch.cat([kind.to(distance), distance], dim=1)
        factors = {"infinite": float("inf"), "forgetful": self.calls, "crowded": len(graph.species)}
        factor = float(factors.get(manner, 1.0)) * self.allowed
        return {
            t: OperatorFeatures(self.onsite[t](graph.species) * factor, self.pair[t](pairs) * factor)
            for t in self.targets
        }
