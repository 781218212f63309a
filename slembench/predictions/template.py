"""A predictions file of a data set for programs that use h5py alone: empty, to be filled in, or with the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from slembench.blocks import BlockMatrix
from slembench.files import atomic_file
from slembench.orbitals import Basis, IntArray
from slembench.predictions.layout import CHUNK
from slembench.predictions.writer import PredictionWriter

Structure = tuple[str, IntArray, Mapping[str, BlockMatrix]]
"""Id, (N,) atomic numbers and the reference operators, whose pairs are to be predicted."""


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
    filled: bool = False,
    progress: Callable[[Iterable[Structure]], Iterable[Structure]] = iter,
) -> Path:
    """Write a predictions file in which everything stands but the values, which are NaN, and the checksum.

    With ``filled`` the values are the reference: what a model is trained on, in the form in which it is to answer.

    Args:
        path: file to write; replaced if it exists.
        structures: what is to be predicted; one triangle of the pairs is enough.
        operators: hamiltonian, overlap, density.
        dataset: name of the data set.
        dataset_fingerprint: sha256 of its content.
        split: name of the split.
        basis: shells per element.
        energy_unit: unit of the Hamiltonian. The model is named "unnamed"; whoever fills in the file changes that.
        filled: write the reference values; the model is named "reference".
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
            model="reference" if filled else "unnamed",
            basis=basis,
            energy_unit=energy_unit,
        ) as writer:
            for name, numbers, reference in progress(structures):
                blocks = {key: reference[key] if filled else _emptied(reference[key]) for key in operators}
                writer.add(name, numbers, blocks)
        if not filled:
            _erase(temporary, operators)
    return Path(path)


def _emptied(blocks: BlockMatrix) -> BlockMatrix:
    return blocks.with_values(np.zeros_like(blocks.values))


def _erase(path: Path, operators: Sequence[str]) -> None:
    """All values NaN, and no checksum."""
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
        for operator in operators:
            values = file[f"operators/{operator}/values"]
            for start in range(0, len(values), CHUNK):
                values[start : start + CHUNK] = np.nan
