"""DeePTB's LMDB files: one pickle a frame with geometry and blocks, often the upper triangle only.

Neither shells nor the energy unit are recorded. Shells come from a ``basis.dat`` beside the file, from the option
``basis``, or from the symmetry of the overlap; the unit from the levels or the option ``unit``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.deeptb.blocks import block_names, parse_basis, to_operator
from slembench.data.formats.deeptb.folder import EnergyUnit, infer_energy_unit, unit_evidence
from slembench.data.formats.safe.lmdb import LmdbFile, lmdb_files, numbered
from slembench.data.formats.safe.unpickle import loads
from slembench.data.formats.shells import shells_of_overlap
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

KEYS = {"hamiltonian": "hamiltonian", "overlap": "overlap", "density": "density_matrix"}
"""Operator -> key of a record."""


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is, or holds, such a file."""
    try:
        for file in lmdb_files(path)[:1]:
            value = LmdbFile(file).first()
            record = {} if value is None else _record(value, str(file))
            return [f"{file.name}: LMDB records with the keys {', '.join(repr(k) for k in record if k != 'idx')}"]
    except (DataError, OSError):
        return []
    return []


def read(path: Path, *, unit: EnergyUnit | None = None, basis: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Samples of all frames of all files; the id is the folder's name and the number of the frame.

    Args:
        path: a file, its folder, or a folder that holds some.
        unit: energy unit; told from the levels where it is not given.
        basis: chemical symbol -> shells such as "3s2p1d".

    Raises:
        DataError: no such file, a record that is damaged or refused, or shells or units that cannot be told.
    """
    files = lmdb_files(path)
    if not files:
        raise DataError(f"{path}: no LMDB file at or below it")
    return (sample for file in files for sample in read_file(file, unit, basis))


def read_file(file: Path, unit: EnergyUnit | None = None, basis: Mapping[str, str] | None = None) -> Iterator[Sample]:
    """Samples of one file; as `read`."""
    source = LmdbFile(file)
    stem = file.absolute().parent.name.removesuffix(".lmdb") if file.name == "data.mdb" else file.stem
    shells = Basis({})
    for number, place_in_file in enumerate(numbered(source).tolist()):
        place = f"{file}: frame {number}"
        record = _record(source.value(place_in_file), place)
        atoms = _atoms(record, place)
        numbers = atoms.numbers.astype(np.int64)
        # shells are inferred once an element, from the first frame that has it
        if not set(numbers.tolist()) <= set(shells.elements):
            shells = Basis({**shells.shells, **_shells(record, atoms, basis, file, place).shells})
        operators = {
            name: to_operator(_blocks(record[key], f"{place}: key {key!r}"), numbers, shells, f"{place}: key {key!r}")
            for name, key in KEYS.items()
            if key in record
        }
        unit = unit or infer_energy_unit(operators, str(file))
        sample = Sample(f"{stem}_{number}", atoms, shells, operators, SampleInfo(energy_unit=unit, group=stem))
        yield check_sample(sample, str(file))


def notes(path: Path) -> list[str]:
    """Summary of a path: frames, energy unit with its evidence, where the shells come from."""
    files = lmdb_files(path)
    lines = [f"{sum(len(numbered(LmdbFile(file))) for file in files)} frames in {len(files)} file(s)"]
    first = next(read_file(files[0], "eV"))
    told = _basis_file(files[0]) is None
    lines.append(f"shells from {'the symmetry of the overlap' if told else 'basis.dat'}")
    if "hamiltonian" in first.operators:
        found = unit_evidence(first.operators)
        lines.append(f"energies in {found.unit or 'eV or Hartree'} (not recorded): {found.reason}")
    return lines


def _record(value: bytes, place: str) -> dict[str, Any]:
    record = loads(value, place)
    if (
        not isinstance(record, dict)
        or not {"atomic_numbers", "pos"} <= set(record)
        or not set(KEYS.values()) & set(record)
    ):
        raise DataError(f"{place}: not a record of DeePTB with the keys 'atomic_numbers', 'pos' and 'hamiltonian'")
    return record


def _atoms(record: Mapping[str, Any], place: str) -> ase.Atoms:
    numbers = _numbers(record, "atomic_numbers", "iu", place).reshape(-1).astype(np.int64)
    positions = _numbers(record, "pos", "f", place)
    cell = _numbers(record, "cell", "f", place) if record.get("cell") is not None else np.zeros((3, 3))
    pbc = record.get("pbc", False)
    pbc = np.atleast_1d(np.asarray(pbc)) if isinstance(pbc, bool | list | tuple | np.ndarray) else np.zeros(0)
    if not len(numbers) or positions.size != 3 * len(numbers) or cell.size != 9:
        raise DataError(f"{place}: keys 'atomic_numbers', 'pos' and 'cell' do not fit each other")
    if numbers.min() < 1 or numbers.max() >= len(chemical_symbols):
        raise DataError(f"{place}: key 'atomic_numbers': must be atomic numbers")
    if pbc.size not in (1, 3) or pbc.dtype.kind not in "biuf":
        raise DataError(f"{place}: key 'pbc': must be true, false or three of them")
    periodic = np.broadcast_to(pbc.reshape(-1).astype(bool), 3)
    positions, cell = positions.astype(np.float64).reshape(-1, 3), cell.astype(np.float64).reshape(3, 3)
    return ase.Atoms(numbers, positions, cell=cell, pbc=periodic)


def _numbers(record: Mapping[str, Any], key: str, kind: str, place: str) -> NDArray[Any]:
    value = record[key]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in kind or not np.isfinite(value).all():
        raise DataError(f"{place}: key {key!r}: must be an array of finite numbers")
    return value


def _blocks(value: Any, place: str) -> dict[str, NDArray[Any]]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: must be a dict of blocks")
    for name, block in value.items():
        if (
            not isinstance(name, str)
            or not isinstance(block, np.ndarray)
            or block.ndim != 2
            or block.dtype.kind not in "fc"
        ):
            raise DataError(f"{place}: must be matrices under names i_j_Rx_Ry_Rz")
    return value


def _shells(
    record: Mapping[str, Any], atoms: ase.Atoms, given: Mapping[str, str] | None, file: Path, place: str
) -> Basis:
    """Basis of the elements of a frame: given, from a basis.dat, or from the overlap."""
    numbers = atoms.numbers.astype(np.int64)
    beside = _basis_file(file)
    if given is not None:
        try:
            return Basis.parse(given).restrict(numbers)
        except ValueError as error:
            raise DataError(f"{place}: option 'basis': {error}") from error
    if beside is not None:
        return parse_basis(beside.read_text(encoding="utf-8", errors="replace"), numbers, str(beside)).restrict(numbers)
    advice = "give the option basis, such as C=3s2p1d,H=2s1p, or a basis.dat beside the file"
    if "overlap" not in record:
        raise DataError(f"{place}: shells are not recorded and there is no overlap to tell them from; {advice}")
    overlap = _sized(_blocks(record["overlap"], f"{place}: key 'overlap'"), numbers, f"{place}: key 'overlap'")
    vectors = overlap.vectors(atoms.positions, atoms.cell.array)
    found = {z: shells_of_overlap(overlap, vectors, z) for z in sorted(set(numbers.tolist()))}
    for z, shells in found.items():
        if shells is None:
            raise DataError(f"{place}: the overlap does not tell the shells of {chemical_symbols[z]}; {advice}")
    return Basis({z: shells for z, shells in found.items() if shells is not None})


def _sized(blocks: dict[str, NDArray[Any]], numbers: NDArray[np.int64], place: str) -> BlockMatrix:
    """The overlap on a basis of s shells, one an orbital: sizes are right before the real shells are known."""
    index, _ = block_names(blocks, len(numbers), place)
    own = {int(numbers[i]): block.shape[0] for (i, j), block in zip(index.tolist(), blocks.values()) if i == j}
    lacking = set(numbers.tolist()) - set(own)
    if lacking or not all(own.values()):
        raise DataError(f"{place}: atoms without a block with themselves")
    return to_operator(blocks, numbers, Basis({z: (0,) * size for z, size in own.items()}), place)


def _basis_file(file: Path) -> Path | None:
    folder = file.absolute().parent
    return next((path for path in (folder / "basis.dat", folder.parent / "basis.dat") if path.is_file()), None)
