"""Shared by both DeepH layouts: reading info.json, and a note of what they have no place for.

The note, ``slembench.json``, is written by this project beside the files of a structure; DeepH leaves it alone. Where
it is found, a structure comes back as it was: its order of atoms, its periodic axes, no vector where it had none.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import ase
import numpy as np
from pydantic import BaseModel, ConfigDict

from slembench.core.config import StrictModel, parse_config
from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data.sample import Sample
from slembench.operators.orbitals import IntArray

NOTE_FILE = "slembench.json"

Content = TypeVar("Content", bound=BaseModel)


class Note(StrictModel):
    """Contents of the note.

    Attributes:
        periodic: periodic axes.
        vectors: axes whose lattice vector is the structure's own; the others were filled in.
        order: (N,) number in the structure of each atom of the files.
    """

    model_config = ConfigDict(strict=True)

    periodic: list[bool]
    vectors: list[bool]
    order: list[int]


def read_keys(file: Path, model: type[Content]) -> Content:
    """Contents of a JSON file of a structure's folder.

    Args:
        file: path.
        model: its keys.

    Raises:
        DataError: missing or no JSON, a key that is missing or of the wrong kind; names file, structure and key.
    """
    place = f"{file}: structure {file.parent.name!r}"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{place}: not readable as JSON: {error}") from error
    return parse_config(model, content, place, DataError)


def write_note(folder: Path, atoms: ase.Atoms, order: IntArray) -> None:
    """Write the note of a structure.

    Args:
        folder: where its files are written.
        atoms: the structure as it was.
        order: (N,) number in ``atoms`` of each atom of the files.
    """
    own = atoms.cell.array.any(axis=1)  # a missing lattice vector is zero in ASE
    note = Note(periodic=atoms.pbc.tolist(), vectors=own.tolist(), order=order.tolist())
    write_text(folder / NOTE_FILE, note.model_dump_json())


def apply_note(sample: Sample, folder: Path) -> Sample:
    """The structure as it was before it was written; itself where there is no note.

    Raises:
        DataError: a note that is damaged or of another structure.
    """
    file = folder / NOTE_FILE
    if not file.is_file():
        return sample
    note, place = read_keys(file, Note), f"{file}: structure {folder.name!r}"
    if len(note.periodic) != 3 or len(note.vectors) != 3:
        raise DataError(f"{place}: keys 'periodic', 'vectors': must be three words true or false")
    if sorted(note.order) != list(range(len(sample.atoms))):
        raise DataError(
            f"{place}: key 'order': must number the {len(sample.atoms)} atoms from 0; without the file, the structure"
            " is read as DeepH does"
        )
    if any(matrix.pair_shift[:, ~np.array(note.vectors)].any() for matrix in sample.operators.values()):
        raise DataError(f"{place}: key 'vectors': no lattice vector along an axis that blocks are displaced along")
    atoms = sample.atoms.copy()
    atoms.pbc = note.periodic
    atoms.cell = atoms.cell.array * np.array(note.vectors)[:, None]  # drops the vectors that were filled in
    return in_order(replace(sample, atoms=atoms), np.argsort(note.order))


def in_order(sample: Sample, order: IntArray) -> Sample:
    """The sample with its atoms in another order; itself if it is the one they have.

    Args:
        sample: structure with operators.
        order: (N,) number in the sample of each atom of the result.
    """
    if np.array_equal(order, np.arange(len(order))):
        return sample
    # `order` maps new to old numbers; pairs name old ones, so they need the inverse
    numbers, place = sample.atoms.numbers[order], np.argsort(order)
    operators = {
        name: replace(operator, numbers=numbers, pair_index=place[operator.pair_index])
        for name, operator in sample.operators.items()
    }
    return replace(sample, atoms=sample.atoms[order], operators=operators)
