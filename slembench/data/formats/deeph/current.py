"""The layout of DeepH-pack 2026 ("new DeepH", deepx): one folder a structure with POSCAR, info.json and h5 matrices.

eV and Angstrom, both directions of every pair, orbitals already in canonical order within a shell. A matrix file holds
``atom_pairs`` (P, 5) = [Rx, Ry, Rz, i, j] (0-based), ``chunk_shapes`` (P, 2), ``chunk_boundaries`` (P + 1,) and
``entries``, block k being ``entries[boundaries[k]:boundaries[k + 1]]`` row-major. The energy zero is not fixed.
Source: files written by DeepH-dock, whose bands, Hermiticity and s-p directions are tested.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ase
import ase.io
import h5py
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data.formats.deeph.folder import apply_note, in_order, read_keys, write_note
from slembench.data.formats.folders import folders_with, new_folder
from slembench.data.formats.orbital_order import check_hermitian, to_canonical
from slembench.data.sample import Sample, SampleInfo, check_finite, check_sample, on_common_pairs
from slembench.operators.blocks import BlockMatrix, pair_keys
from slembench.operators.orbitals import Basis, FloatArray, IntArray
from slembench.operators.units import energy_factor

MATRIX_FILES = {"hamiltonian": "hamiltonian.h5", "overlap": "overlap.h5", "density": "density_matrix.h5"}
"""Operator -> file; the density matrix carries the factor 2 of spin."""

PREDICTED = "hamiltonian_pred.h5"
"""A Hamiltonian that DeepH predicted; read where there is no hamiltonian.h5, Hermitian or not."""

GEOMETRY_FILES = ("POSCAR", "info.json")

VACUUM = 20.0
"""Angstrom between a molecule and its images in the box that stands for a missing cell."""

_KEYS = {"atom_pairs": (2, "iu"), "chunk_shapes": (2, "iu"), "chunk_boundaries": (1, "iu"), "entries": (1, "f")}


class StructureInfo(BaseModel):
    """info.json of one structure; further keys are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    atoms_quantity: int | None = None
    orbits_quantity: int | None = None
    spinful: bool
    fermi_energy_eV: float | None = None
    elements_orbital_map: dict[str, list[int]]
    occupation: float | None = None


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is a structure folder of this layout, or a folder that holds some."""
    folder = next(iter(structure_folders(path)), None)
    if folder is None:
        return []
    names = (*GEOMETRY_FILES, PREDICTED) if (folder / PREDICTED).is_file() else GEOMETRY_FILES
    return [str((folder / name).relative_to(path)) for name in names if (folder / name).is_file()]


def structure_folders(path: Path) -> list[Path]:
    """Structure folders at ``path`` or up to two levels below it, in natural order of names.

    Returns:
        Folders with a POSCAR and an info.json; where there are none, those with a predicted Hamiltonian alone.
    """
    return list(folders_with(path, GEOMETRY_FILES)) or list(folders_with(path, [PREDICTED]))


def notes(path: Path) -> list[str]:
    """Where predictions are read instead of a calculation, and where they are passed over."""
    folders, predicted = structure_folders(path), list(folders_with(path, [PREDICTED]))
    read_here = [folder for folder in folders if folder in predicted and not (folder / "hamiltonian.h5").is_file()]
    lines = [f"predicted Hamiltonian ({PREDICTED}) of {len(read_here)} structure(s)"] if read_here else []
    passed = [folder for folder in predicted if folder not in folders]
    if passed:
        places = ", ".join(sorted({str(folder.parent) for folder in passed}))
        lines.append(f"{len(passed)} folder(s) that hold a prediction alone are left out; to read them give {places}")
    return lines


def geometry_folder(folder: Path) -> Path:
    """Where the POSCAR and the info.json of a structure lie: with it, one above it, or in a namesake near by.

    Raises:
        DataError: nowhere, or in more than one place.
    """
    own = folder.absolute()
    # predictions are often written into a tree of their own: inputs/17 beside outputs/17
    for near in ([own], [own.parent], sorted(own.parent.parent.glob(f"*/{glob.escape(own.name)}"))):
        found = [place for place in near if all((place / name).is_file() for name in GEOMETRY_FILES)]
        if len(found) == 1:
            return folder if found[0] == own else found[0]
        if found:
            places = ", ".join(map(str, found))
            raise DataError(f"{folder}: has no {' and '.join(GEOMETRY_FILES)}, and more than one may be its: {places}")
    raise DataError(
        f"{folder}: has no {' and '.join(GEOMETRY_FILES)}, nor has the folder above or a folder of this name beside"
        " that one; put a copy of both beside the matrices"
    )


def read(path: Path) -> Iterator[Sample]:
    """Samples of a structure folder, or of all structure folders below ``path``; the id is the folder's name.

    Raises:
        DataError: no structure folder, or anything `read_structure` refuses.
    """
    folders = structure_folders(path)
    if not folders:
        raise DataError(f"{path}: no folder with POSCAR and info.json at or below it")
    return map(read_structure, folders)


def read_structure(folder: Path) -> Sample:
    """One structure with the operators whose files are there.

    Returns:
        Sample in eV and Angstrom, periodic along all three axes (the layout does not say which are; the note of this
        project's writer does), energy zero "unknown"; operators in the file's pair order.

    Raises:
        DataError: a missing or damaged file, a missing key, wrong shapes, values that are not finite, matrices that
            are not Hermitian, a spinful calculation, or POSCAR and info.json that contradict each other; names file,
            structure and key.
    """
    source = geometry_folder(folder)
    info = _read_info(source)
    atoms = _read_poscar(source / "POSCAR")
    place = f"{source / 'info.json'}: structure {folder.name!r}"
    unknown = sorted(set(atoms.symbols) - set(info.elements_orbital_map))
    if unknown:
        raise DataError(f"{place}: key 'elements_orbital_map': no shells for element {unknown[0]} of the POSCAR")
    shells = {int(atomic_numbers[symbol]): ls for symbol, ls in info.elements_orbital_map.items()}
    basis = Basis.parse(info.elements_orbital_map)
    orbitals = int(basis.sizes(atoms.numbers).sum())
    for key, stated, found in (
        ("atoms_quantity", info.atoms_quantity, len(atoms)),
        ("orbits_quantity", info.orbits_quantity, orbitals),
    ):
        if stated not in (None, found):
            raise DataError(f"{place}: key {key!r}: says {stated}, POSCAR and elements_orbital_map give {found}")
    files = {name: folder / file for name, file in MATRIX_FILES.items() if (folder / file).is_file()}
    if "hamiltonian" not in files and (folder / PREDICTED).is_file():
        files["hamiltonian"] = folder / PREDICTED
    if not files:
        raise DataError(f"{folder}: structure {folder.name!r}: none of {', '.join(MATRIX_FILES.values())} is there")
    operators = {name: read_matrix(file, shells, atoms.numbers) for name, file in files.items()}
    for name, operator in operators.items():
        if files[name].name != PREDICTED:  # the network gives either direction of a pair for itself
            check_hermitian(operator, f"{files[name]}: structure {folder.name!r}", "entries")
    scalars = SampleInfo(
        energy_unit="eV", electrons=info.occupation, fermi_level=info.fermi_energy_eV, group=folder.name
    )
    sample = Sample(folder.name, atoms, basis, operators, scalars)
    return apply_note(check_sample(sample, str(folder)), source)


def read_matrix(file: Path, shells: Mapping[int, list[int]], numbers: IntArray) -> BlockMatrix:
    """Operator of one matrix file, in canonical order and float64, pairs as in the file.

    Args:
        file: hamiltonian.h5, overlap.h5, density_matrix.h5 or a predicted one.
        shells: atomic number -> l of each shell in the file's order.
        numbers: (N,) atomic numbers in POSCAR order.

    Raises:
        DataError: see `read_structure`.
    """
    place = f"{file}: structure {file.parent.name!r}"
    data = _read_datasets(file, place)
    # redundant tables (shapes, boundaries) are compared with what shells and pairs give: a file that contradicts itself
    # is damaged, or of other orbitals than info.json says
    pairs = data["atom_pairs"].astype(np.int64)
    shift, index = pairs[:, :3], pairs[:, 3:]
    if index.size and (index.min() < 0 or index.max() >= len(numbers)):
        raise DataError(f"{place}: key 'atom_pairs': atom numbers must lie in 0..{len(numbers) - 1}")
    if np.abs(shift).max(initial=0) > 511:  # the range of `pair_keys`, far beyond any cutoff
        raise DataError(f"{place}: key 'atom_pairs': a translation is beyond 511 cells")
    if len(np.unique(pair_keys(index, shift))) < len(pairs):
        raise DataError(f"{place}: key 'atom_pairs': a pair occurs more than once")
    basis = Basis.from_shells(shells)
    shapes = basis.sizes(numbers)[index]
    wrong = np.flatnonzero((shapes != data["chunk_shapes"]).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{place}: key 'chunk_shapes': block {row} is {tuple(data['chunk_shapes'][row].tolist())},"
            f" the shells of its atoms make it {tuple(shapes[row].tolist())}"
        )
    expected = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
    if not np.array_equal(data["chunk_boundaries"], expected):
        raise DataError(f"{place}: key 'chunk_boundaries': must be the running sum of the block sizes")
    if len(data["entries"]) != expected[-1]:
        raise DataError(f"{place}: key 'entries': has {len(data['entries'])} values, the blocks need {expected[-1]}")
    matrix = BlockMatrix(basis, numbers, index, shift, data["entries"].astype(np.float64))
    check_finite(matrix, place, "entries")
    return to_canonical(matrix, shells, "deeph-new")  # the components are in order; shells may not be sorted by l


def _read_info(folder: Path) -> StructureInfo:
    file = folder / "info.json"
    place = f"{file}: structure {folder.name!r}"
    info = read_keys(file, StructureInfo)
    if info.spinful:
        raise DataError(
            f"{place}: key 'spinful': true; matrices with spin are not supported, give a spinless calculation"
        )
    for symbol, ls in info.elements_orbital_map.items():
        try:
            Basis.parse({symbol: ls})
        except ValueError as error:
            raise DataError(f"{place}: key 'elements_orbital_map': {error}") from error
    return info


def _read_poscar(file: Path) -> ase.Atoms:
    try:
        atoms = ase.io.read(file, format="vasp", index=0)
    except Exception as error:  # ase raises whatever its parser trips over
        raise DataError(f"{file}: structure {file.parent.name!r}: not readable as POSCAR: {error}") from error
    assert isinstance(atoms, ase.Atoms)
    return atoms


def _read_datasets(file: Path, place: str) -> dict[str, NDArray[Any]]:
    """The four arrays of a matrix file, each of the right rank and kind and all of matching lengths."""
    data: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(file, "r") as source:
            for key, (rank, kind) in _KEYS.items():
                if key not in source:
                    raise DataError(f"{place}: key {key!r}: missing; the file holds {', '.join(source) or 'nothing'}")
                array = np.asarray(source[key])
                if array.ndim != rank or array.dtype.kind not in kind:
                    wanted = "real numbers" if kind == "f" else "integers"
                    raise DataError(
                        f"{place}: key {key!r}: {array.ndim} axes of {array.dtype}, must be {rank} of {wanted}"
                    )
                data[key] = array
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        raise DataError(f"{place}: not readable as HDF5 (missing, truncated or damaged): {error}") from error
    n_pairs = len(data["atom_pairs"])
    for key, shape in (
        ("atom_pairs", (n_pairs, 5)),
        ("chunk_shapes", (n_pairs, 2)),
        ("chunk_boundaries", (n_pairs + 1,)),
    ):
        if data[key].shape != shape:
            raise DataError(f"{place}: key {key!r}: shape {data[key].shape}, must be {shape}")
    return data


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/<id>; each folder appears whole or not at all.

    Energies are turned into eV, both directions of every pair are written, all operators on the same pairs, and atoms
    are grouped by element (in order of first appearance) as the layout wants it. A molecule gets a box. A note beside
    the files (`slembench.data.formats.deeph.folder`) lets them be read back as they were.

    Raises:
        DataError: a folder that exists already, or an id that cannot be a folder's name.
    """
    for sample in samples:
        with new_folder(path, sample.id) as folder:
            order = _grouped(check_sample(sample, str(path)).atoms.numbers)
            _write_structure(in_order(sample, order), folder)
            write_note(folder, sample.atoms, order)


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
    # `complete` gives unit vectors perpendicular to those there are
    for axis in np.flatnonzero(~atoms.cell.array.any(axis=1)):
        cell[axis] *= np.ptp(atoms.positions @ cell[axis]) + VACUUM
    return cell


def _grouped(numbers: IntArray) -> IntArray:
    """Order of the atoms that groups them by element, elements in order of first appearance."""
    rank = {z: k for k, z in enumerate(dict.fromkeys(numbers.tolist()))}
    # stable: atoms of one element keep their order
    return np.argsort([rank[z] for z in numbers.tolist()], kind="stable")
