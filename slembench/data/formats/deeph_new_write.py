"""Writer of the new DeepH layout; `deeph_new` describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ase
import h5py
import numpy as np
from ase.data import atomic_numbers

from slembench.blocks import BlockMatrix
from slembench.data.formats.deeph_folder import in_order, write_note
from slembench.data.formats.deeph_new import MATRIX_FILES
from slembench.data.sample import Sample, check_sample, on_common_pairs
from slembench.errors import DataError
from slembench.files import atomic_folder, write_text
from slembench.orbitals import FloatArray, IntArray
from slembench.units import energy_factor

VACUUM = 20.0
"""Angstrom between a molecule and its images in the box that stands for a missing cell."""


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/<id>; each folder appears whole or not at all.

    Energies are turned into eV, both directions of every pair are written, all operators on the same pairs, and atoms
    are grouped by element (in order of first appearance) as the layout wants it. A molecule gets a box. A note beside
    the files (`deeph_folder`) lets them be read back as they were.

    Raises:
        DataError: a folder that exists already, or an id that cannot be a folder's name.
    """
    for sample in samples:
        if Path(sample.id).name != sample.id:
            raise DataError(f"{path}: structure {sample.id!r}: key 'id': cannot be the name of a folder")
        try:
            with atomic_folder(path / sample.id) as folder:
                order = _grouped(check_sample(sample, str(path)).atoms.numbers)
                _write_structure(in_order(sample, order), folder)
                write_note(folder, sample.atoms, order)
        except FileExistsError as error:
            raise DataError(f"{path}: structure {sample.id!r}: {error}") from error


def _write_structure(sample: Sample, folder: Path) -> None:
    to_ev = energy_factor(sample.info.energy_unit, "eV")
    for name, matrix in on_common_pairs(sample.operators).items():
        _write_matrix(folder / MATRIX_FILES[name], matrix * to_ev if name == "hamiltonian" else matrix)
    symbols, level = dict.fromkeys(sample.atoms.symbols), sample.info.fermi_level
    content: dict[str, Any] = {
        "atoms_quantity": len(sample.atoms),
        "orbits_quantity": int(sample.basis.sizes(sample.atoms.numbers).sum()),
        "orthogonal_basis": False,
        "spinful": False,
        "fermi_energy_eV": None if level is None else level * to_ev,
        "elements_orbital_map": {symbol: list(sample.basis.shells[atomic_numbers[symbol]]) for symbol in symbols},
    }
    if sample.info.electrons is not None:
        content["occupation"] = sample.info.electrons
    write_text(folder / "info.json", json.dumps(content))
    write_text(folder / "POSCAR", _poscar(sample.atoms))


def _write_matrix(file: Path, matrix: BlockMatrix) -> None:
    with h5py.File(file, "w") as target:
        target["atom_pairs"] = np.concatenate([matrix.pair_shift, matrix.pair_index], axis=1)
        target["chunk_shapes"] = matrix.shapes
        target["chunk_boundaries"] = matrix.offsets
        target["entries"] = matrix.values


def _poscar(atoms: ase.Atoms) -> str:
    """POSCAR text with every digit of the coordinates, Cartesian."""
    cell = filled_cell(atoms)
    counts = {symbol: int((np.array(atoms.symbols) == symbol).sum()) for symbol in dict.fromkeys(atoms.symbols)}
    rows = ["  ".join(map(repr, row)) for row in (*cell.tolist(), *atoms.positions.tolist())]
    lines = [
        "written by slembench",
        "1.0",
        *rows[:3],
        " ".join(counts),
        " ".join(map(str, counts.values())),
        "Cartesian",
    ]
    return "\n".join([*lines, *rows[3:], ""])


def filled_cell(atoms: ase.Atoms) -> FloatArray:
    """The cell, each missing vector replaced by one that leaves `VACUUM` around the atoms (a POSCAR needs three)."""
    cell = np.array(atoms.cell.complete().array)
    for axis in np.flatnonzero(~atoms.cell.array.any(axis=1)):
        cell[axis] *= np.ptp(atoms.positions @ cell[axis]) + VACUUM
    return cell


def _grouped(numbers: IntArray) -> IntArray:
    """Order of the atoms that groups them by element, elements in order of first appearance."""
    rank = {z: k for k, z in enumerate(dict.fromkeys(numbers.tolist()))}
    return np.argsort([rank[z] for z in numbers.tolist()], kind="stable")
