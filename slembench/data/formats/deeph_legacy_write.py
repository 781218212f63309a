"""Writer of the legacy DeepH layout; `deeph_legacy` describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from slembench.blocks import BlockMatrix
from slembench.data.formats.deeph_folder import write_note
from slembench.data.formats.deeph_legacy import MATRIX_FILES
from slembench.data.formats.deeph_new_write import filled_cell
from slembench.data.formats.orbital_order import from_canonical
from slembench.data.sample import Sample, check_sample
from slembench.errors import DataError
from slembench.files import atomic_folder, write_text
from slembench.orbitals import FloatArray
from slembench.units import energy_factor


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/<id>; each folder appears whole or not at all.

    Energies are turned into eV, both directions of every pair are written, every operator on its own pairs, in their
    order. A molecule gets a box; a note beside the files (`deeph_folder`) says so. The layout has no place for the
    number of electrons and the total energy.

    Raises:
        DataError: a folder that exists already, an id that cannot be a folder's name, or a shell beyond f.
    """
    for sample in samples:
        if Path(sample.id).name != sample.id:
            raise DataError(f"{path}: structure {sample.id!r}: key 'id': cannot be the name of a folder")
        try:
            with atomic_folder(path / sample.id) as folder:
                _write_structure(check_sample(sample, str(path)), folder)
        except FileExistsError as error:
            raise DataError(f"{path}: structure {sample.id!r}: {error}") from error


def _write_structure(sample: Sample, folder: Path) -> None:
    to_ev = energy_factor(sample.info.energy_unit, "eV")
    numbers, cell = sample.atoms.numbers, filled_cell(sample.atoms)
    for name, operator in sample.operators.items():
        matrix = from_canonical(operator.complete(), "openmx")
        _write_matrix(folder / MATRIX_FILES[name], matrix * to_ev if name == "hamiltonian" else matrix)
    info: dict[str, Any] = {
        "nsites": len(numbers),
        "isorthogonal": False,
        "isspinful": False,
        "norbits": int(sample.basis.sizes(numbers).sum()),
    }
    if sample.info.fermi_level is not None:
        info["fermi_level"] = sample.info.fermi_level * to_ev
    write_text(folder / "info.json", json.dumps(info))
    write_text(folder / "element.dat", "".join(f"{z}\n" for z in numbers.tolist()))
    write_text(folder / "orbital_types.dat", _table(sample.basis.shells[z] for z in numbers.tolist()))
    write_text(folder / "lat.dat", _columns(cell))
    write_text(folder / "rlat.dat", _table((2 * np.pi * np.linalg.inv(cell)).tolist()))
    write_text(folder / "site_positions.dat", _columns(sample.atoms.positions))
    write_note(folder, sample.atoms, np.arange(len(numbers)))


def _write_matrix(file: Path, matrix: BlockMatrix) -> None:
    """One dataset a pair, remembering their order."""
    rows = np.concatenate([matrix.pair_shift, matrix.pair_index + 1], axis=1).tolist()
    shapes, bounds = matrix.shapes.tolist(), matrix.offsets
    with h5py.File(file, "w", track_order=True) as target:
        for row, shape, start, end in zip(rows, shapes, bounds, bounds[1:]):
            target[json.dumps(row)] = matrix.values[start:end].reshape(shape)


def _columns(vectors: FloatArray) -> str:
    """Text of (n, 3) vectors as the columns of a table, with every digit."""
    return _table(vectors.T.tolist())


def _table(rows: Iterable[Iterable[float]]) -> str:
    return "".join(" ".join(map(repr, row)) + "\n" for row in rows)
