"""An empty predictions file of a data set, for programs that fill it in with h5py alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from slembench.blocks import BlockMatrix
from slembench.files import atomic_file
from slembench.orbitals import Basis, IntArray
from slembench.predictions.layout import CHUNK
from slembench.predictions.writer import PredictionWriter

Structure = tuple[str, IntArray, IntArray, IntArray]
"""Id, (N,) atomic numbers, (P, 2) atoms and (P, 3) translations of the pairs."""


def write_template(
    path: str | Path,
    structures: Iterable[Structure],
    operators: Sequence[str],
    *,
    dataset: str,
    dataset_fingerprint: str,
    split: str,
    basis: Basis,
    energy_unit: str,
    progress: Callable[[Iterable[Structure]], Iterable[Structure]] = iter,
) -> Path:
    """Write a predictions file in which everything stands but the values, which are NaN, and the checksum.

    Args:
        path: file to write; replaced if it exists.
        structures: what is to be predicted; one triangle of the pairs is enough.
        operators: hamiltonian, overlap, density.
        dataset: name of the data set.
        dataset_fingerprint: sha256 of its content.
        split: name of the split.
        basis: shells per element.
        energy_unit: unit of the Hamiltonian. The model is named "unnamed"; whoever fills in the file changes that.
        progress: wraps the iteration over structures (a progress bar).

    Raises:
        PredictionError: a repeated id, an unknown operator or unit word, or no structure at all.
    """
    with atomic_file(path) as temporary:
        with PredictionWriter(
            temporary,
            dataset=dataset,
            dataset_fingerprint=dataset_fingerprint,
            split=split,
            model="unnamed",
            basis=basis,
            energy_unit=energy_unit,
        ) as writer:
            for name, numbers, index, shift in progress(structures):
                empty = BlockMatrix.zeros(basis, numbers, index, shift)
                writer.add(name, numbers, dict.fromkeys(operators, empty))
        with h5py.File(temporary, "r+") as file:
            del file.attrs["checksum"]
            for operator in operators:
                values = file[f"operators/{operator}/values"]
                for start in range(0, len(values), CHUNK):
                    values[start : start + CHUNK] = np.nan
    return Path(path)
