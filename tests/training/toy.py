"""A small model with few weights, and chains of atoms with made-up operators, for tests of the training.

Run as a script it trains on them: ``python toy.py FOLDER CONFIG_JSON [DROPOUT]``, also in processes of torchrun.
"""

import json
import sys
from pathlib import Path

import ase
import numpy as np
import torch
from torch import nn

from slembench.data.graph import build_graph
from slembench.data.pairs import scored_pairs
from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField
from slembench.nn.readout import OperatorFeatures
from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"H": "1s", "C": "2s1p"})
CUTOFFS = {1: 2.0, 6: 3.0}
TARGETS = ("hamiltonian", "overlap")


class ToyConfig(ModelConfig):
    width: int = 16
    dropout: float = 0.0


class Toy(OperatorModel):
    """Features from species and distance alone, by one hidden layer; not equivariant, but it learns."""

    Config = ToyConfig
    name = "toy"

    def __init__(self, config, basis, cutoffs, targets=("hamiltonian",)):
        super().__init__(config, basis, cutoffs, targets)
        n, size = len(basis.elements), self.layout.n_features
        self.onsite = nn.ModuleDict({t: nn.Embedding(n, size) for t in self.targets})
        self.pair = nn.ModuleDict(
            {
                t: nn.Sequential(
                    nn.Linear(n * n + 1, config.width),
                    nn.Tanh(),
                    nn.Dropout(config.dropout),
                    nn.Linear(config.width, size),
                )
                for t in self.targets
            }
        )

    @property
    def receptive_field(self):
        return ReceptiveField(0.0, self.pair_cutoff, True)

    def forward_irreps(self, graph):
        kind = nn.functional.one_hot(graph.pair_type, len(self.basis.elements) ** 2)
        pairs = torch.cat([kind.to(graph.pair_vector), graph.pair_vector.norm(dim=1, keepdim=True)], dim=1)
        return {t: OperatorFeatures(self.onsite[t](graph.species), self.pair[t](pairs)) for t in self.targets}


def structure(seed, n_atoms=5):
    """A jittered chain of C and H, and a Hamiltonian and an overlap that decay with distance."""
    rng = np.random.default_rng(seed)
    positions = np.stack([1.2 * np.arange(n_atoms), *np.zeros((2, n_atoms))], axis=1) + 0.1 * rng.normal(
        size=(n_atoms, 3)
    )
    atoms = ase.Atoms(rng.choice([1, 6], size=n_atoms), positions)
    index, shift = scored_pairs(atoms, CUTOFFS)
    blank = BlockMatrix.zeros(BASIS, atoms.numbers, index, shift)
    distance = np.linalg.norm(blank.vectors(atoms.positions, np.asarray(atoms.cell)), axis=1)[blank.element_pair]
    values = np.exp(-distance) * (1.0 + blank._element_local[0] + blank._element_local[1])
    hamiltonian = blank.with_values(-10 * values).hermitise()
    return atoms, {"hamiltonian": hamiltonian, "overlap": blank.with_values(values).hermitise()}


def graphs(seeds, dtype=torch.float32):
    layout = BlockIrreps(BASIS)
    return [build_graph(atoms, CUTOFFS, layout, operators, dtype) for atoms, operators in map(structure, seeds)]


def model(seed=0, **config):
    torch.manual_seed(seed)
    return Toy(ToyConfig(**config), BASIS, CUTOFFS, TARGETS)


if __name__ == "__main__":
    from slembench.training.config import TrainConfig
    from slembench.training.distributed import process_group
    from slembench.training.loop import train

    torch.set_num_threads(1)
    settings = TrainConfig.model_validate(json.loads(sys.argv[2]))
    dropout = float(sys.argv[3]) if len(sys.argv) > 3 else 0.1
    with process_group():
        own, others = (graphs(seeds, getattr(torch, settings.dtype)) for seeds in (range(7), range(100, 103)))
        train(model(dropout=dropout), own, others, settings, Path(sys.argv[1]))
