"""SchNOrb's MD17: ASE sqlite files with H, S, energy and forces of one molecule's trajectory, from ORCA.

Angstrom, Hartree, float32, PBE/def2-SVP. ``data`` of a row holds the arrays themselves, or in older files base64 text
with ``_shape_X`` and ``_dtype_X``; the metadata's ``basisdef`` (Z, orbital, 5) gives n and l of every orbital. The
order within a shell is told from the first overlap matrix. Source: SchNOrb's own reader; not checked on a real file.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.db.core
import ase.io.jsonio
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.molecules.dense import check_symmetric, database_notes, dense_sample, infer_orbital_order
from slembench.data.formats.safe.sqlite import SqliteFile, sqlite_files
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.orbitals import SHELL_LETTERS, FloatArray

CANDIDATES = ("orca", "canonical", "pyscf")
"""Orders that may occur; the first one is the published files'."""

DEF2_SVP = {1: [0, 0, 1], **{z: [0, 0, 0, 1, 1, 2] for z in (6, 7, 8)}}
"""Shells where a file has no ``basisdef``."""


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is such a file, or the folder of one."""
    file = _find(path)
    return [] if file is None else [f"{file.name}: ASE table systems, rows with 'hamiltonian' and 'overlap'"]


def read(path: Path) -> Iterator[Sample]:
    """Molecules of a file in the order of their ids, one in memory at a time.

    Returns:
        Samples in Hartree and Angstrom, energy zero "vacuum". Where SchNOrb subtracted a mean from the energies (its
        metadata say so) they are left out.

    Raises:
        DataError: no such file, a damaged or incomplete one, a matrix that does not fit its atoms, or an overlap that
            fits no known order of orbitals.
    """
    file = _find(path)
    if file is None:
        raise DataError(f"{path}: neither is nor holds one ASE sqlite file whose rows have 'hamiltonian' and 'overlap'")
    return (sample for sample, _ in _samples(SqliteFile(file)))


def notes(path: Path) -> list[str]:
    """How many rows there are, and the order of orbitals that the first overlap shows.

    Raises:
        DataError: as in `read`.
    """
    file = _find(path)
    return [] if file is None else database_notes(SqliteFile(file), "systems", _samples(SqliteFile(file)))


def _find(path: Path) -> Path | None:
    found = []
    for file in sqlite_files(path):
        try:
            source = SqliteFile(file)
            if {"numbers", "positions", "data"} <= source.columns("systems"):
                first = next(source.rows("SELECT data FROM systems LIMIT 1"), (None,))[0]
                if {"hamiltonian", "overlap"} <= set(_fields(first, str(file))):
                    found.append(file)
        except DataError:
            continue
    return found[0] if len(found) == 1 else None


def _samples(source: SqliteFile) -> Iterator[tuple[Sample, str]]:
    """Samples with the order of orbitals they were in."""
    metadata = _metadata(source)
    shells = _shells(metadata, source.path) if "basisdef" in metadata else DEF2_SVP
    shifted = "mean_energy" in metadata or "energy_offset" in metadata
    convention = None
    for row, charges, position, blob in source.rows("SELECT id, numbers, positions, data FROM systems ORDER BY id"):
        place = f"{source.path}: row {row}"
        numbers = _blob(charges, "<i4", f"{place}: key 'numbers'").astype(np.int64)
        positions = _blob(position, "<f8", f"{place}: key 'positions'")
        if len(positions) != 3 * len(numbers) or not len(numbers):
            raise DataError(f"{place}: key 'positions': {len(positions)} numbers for {len(numbers)} atoms")
        positions = positions.reshape(-1, 3)
        missing = sorted(set(numbers.tolist()) - set(shells))
        if missing:
            raise DataError(f"{place}: metadata 'basisdef' has no shells for Z = {missing[0]}")
        fields = _fields(blob, place)
        size = sum(2 * l + 1 for z in numbers.tolist() for l in shells[z])
        matrices = {key: _matrix(fields, key, size, place) for key in ("hamiltonian", "overlap")}
        # inferred from the first molecule: all rows of a file are of one program
        if convention is None:
            key = f"{place}: key 'overlap'"
            convention = infer_orbital_order(matrices["overlap"], numbers, positions, shells, CANDIDATES, key)
        energy = None if shifted or "energy" not in fields else float(_values(fields, "energy", place).ravel()[0])
        info = SampleInfo(
            energy_unit="Hartree",
            energy_zero="vacuum",
            electrons=float(numbers.sum()),
            energy=energy,
            group=str(row),
        )
        sample = dense_sample(str(row), numbers, positions, matrices, shells, convention, info, place)
        yield sample, convention


def _metadata(source: SqliteFile) -> dict[str, Any]:
    row = next(source.rows("SELECT value FROM information WHERE name = 'metadata'"), None)
    try:
        metadata = json.loads(row[0]) if row else {}
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{source.path}: metadata: not readable as JSON: {error}") from error
    return metadata if isinstance(metadata, dict) else {}


def _shells(metadata: dict[str, Any], path: Path) -> dict[int, list[int]]:
    """Atomic number -> l of its shells, from the (Z, orbital, 5) table of (number, type, n, l, m)."""
    try:
        table = np.array(metadata["basisdef"], dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: metadata 'basisdef': not a table of integers: {error}") from error
    if table.ndim != 3 or table.shape[2] != 5:
        raise DataError(f"{path}: metadata 'basisdef': shape {table.shape}, must be (Z, orbital, 5)")
    shells: dict[int, list[int]] = {}
    for z, rows in enumerate(table):
        left = rows[rows[:, 2] > 0, 3].tolist()  # l of the orbitals; rows of zeros fill the table up
        while left:
            l = left[0]
            if not 0 <= l < len(SHELL_LETTERS) or left[: 2 * l + 1] != [l] * (2 * l + 1):
                raise DataError(f"{path}: metadata 'basisdef': Z = {z}: orbitals of l = {l} do not make whole shells")
            shells.setdefault(z, []).append(l)
            left = left[2 * l + 1 :]
    return shells


def _fields(blob: Any, place: str) -> dict[str, Any]:
    """The dictionary that ASE keeps in the column ``data``: binary, or JSON text in older files."""
    try:
        fields = ase.db.core.bytes_to_object(blob) if isinstance(blob, bytes) else ase.io.jsonio.decode(blob)
    except Exception as error:  # ase raises whatever it trips over
        raise DataError(f"{place}: key 'data': not readable: {error}") from error
    if not isinstance(fields, dict):
        raise DataError(f"{place}: key 'data': holds no named arrays")
    return fields


def _values(fields: dict[str, Any], key: str, place: str) -> NDArray[np.float64]:
    """An array of the row, in either form."""
    if key not in fields:
        raise DataError(f"{place}: key {key!r}: missing; the row has {', '.join(map(str, fields))}")
    value = fields[key]
    try:
        if isinstance(value, str):
            raw = np.frombuffer(b64decode(value), dtype=np.dtype(str(fields[f"_dtype_{key}"])))
            value = raw.reshape(fields[f"_shape_{key}"])
        with np.errstate(invalid="ignore"):
            array = np.asarray(value, dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place}: key {key!r}: holds no array of numbers: {error}") from error
    if not array.size:
        raise DataError(f"{place}: key {key!r}: is empty")
    return array


def _matrix(fields: dict[str, Any], key: str, size: int, place: str) -> FloatArray:
    matrix = _values(fields, key, place)
    check_symmetric(matrix, size, f"{place}: key {key!r}")
    return matrix


def _blob(value: Any, dtype: str, place: str) -> NDArray[Any]:
    if not isinstance(value, bytes) or len(value) % np.dtype(dtype).itemsize:
        raise DataError(f"{place}: must hold {dtype} numbers, is a {type(value).__name__}")
    return np.frombuffer(value, dtype)
