"""The superposition of atoms: PySCF's ``minao`` density of a molecule and the Fock matrix of it."""

from __future__ import annotations

from collections.abc import Sequence

from slembench.blocks import BlockMatrix
from slembench.data import Dataset, Sample
from slembench.data.scf import guess_density, one_shot_energy
from slembench.errors import ConfigError
from slembench.floors.source import FloorPredictions


def superposition_of_atoms(dataset: Dataset, split: str, operators: Sequence[str]) -> FloorPredictions:
    """The floor ``atoms``: D of the card's initial guess and H = F[D]; S does not belong to it.

    Args:
        dataset: molecules.
        split: split to predict.
        operators: operators wanted; S is left out.

    Raises:
        ConfigError: the card names no protocol of self-consistent runs, or only S was wanted.
    """
    protocol = dataset.card.scf
    if protocol is None:
        raise ConfigError(
            f"data set {dataset.name}: no floor 'atoms', its card names no protocol of self-consistent runs (key 'scf')"
        )
    chosen = [op for op in operators if op != "overlap"]
    if not chosen:
        raise ConfigError("floor 'atoms' predicts the Hamiltonian and the density, not the overlap")

    def predict(sample: Sample) -> dict[str, BlockMatrix]:
        density = guess_density(sample.atoms, protocol)
        matrices = {"density": density}
        if "hamiltonian" in chosen:
            matrices["hamiltonian"] = one_shot_energy(sample.atoms, protocol, density)[1]
        numbers = sample.atoms.numbers
        return {op: BlockMatrix.from_dense(dataset.basis, numbers, matrices[op]).hermitise() for op in chosen}

    return FloorPredictions(dataset, split, "atoms", chosen, predict)
