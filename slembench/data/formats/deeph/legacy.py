"""The layout of DeepH-pack before 2026 and of DeepH-E3: one folder a structure, one HDF5 dataset a block.

eV and Angstrom. ``element.dat`` one Z a line; ``lat.dat``, ``site_positions.dat`` and ``rlat.dat`` (with 2 pi) hold
their vectors as *columns*; ``orbital_types.dat`` the l of the shells, one row an atom; ``info.json``. In
``hamiltonians.h5``, ``overlaps.h5``, ``density_matrixs.h5`` the dataset "[Rx, Ry, Rz, i, j]" (atoms from 1) is the
block of that pair, in OpenMX's order of orbitals; the matrices need not have the same pairs. Source: a MoTe2 structure
that exists in this and the new layout, bit for bit the same after the permutation.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ase
import h5py
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data.formats.deeph.current import filled_cell
from slembench.data.formats.deeph.folder import apply_note, read_keys, write_note
from slembench.data.formats.folders import folders_with, new_folder, number_table
from slembench.data.formats.orbital_order import check_hermitian, from_canonical, to_canonical
from slembench.data.sample import Sample, SampleInfo, check_finite, check_sample
from slembench.operators.blocks import BlockMatrix, pair_keys
from slembench.operators.orbitals import Basis, FloatArray, IntArray
from slembench.operators.units import energy_factor

MATRIX_FILES = {"hamiltonian": "hamiltonians.h5", "overlap": "overlaps.h5", "density": "density_matrixs.h5"}
"""Operator -> file (the last name is the layout's own spelling)."""

PREDICTED = "hamiltonians_pred.h5"
"""A Hamiltonian that DeepH predicted; read where there is no hamiltonians.h5, Hermitian or not."""

TEXT_FILES = ("element.dat", "lat.dat", "orbital_types.dat", "site_positions.dat")


class StructureInfo(BaseModel):
    """info.json of one structure; further keys are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    isspinful: bool = False
    nsites: int | None = None
    fermi_level: float | None = None


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is a structure folder of this layout, or a folder that holds some."""
    folder = next(folders_with(path, TEXT_FILES), None)
    return [] if folder is None else [str((folder / name).relative_to(path)) for name in TEXT_FILES]


def read(path: Path) -> Iterator[Sample]:
    """Samples of a structure folder, or of all structure folders below ``path``; the id is the folder's name.

    Raises:
        DataError: no structure folder, or anything `read_structure` refuses.
    """
    folders = list(folders_with(path, TEXT_FILES))
    if not folders:
        raise DataError(f"{path}: no folder with {', '.join(TEXT_FILES)} at or below it")
    return map(read_structure, folders)


def read_structure(folder: Path) -> Sample:
    """One structure with the operators whose files are there.

    Returns:
        Sample in eV and Angstrom, periodic along the axes whose lattice vector is not zero (or as the note of this
        project's writer says), energy zero "unknown".

    Raises:
        DataError: a missing or damaged file, wrong shapes, values that are not finite, blocks that are not Hermitian, a
            calculation with spin, or files that contradict each other; names file, structure and key.
    """
    info = _read_info(folder)
    numbers = _numbers(folder)
    if info.nsites not in (None, len(numbers)):
        raise DataError(
            f"{folder / 'info.json'}: structure {folder.name!r}: key 'nsites': says {info.nsites},"
            f" element.dat has {len(numbers)} atoms"
        )
    # both tables hold their vectors as columns
    cell, positions = _table(folder / "lat.dat", (3, 3)).T, _table(folder / "site_positions.dat", (3, len(numbers))).T
    atoms = ase.Atoms(numbers, positions=positions, cell=cell, pbc=cell.any(axis=1))
    shells = _shells(folder / "orbital_types.dat", numbers)
    files = {name: folder / file for name, file in MATRIX_FILES.items() if (folder / file).is_file()}
    if "hamiltonian" not in files and (folder / PREDICTED).is_file():
        files["hamiltonian"] = folder / PREDICTED
    if not files:
        raise DataError(f"{folder}: structure {folder.name!r}: none of {', '.join(MATRIX_FILES.values())} is there")
    operators = {name: read_matrix(file, shells, numbers) for name, file in files.items()}
    basis = Basis.from_shells(shells)
    scalars = SampleInfo(energy_unit="eV", fermi_level=info.fermi_level, group=folder.name)
    sample = Sample(folder.name, atoms, basis, operators, scalars)
    return apply_note(check_sample(sample, str(folder)), folder)


def read_matrix(file: Path, shells: Mapping[int, tuple[int, ...]], numbers: IntArray) -> BlockMatrix:
    """Operator of one file, in canonical order and float64, pairs as in the file; the layout needs a read per block.

    Args:
        file: hamiltonians.h5, overlaps.h5, density_matrixs.h5.
        shells: atomic number -> l of each shell in the file's order.
        numbers: (N,) atomic numbers.

    Raises:
        DataError: see `read_structure`.
    """
    place = f"{file}: structure {file.parent.name!r}"
    basis = Basis.from_shells(shells)
    try:
        with h5py.File(file, "r") as source:
            names = list(source)
            index, shift = _pairs(names, len(numbers), place)
            matrix = BlockMatrix.zeros(basis, numbers, index, shift)
            for name, shape, start, end in zip(names, matrix.shapes.tolist(), matrix.offsets, matrix.offsets[1:]):
                matrix.values[start:end] = _block(source[name], tuple(shape), f"{place}: key {name!r}").ravel()
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise DataError(f"{place}: not readable as HDF5 (missing, truncated or damaged): {error}") from error
    check_finite(matrix, place, "blocks")
    if file.name != PREDICTED:  # the network gives either direction of a pair for itself
        check_hermitian(matrix, place, "blocks")
    return to_canonical(matrix, shells, "openmx")


def _block(dataset: Any, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != shape or dataset.dtype.kind != "f":
        found = f"{dataset.shape} of {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "no dataset"
        # DeepH stores spin as blocks [uu ud; du dd] of twice the size, and early files do not say so elsewhere
        doubled = isinstance(dataset, h5py.Dataset) and dataset.shape == (2 * shape[0], 2 * shape[1])
        spin = "; twice the size is that of spin, which is not supported" if doubled else ""
        raise DataError(f"{where}: is {found}, the shells of its atoms make it {shape} of real numbers{spin}")
    return np.asarray(dataset[()], dtype=np.float64)


def _pairs(names: list[str], n_atoms: int, place: str) -> tuple[IntArray, IntArray]:
    """(P, 2) atoms from 0 and (P, 3) translations of dataset names such as "[0, 0, -1, 1, 2]"."""
    try:
        # every name is a JSON list: all of them are parsed in one go, which is what makes reading quick
        rows = np.array(json.loads(f"[{','.join(names)}]"))
    except ValueError as error:
        raise DataError(
            f"{place}: dataset names must look like '[0, 0, -1, 1, 2]', the first is {names[0]!r}"
        ) from error
    if rows.dtype.kind != "i" or rows.ndim != 2 or rows.shape[1] != 5:
        raise DataError(f"{place}: dataset names must be [Rx, Ry, Rz, i, j], found {', '.join(names[:1]) or 'none'}")
    index, shift = rows[:, 3:] - 1, rows[:, :3]  # atoms count from 1 in this layout
    if index.min() < 0 or index.max() >= n_atoms:
        bad = int(((index < 0) | (index >= n_atoms)).any(axis=1).argmax())
        raise DataError(f"{place}: key {names[bad]!r}: atom numbers must lie in 1..{n_atoms}")
    if np.abs(shift).max() > 511 or len(np.unique(pair_keys(index, shift))) < len(rows):
        raise DataError(f"{place}: dataset names: a pair occurs more than once, or a translation is beyond 511 cells")
    return index, shift


def _read_info(folder: Path) -> StructureInfo:
    """Contents of info.json; defaults where it is missing, as in early sets (spin then shows in the block sizes)."""
    file = folder / "info.json"
    if not file.is_file():
        return StructureInfo()
    place = f"{file}: structure {folder.name!r}"
    info = read_keys(file, StructureInfo)
    if info.isspinful:
        raise DataError(
            f"{place}: key 'isspinful': true (blocks [uu ud; du dd] of twice the size); matrices with spin are not"
            " supported, give a spinless calculation"
        )
    return info


def _numbers(folder: Path) -> IntArray:
    file = folder / "element.dat"
    values = _table(file, None).ravel()
    if (
        not len(values)
        or (values != np.round(values)).any()
        or values.min() < 1
        or values.max() >= len(chemical_symbols)
    ):
        raise DataError(f"{file}: structure {folder.name!r}: must hold one atomic number a line")
    return values.astype(np.int64)


def _table(file: Path, shape: tuple[int, int] | None) -> NDArray[np.float64]:
    place = f"{file}: structure {file.parent.name!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty file
            table = np.loadtxt(file, ndmin=2, dtype=np.float64, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: not readable as a table of numbers: {error}") from error
    if shape is not None and table.shape != shape:
        raise DataError(
            f"{place}: has {table.shape[0]} rows of {table.shape[1]} numbers, must be {shape[0]} of {shape[1]}"
        )
    if not np.isfinite(table).all():
        raise DataError(f"{place}: holds a value that is not finite")
    return table


def _shells(file: Path, numbers: IntArray) -> dict[int, tuple[int, ...]]:
    """Atomic number -> l of each shell in the file's order, from one row an atom."""
    place = f"{file}: structure {file.parent.name!r}"
    try:
        rows = [tuple(map(int, line.split())) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: must hold the l of the shells, one row an atom: {error}") from error
    if len(rows) != len(numbers):
        raise DataError(f"{place}: has {len(rows)} rows, element.dat has {len(numbers)} atoms")
    shells = dict(zip(numbers.tolist(), rows))
    for atom, (z, row) in enumerate(zip(numbers.tolist(), rows)):
        if row != shells[z]:
            raise DataError(f"{place}: atom {atom + 1}: shells {row}, another {chemical_symbols[z]} has {shells[z]}")
        if not row or min(row) < 0 or max(row) > 3:
            raise DataError(f"{place}: atom {atom + 1}: shells must be l = 0..3, got {row}")
    return shells


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/<id>; each folder appears whole or not at all.

    Energies are turned into eV, both directions of every pair are written, every operator on its own pairs, in their
    order. A molecule gets a box; a note beside the files (`slembench.data.formats.deeph.folder`) says so. The layout
    has no place for the number of electrons and the total energy.

    Raises:
        DataError: a folder that exists already, an id that cannot be a folder's name, or a shell beyond f.
    """
    for sample in samples:
        with new_folder(path, sample.id) as folder:
            _write_structure(check_sample(sample, str(path)), folder)


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
    write_text(folder / "orbital_types.dat", number_table(sample.basis.shells[z] for z in numbers.tolist()))
    write_text(folder / "lat.dat", _columns(cell))
    # columns of 2 pi A^-1 are the reciprocal vectors of the rows of A
    write_text(folder / "rlat.dat", number_table((2 * np.pi * np.linalg.inv(cell)).tolist()))
    write_text(folder / "site_positions.dat", _columns(sample.atoms.positions))
    write_note(folder, sample.atoms, np.arange(len(numbers)))


def _write_matrix(file: Path, matrix: BlockMatrix) -> None:
    """One dataset a pair, in the order of the pairs."""
    rows = np.concatenate([matrix.pair_shift, matrix.pair_index + 1], axis=1).tolist()
    shapes, bounds = matrix.shapes.tolist(), matrix.offsets
    # without track_order HDF5 lists datasets by name
    with h5py.File(file, "w", track_order=True) as target:
        for row, shape, start, end in zip(rows, shapes, bounds, bounds[1:]):
            target[json.dumps(row)] = matrix.values[start:end].reshape(shape)


def _columns(vectors: FloatArray) -> str:
    """Text of (n, 3) vectors as the columns of a table, with every digit."""
    return number_table(vectors.T.tolist())
