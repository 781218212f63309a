"""DeePTB's folders: geometry as text or an ASE trajectory, operators of all frames in HDF5.

``info.json`` (in the folder or the one above), ``cell.dat``, ``positions.dat``, ``atomic_numbers.dat``, ``pbc.dat``,
``basis.dat``, ``hamiltonians.h5``, ``overlaps.h5``, ``density_matrices.h5`` or ``DM.h5``; Angstrom. The energy unit is
not recorded (eV from ABACUS and OpenMX, Hartree from Gaussian and PySCF): it is inferred from the levels, or given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data.formats.deeptb.blocks import h5_blocks, parse_basis, to_operator
from slembench.data.formats.deeptb.geometry import Geometry, read_geometry, read_json
from slembench.data.formats.folders import new_folder, number_table
from slembench.data.formats.plausibility import UnitEvidence, energy_evidence
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import energy_factor

EnergyUnit = Literal["eV", "Hartree"]

OPERATOR_FILES = {
    "hamiltonian": ("hamiltonians.h5",),
    "overlap": ("overlaps.h5",),
    "density": ("density_matrices.h5", "DM.h5"),
}
"""Operator -> names of its file, the one that DeePTB prefers first."""

UNITS_FILE = "units.json"
"""Written by this project beside the files of a folder; where it is found, its unit is taken."""

PREFIX = "data."
"""Prefix of the folders that this project writes (DeePTB's ``prefix``); left out of the id."""


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is such a folder or holds some."""
    folder = next(iter(set_folders(path)), None)
    if folder is None:
        return []
    known = ("positions.dat", "atomic_numbers.dat", "basis.dat", *sum(OPERATOR_FILES.values(), ()))
    return [str((folder / name).relative_to(path)) for name in known if (folder / name).is_file()]


def set_folders(path: Path) -> Iterator[Path]:
    """Folders with a geometry and an operator, at ``path`` or up to two levels below it, sorted."""
    operators = sum(OPERATOR_FILES.values(), ())
    for level in ([path], path.glob("*"), path.glob("*/*")):
        for folder in sorted(level):
            geometry = (folder / "positions.dat").is_file() or any(folder.glob("*.traj"))
            if geometry and any((folder / name).is_file() for name in operators):
                yield folder


def read(path: Path, *, unit: EnergyUnit | None = None) -> Iterator[Sample]:
    """Samples of all frames of all folders; the id is the folder's name, and the frame's number where there are more.

    Args:
        path: a folder, or one that holds some.
        unit: energy unit; told from the levels where it is not given.

    Raises:
        DataError: no such folder, a file that is missing, damaged or contradicts another one, spin, or levels that fit
            both units; names file, frame and block.
    """
    folders = list(set_folders(path))
    if not folders:
        raise DataError(f"{path}: no folder with positions.dat and hamiltonians.h5 (or the like) at or below it")
    return (sample for folder in folders for sample in read_folder(folder, unit))


def read_folder(folder: Path, unit: EnergyUnit | None = None) -> Iterator[Sample]:
    """Samples of one folder, frame by frame; as `read`."""
    geometry = read_geometry(folder)
    basis = _read_basis(folder, geometry)
    files = {name: file for name, names in OPERATOR_FILES.items() if (file := _first_file(folder, names)) is not None}
    for frame in range(len(geometry)):
        name = folder.absolute().name.removeprefix(PREFIX)
        identifier = name if len(geometry) == 1 else f"{name}_{frame}"
        atoms = geometry.atoms(frame)
        operators = {
            key: to_operator(h5_blocks(file, frame), atoms.numbers.astype(np.int64), basis, f"{file}: frame {frame}")
            for key, file in files.items()
        }
        # inferred once, from the first frame: all frames of a set come from one program
        unit = unit or _recorded_unit(folder) or infer_energy_unit(operators, str(folder))
        info = SampleInfo(energy_unit=unit, group=name)
        yield check_sample(Sample(identifier, atoms, basis, operators, info), str(folder))


def infer_energy_unit(operators: dict[str, BlockMatrix], place: str) -> EnergyUnit:
    """Energy unit inferred from the on-site levels of the Hamiltonian; eV where there is no Hamiltonian.

    Raises:
        DataError: levels that fit both units or none.
    """
    if "hamiltonian" not in operators:
        return "eV"
    found = unit_evidence(operators)
    if found.unit == "Hartree":
        return "Hartree"
    if found.unit == "eV":
        return "eV"
    raise DataError(
        f"{place}: the energy unit is not recorded and the levels fit neither or both ({found.reason});"
        " give the option unit (eV or Hartree)"
    )


def unit_evidence(operators: dict[str, BlockMatrix]) -> UnitEvidence:
    """`energy_evidence` of a sample's operators."""
    return energy_evidence(operators["hamiltonian"], operators.get("overlap"))


def notes(path: Path) -> list[str]:
    """Summary of a path: folders, energy unit with its evidence."""
    folders = list(set_folders(path))
    lines = [f"{len(folders)} folder(s) of frames"]
    recorded = _recorded_unit(folders[0])
    if recorded is not None:
        return [*lines, f"energies in {recorded}: {UNITS_FILE} says so"]
    first = next(read_folder(folders[0], "eV"))
    if "hamiltonian" in first.operators:
        found = unit_evidence(first.operators)
        lines.append(f"energies in {found.unit or 'eV or Hartree'} (not recorded): {found.reason}")
    return lines


def _first_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_basis(folder: Path, geometry: Geometry) -> Basis:
    file = folder / "basis.dat"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable: {error}") from error
    return parse_basis(text, geometry.numbers[0], str(file))


def _recorded_unit(folder: Path) -> EnergyUnit | None:
    file = folder / UNITS_FILE
    if not file.is_file():
        return None
    word = read_json(file).get("energy")
    if word not in ("eV", "Hartree"):
        raise DataError(f"{file}: key 'energy': {word!r} is not eV or Hartree")
    return "Hartree" if word == "Hartree" else "eV"


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write every sample as a folder ``path``/data.<id> with one frame; each folder appears whole or not at all.

    ``path`` is DeePTB's ``root``, ``data`` its ``prefix``. Energies are turned into eV, atoms count from 0, both
    directions of every pair are written. The unit is noted in a file that DeePTB leaves alone.

    Raises:
        DataError: a folder that exists already, or an id that cannot be part of a folder's name.
    """
    for sample in samples:
        with new_folder(path, sample.id, PREFIX) as folder:
            _write_folder(check_sample(sample, str(path)), folder)


def _write_folder(sample: Sample, folder: Path) -> None:
    to_ev, atoms = energy_factor(sample.info.energy_unit, "eV"), sample.atoms
    for name, matrix in sample.operators.items():
        _write_blocks(folder / OPERATOR_FILES[name][0], matrix * to_ev if name == "hamiltonian" else matrix)
    info = {"nframes": 1, "natoms": len(atoms), "pos_type": "cart", "pbc": atoms.pbc.tolist()}
    write_text(folder / "info.json", json.dumps(info))
    write_text(folder / UNITS_FILE, json.dumps({"energy": "eV", "length": "Angstrom"}))
    write_text(folder / "basis.dat", repr(sample.basis.to_dict()))
    tables = {
        "positions.dat": atoms.positions,
        "cell.dat": atoms.cell.array,
        "pbc.dat": atoms.pbc.astype(int)[:, None],
        "atomic_numbers.dat": atoms.numbers[:, None],
    }
    for name, table in tables.items():
        write_text(folder / name, number_table(table.tolist()))


def _write_blocks(file: Path, matrix: BlockMatrix) -> None:
    full = matrix.complete()
    names = np.concatenate([full.pair_index, full.pair_shift], axis=1).tolist()
    with h5py.File(file, "w") as target:
        group = target.create_group("0")
        for name, shape, a, b in zip(names, full.shapes.tolist(), full.offsets[:-1], full.offsets[1:]):
            group["_".join(map(str, name))] = full.values[a:b].reshape(shape)
