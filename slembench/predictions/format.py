"""Format of a predictions file: its attributes, datasets and checksum; and the interface of all that can be scored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import h5py
import numpy as np

from slembench.core.errors import PredictionError
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import ENERGY_UNITS, LENGTH_UNITS

PREDICTIONS_FILE = "predictions.h5"
"""Name of the predictions file in a run's folder and in a submission."""


FORMAT = "slembench-predictions"
VERSION = 1
CONVENTION = "slembench"
INTEGERS = {"numbers": 1, "atom_offsets": 1, "pair_index": 2, "pair_shift": 3, "pair_offsets": 1}
"""Integer dataset -> columns (1: one-dimensional)."""

CHUNK = 1 << 22
"""Rows read at a time when a whole file is gone through."""


@dataclass(frozen=True)
class PredictionHeader:
    """Attributes of a predictions file.

    Attributes:
        dataset: name of the data set.
        dataset_fingerprint: sha256 of its content (`Dataset.fingerprint`).
        split: name of the split that was predicted.
        model: name of the model.
        basis: shells per element.
        energy_unit: unit of the Hamiltonian, a word of `slembench.operators.units.ENERGY_UNITS`.
        length_unit: a word of `slembench.operators.units.LENGTH_UNITS`.
    """

    dataset: str
    dataset_fingerprint: str
    split: str
    model: str
    basis: Basis
    energy_unit: str
    length_unit: str = "Angstrom"

    def check_units(self, where: str) -> None:
        """Compare the unit words with the known ones.

        Raises:
            PredictionError: an unknown word; names ``where``.

        Example:
            >>> header = PredictionHeader("h2", "", "test", "mine", Basis.parse({"H": "1s"}), "Hartrees")
            >>> header.check_units("mine.h5")
            Traceback (most recent call last):
            slembench.core.errors.PredictionError: mine.h5: attribute 'energy_unit' is 'Hartrees'; use one of eV, ...
        """
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


def checksum(file: h5py.File) -> str:
    """sha256 over all datasets of an open predictions file.

    Datasets in the order of their sorted full names; of each the text ``name dtype shape;`` (such as
    ``pair_index int64 (720, 2);``; dtype "utf-8" for the ids), then its little-endian bytes (ids: each one's UTF-8
    bytes and a zero byte).
    """
    # over content, not over the file: HDF5 files of equal content differ in chunks, free space and order of creation
    digest = hashlib.sha256()
    for name in sorted(dataset_names(file)):
        dataset = file[name]
        text = h5py.check_string_dtype(dataset.dtype) is not None
        digest.update(f"{name} {'utf-8' if text else dataset.dtype.name} {dataset.shape};".encode())
        for start in range(0, len(dataset), CHUNK):
            if text:
                digest.update(b"".join(i.encode() + b"\0" for i in dataset.asstr()[start : start + CHUNK]))
            else:
                part = dataset[start : start + CHUNK]
                digest.update(np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def dataset_names(file: h5py.File) -> list[str]:
    """Full names of all datasets of an open file."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names
