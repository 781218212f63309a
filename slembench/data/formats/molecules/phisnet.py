"""PhiSNet's and nablaDFT's sqlite files of molecules: H, S and the energy in Hartree, positions in Bohr, float32.

Tables ``data`` (id, Z in nablaDFT, R, E, F, H, S, C), ``basisset`` (Z, l of the shells), ``nuclear_charges`` (for files
of one molecule), ``dataset_ids`` (nablaDFT). PhiSNet's MD17 files are in canonical order, nablaDFT's in Psi4's; which
one a file has is told from its first overlap matrix. Source: the programs' own readers; not checked on a real file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.molecules.dense import check_symmetric, database_notes, dense_sample, infer_orbital_order
from slembench.data.formats.safe.sqlite import SqliteFile, sqlite_files
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.orbitals import SHELL_LETTERS, FloatArray, IntArray
from slembench.operators.units import BOHR_ANGSTROM

CANDIDATES = ("psi4", "canonical", "pyscf")
"""Orders that may occur; the first one is nablaDFT's."""


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is such a file, or the folder of one."""
    file = _find(path)
    return [] if file is None else [f"{file.name}: table data with columns H and S, table basisset"]


def read(path: Path) -> Iterator[Sample]:
    """Molecules of a file in the order of their ids, one in memory at a time.

    Returns:
        Samples in Hartree and Angstrom, energy zero "vacuum"; the id is the row's, the group the molecule's (MOSES_ID)
        where the file has several conformers of one.

    Raises:
        DataError: no such file, a damaged or incomplete one, a matrix that does not fit its atoms, or an overlap that
            fits no known order of orbitals.
    """
    file = _find(path)
    if file is None:
        raise DataError(f"{path}: neither is nor holds one sqlite file with the tables 'data' (H, S) and 'basisset'")
    return (sample for sample, _ in _samples(SqliteFile(file)))


def notes(path: Path) -> list[str]:
    """How many rows there are, and the order of orbitals that the first overlap shows.

    Raises:
        DataError: as in `read`.
    """
    file = _find(path)
    return [] if file is None else database_notes(SqliteFile(file), "data", _samples(SqliteFile(file)))


def _find(path: Path) -> Path | None:
    found = []
    for file in sqlite_files(path):
        try:
            source = SqliteFile(file)
            if {"R", "H", "S"} <= source.columns("data") and "orbitals" in source.columns("basisset"):
                found.append(file)
        except DataError:
            continue
    return found[0] if len(found) == 1 else None


def _samples(source: SqliteFile) -> Iterator[tuple[Sample, str]]:
    """Samples with the order of orbitals they were in."""
    shells = _shells(source)
    per_row = "Z" in source.columns("data")
    common = None if per_row else _common_numbers(source)
    groups = "MOSES_ID" in source.columns("dataset_ids")
    query = (
        f"SELECT d.id, d.R, d.E, d.H, d.S, {'d.Z' if per_row else 'NULL'}, {'g.MOSES_ID' if groups else 'NULL'} FROM"
    )
    join = " LEFT JOIN dataset_ids AS g ON g.id = d.id" if groups else ""
    convention = None
    for row, position, energy, hamiltonian, overlap, charges, molecule in source.rows(
        f"{query} data AS d{join} ORDER BY d.id"
    ):
        place = f"{source.path}: row {row}"
        numbers = common if common is not None else _array(charges, "i4", None, f"{place}: key 'Z'").astype(np.int64)
        _check_elements(numbers, shells, place)
        positions = _array(position, "f4", 3 * len(numbers), f"{place}: key 'R'").reshape(-1, 3) * BOHR_ANGSTROM
        size = sum(2 * l + 1 for z in numbers.tolist() for l in shells[z])
        matrices = {"hamiltonian": _square(hamiltonian, size, f"{place}: key 'H'")}
        if overlap is not None:
            matrices["overlap"] = _square(overlap, size, f"{place}: key 'S'")
        if convention is None:
            key = f"{place}: key 'S'"
            if "overlap" not in matrices:
                raise DataError(f"{key}: missing; the order of orbitals cannot be told without the overlap")
            # once a file; later rows are converted alike
            convention = infer_orbital_order(matrices["overlap"], numbers, positions, shells, CANDIDATES, key)
        info = SampleInfo(
            energy_unit="Hartree",
            energy_zero="vacuum",
            electrons=float(numbers.sum()),
            energy=_energy(energy),
            group=str(row) if molecule is None else str(molecule),
        )
        sample = dense_sample(str(row), numbers, positions, matrices, shells, convention, info, place)
        yield sample, convention


def _shells(source: SqliteFile) -> dict[int, list[int]]:
    """Atomic number -> l of its shells, from the table basisset."""
    shells: dict[int, list[int]] = {}
    for z, blob in source.rows("SELECT Z, orbitals FROM basisset"):
        place = f"{source.path}: table 'basisset': Z = {z!r}"
        ls = _array(blob, "i4", None, place).tolist()
        if not isinstance(z, int) or not 1 <= z <= 118 or not ls or not all(0 <= l < len(SHELL_LETTERS) for l in ls):
            raise DataError(f"{place}: must be an atomic number with the l of its shells, found {ls[:10]}")
        shells[z] = ls
    return shells


def _common_numbers(source: SqliteFile) -> IntArray:
    """Atomic numbers of a file of one molecule."""
    row = next(source.rows("SELECT Z FROM nuclear_charges WHERE id = 0"), None)
    if row is None:
        raise DataError(f"{source.path}: table 'nuclear_charges': has no row 0, and 'data' no column Z")
    return _array(row[0], "i4", None, f"{source.path}: table 'nuclear_charges'").astype(np.int64)


def _check_elements(numbers: IntArray, shells: dict[int, list[int]], place: str) -> None:
    missing = sorted(set(numbers.tolist()) - set(shells))
    if missing or not len(numbers):
        raise DataError(f"{place}: table 'basisset' has no shells for Z = {missing[0] if missing else '(no atoms)'}")


def _energy(value: Any) -> float | None:
    """A number, or the bytes of one."""
    if isinstance(value, bytes) and len(value) in (4, 8):
        value = float(np.frombuffer(value, f"<f{len(value)}")[0])
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _array(blob: Any, dtype: str, count: int | None, place: str) -> NDArray[Any]:
    size = np.dtype(dtype).itemsize
    if not isinstance(blob, bytes) or len(blob) % size or (count is not None and len(blob) != count * size):
        held = f"{len(blob)} bytes" if isinstance(blob, bytes) else type(blob).__name__
        raise DataError(f"{place}: must hold {'some' if count is None else count} {dtype} numbers, is {held}")
    return np.frombuffer(blob, "<" + dtype)


def _square(blob: Any, size: int, place: str) -> FloatArray:
    with np.errstate(invalid="ignore"):  # a signalling NaN of a damaged file; `check_symmetric` finds it
        matrix = _array(blob, "f4", size * size, place).astype(np.float64).reshape(size, size)
    check_symmetric(matrix, size, place)
    return matrix
