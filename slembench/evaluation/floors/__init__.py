"""Floors: trivial predictors, scored like any model. A model below a floor says something about the data.

``zero``; ``irreps-mean``, the mean of the scalar irreps over the training set, per element and element pair;
``two-body``, a fit in which a block depends on species and distance vector only; and ``atoms``, the superposition of
atoms (PySCF's ``minao`` guess and its Fock matrix) for molecules whose card names a protocol of self-consistent runs.
``atoms`` costs a Fock build a structure and is therefore made on request only. All are made when asked for, and scored
as a predictions file is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from slembench.core.errors import ConfigError
from slembench.core.progress import progress
from slembench.data import Dataset, Sample
from slembench.data.pyscf import guess_density, one_shot_energy
from slembench.evaluation.floors.irreps_mean import IrrepsMean
from slembench.evaluation.floors.two_body import TwoBody
from slembench.operators.blocks import BlockMatrix, pair_vectors
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.predictions import PredictionHeader

__all__ = ["FLOORS", "FloorPredictions", "IrrepsMean", "TwoBody", "floor_predictions"]

FLOORS = ("zero", "irreps-mean", "two-body")
"""Names of the floors that every data set has, the weakest first."""


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


Predictor = Callable[[Sample], dict[str, BlockMatrix]]


class FloorPredictions:
    """Predictions of a floor for one split, made when asked for; scored as a predictions file is.

    Attributes:
        attrs: data set, split, ``floor-<name>`` as the model, basis and units.
        ids: structures of the split.
        operators: operators predicted.
    """

    def __init__(self, dataset: Dataset, split: str, name: str, operators: Sequence[str], predict: Predictor) -> None:
        self.attrs = PredictionHeader(
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            split=split,
            model=f"floor-{name}",
            basis=dataset.basis,
            energy_unit=dataset.card.units.energy,
        )
        self.ids = dataset.split(split)
        self.operators = tuple(operators)
        self._dataset, self._predict = dataset, predict

    def __getitem__(self, structure: str) -> dict[str, BlockMatrix]:
        """Operators of one structure, unit of the data set."""
        return self._predict(self._dataset.sample(structure))


def floor_predictions(
    dataset: Dataset,
    name: str,
    split: str = "test",
    operators: Sequence[str] | None = None,
    train_ids: Sequence[str] | None = None,
) -> FloorPredictions:
    """Predictions of a floor.

    Args:
        dataset: the data set.
        name: a name in `FLOORS`, or ``atoms``.
        split: split to predict.
        operators: operators to predict; all of the data set by default.
        train_ids: structures that fitted floors see; the training split by default.

    Raises:
        ConfigError: no floor of that name, an operator that the data set lacks, or a data set whose card names no
            protocol for ``atoms``.
        DataError: no such split.

    Example:
        >>> from slembench.data import load_dataset
        >>> floor = floor_predictions(load_dataset("mos2-mini"), "zero", operators=["overlap"])
        >>> floor.attrs.model, len(floor.ids), bool(floor[floor.ids[0]]["overlap"].values.any())
        ('floor-zero', 28, False)
    """
    chosen = tuple(operators) if operators is not None else dataset.card.operators
    lacking = [op for op in chosen if op not in dataset.card.operators]
    if lacking:
        raise ConfigError(
            f"data set {dataset.name} has no operator {lacking[0]!r}, only {', '.join(dataset.card.operators)}"
        )
    if name == "zero":
        return FloorPredictions(
            dataset, split, name, chosen, lambda sample: {op: sample.operators[op] * 0.0 for op in chosen}
        )
    if name == "atoms":
        return superposition_of_atoms(dataset, split, chosen)
    if name not in FLOORS:
        raise ConfigError(f"no floor {name!r}; use one of {', '.join((*FLOORS, 'atoms'))}")
    layout, cutoff = BlockIrreps(dataset.basis), max(dataset.cutoffs.values())
    fits: dict[str, IrrepsMean | TwoBody] = {
        op: IrrepsMean(layout) if name == "irreps-mean" else TwoBody(layout, cutoff) for op in chosen
    }
    training = dataset.split("train") if train_ids is None else train_ids
    for structure in progress(training, f"fit floor {name}"):
        sample = dataset.sample(structure)
        pairs = _offsite(dataset, sample)
        for op, fit in fits.items():
            fit.add(sample.operators[op], *pairs)

    def predict(sample: Sample) -> dict[str, BlockMatrix]:
        numbers, pairs = np.asarray(sample.atoms.numbers), _offsite(dataset, sample)
        return {op: fit.predict(numbers, *pairs) for op, fit in fits.items()}

    return FloorPredictions(dataset, split, name, chosen, predict)


def _offsite(dataset: Dataset, sample: Sample) -> tuple[IntArray, IntArray, FloatArray]:
    """Scored pairs but the on-site ones: atoms (P, 2), translations (P, 3), vectors (P, 3) in Angstrom."""
    index, shift = dataset.pairs(sample)
    offsite = (index[:, 0] != index[:, 1]) | shift.any(axis=1)
    index, shift = index[offsite], shift[offsite]
    return index, shift, pair_vectors(sample.atoms.positions, sample.atoms.cell.array, index, shift)
