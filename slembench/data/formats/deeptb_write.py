"""Writer of DeePTB's folders; `deeptb` describes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix
from slembench.data.formats.deeptb import OPERATOR_FILES, PREFIX, UNITS_FILE
from slembench.data.sample import Sample, check_sample
from slembench.errors import DataError
from slembench.files import atomic_folder, write_text
from slembench.units import energy_factor


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/data.<id> with one frame; each folder appears whole or not at all.

    ``path`` is DeePTB's ``root``, ``data`` its ``prefix``. Energies are turned into eV, atoms count from 0, both
    directions of every pair are written. The unit is noted in a file that DeePTB leaves alone.

    Raises:
        DataError: a folder that exists already, or an id that cannot be part of a folder's name.
    """
    for sample in samples:
        if Path(sample.id).name != sample.id:
            raise DataError(f"{path}: structure {sample.id!r}: key 'id': cannot be the name of a folder")
        try:
            with atomic_folder(path / f"{PREFIX}{sample.id}") as folder:
                _write_folder(check_sample(sample, str(path)), folder)
        except FileExistsError as error:
            raise DataError(f"{path}: structure {sample.id!r}: {error}") from error


def _write_folder(sample: Sample, folder: Path) -> None:
    to_ev, atoms = energy_factor(sample.info.energy_unit, "eV"), sample.atoms
    for name, matrix in sample.operators.items():
        _write_blocks(folder / OPERATOR_FILES[name][0], matrix * to_ev if name == "hamiltonian" else matrix)
    info = {"nframes": 1, "natoms": len(atoms), "pos_type": "cart", "pbc": atoms.pbc.tolist()}
    write_text(folder / "info.json", json.dumps(info))
    write_text(folder / UNITS_FILE, json.dumps({"energy": "eV", "length": "Angstrom"}))
    write_text(folder / "basis.dat", repr(sample.basis.to_dict()))
    _write_table(folder / "positions.dat", atoms.positions)
    _write_table(folder / "cell.dat", atoms.cell.array)
    _write_table(folder / "pbc.dat", atoms.pbc.astype(int)[:, None])
    _write_table(folder / "atomic_numbers.dat", atoms.numbers[:, None])


def _write_blocks(file: Path, matrix: BlockMatrix) -> None:
    full = matrix.complete()
    names = np.concatenate([full.pair_index, full.pair_shift], axis=1).tolist()
    with h5py.File(file, "w") as target:
        group = target.create_group("0")
        for name, shape, a, b in zip(names, full.shapes.tolist(), full.offsets[:-1], full.offsets[1:]):
            group["_".join(map(str, name))] = full.values[a:b].reshape(shape)


def _write_table(file: Path, table: NDArray[np.generic]) -> None:
    """Rows of numbers with every digit."""
    write_text(file, "".join(" ".join(map(repr, row)) + "\n" for row in table.tolist()))
