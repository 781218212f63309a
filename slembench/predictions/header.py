"""What a predictions file says of itself, and the interface of anything that can be scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from slembench.blocks import BlockMatrix
from slembench.errors import PredictionError
from slembench.orbitals import Basis
from slembench.units import ENERGY_UNITS, LENGTH_UNITS

OPERATORS = ("hamiltonian", "overlap", "density")
"""Operators that may be predicted."""


@dataclass(frozen=True)
class PredictionHeader:
    """What a predictions file says of itself.

    Attributes:
        dataset: name of the data set.
        dataset_fingerprint: sha256 of its content (`Dataset.fingerprint`).
        split: name of the split that was predicted.
        model: name of the model.
        basis: shells per element.
        energy_unit: unit of the Hamiltonian, a word of `slembench.units.ENERGY_UNITS`.
        length_unit: a word of `slembench.units.LENGTH_UNITS`.
    """

    dataset: str
    dataset_fingerprint: str
    split: str
    model: str
    basis: Basis
    energy_unit: str
    length_unit: str = "Angstrom"

    def check_units(self, where: str) -> None:
        """Raise PredictionError, naming ``where``, if a unit word is unknown."""
        for key, word, known in (
            ("energy_unit", self.energy_unit, ENERGY_UNITS),
            ("length_unit", self.length_unit, LENGTH_UNITS),
        ):
            if word not in known:
                raise PredictionError(f"{where}: attribute {key!r} is {word!r}; use one of {', '.join(known)}")


class PredictionSource(Protocol):
    """Predicted operators by structure id: a file (`Predictions`), a floor, or anything else with these members."""

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the predicted structures."""

    @property
    def attrs(self) -> PredictionHeader:
        """Data set, split, model, basis and units."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the predicted operators."""

    def __getitem__(self, structure: str) -> Mapping[str, BlockMatrix]:
        """Operators of one structure, float64."""
