"""Structure of SIESTA's HSX and DM files, record by record, checked before sisl opens them.

sisl reads the matrices; its Fortran trusts every number in a file and stops the interpreter, or writes beyond its
arrays, where one is wrong. So the sizes, the lengths of all records and every index are checked before it opens a file.
Source: SIESTA's writers as sisl reads them; files of versions 0, 1 and 2, with logical flags of gfortran (1) and ifort
(-1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats.safe.fortran import FortranRecords
from slembench.operators.orbitals import SHELL_LETTERS, IntArray
from slembench.operators.units import RYDBERG_EV

SPIN = {2: "two collinear spins (H up, H down)", 4: "non-collinear spins", 8: "spin-orbit coupling"}


@dataclass(frozen=True)
class HsxHeader:
    """Header of an HSX file: everything but the matrices.

    Attributes:
        version: 0 (before SIESTA 5, no geometry), 1 or 2.
        n_orbitals: in the cell.
        cells: number of cells along each axis whose orbitals are told apart; unknown in version 0.
        species: (N,) int64 | species of each atom, from 0.
        labels: name of each species.
        shells: l of the shells of each species, in the file's order.
        electrons: number of electrons.
        smearing: electronic temperature, eV.
    """

    version: int
    n_orbitals: int
    cells: tuple[int, ...] | None
    species: IntArray
    labels: tuple[str, ...]
    shells: tuple[tuple[int, ...], ...]
    electrons: float
    smearing: float


def check_hsx(file: Path) -> HsxHeader:
    """Look through an HSX file.

    Raises:
        DataError: damaged, of an unknown version, or with spin; says which.
    """
    records = FortranRecords(file)
    if not len(records):
        raise DataError(f"{file}: empty")
    # files of SIESTA before 5 begin with four integers, later ones with the version of the format
    if records.lengths[0] == 16:
        return _check_version_0(records)
    version = int(records.array(0, "<i4", 1, "version of the file")[0])
    if version not in (1, 2):
        raise DataError(f"{file}: HSX version {version} is not known; 0, 1 and 2 are")
    return _check_version_1(records, version)


def check_dm(file: Path, n_orbitals: int) -> None:
    """Look through a DM file.

    Args:
        file: density matrix.
        n_orbitals: orbitals in the cell, as the HSX file says.

    Raises:
        DataError: damaged, of another structure, or with spin.
    """
    records = FortranRecords(file)
    if not len(records) or records.lengths[0] not in (8, 20):
        raise DataError(f"{file}: record 0 must hold the number of orbitals, of spins and (newer files) of cells")
    sizes = records.array(0, "<i4", None, "sizes")
    if sizes[0] != n_orbitals:
        raise DataError(f"{file}: {sizes[0]} orbitals, the HSX file beside it has {n_orbitals}")
    _refuse_spin(file, int(sizes[1]))
    cells = 1 << 20
    if len(sizes) == 5:
        cells = _n_cells(file, sizes[2:])
    counts = _counts(records, 1, n_orbitals)
    end = _columns(records, 2, counts, n_orbitals * cells)
    _at_end(records, records.rows(end, counts, 8, "density matrix"))


def _check_version_1(records: FortranRecords, version: int) -> HsxHeader:
    file = records.file
    single = records.array(1, "<i4", 1, "precision")[0] == 0
    n_atoms, n_orbitals, spin, n_species, *cells = records.array(2, "<i4", 7, "sizes").tolist()
    if min(n_atoms, n_orbitals, n_species) < 1 or n_orbitals > len(records) or n_species > len(records):
        raise DataError(f"{file}: impossible sizes: {n_atoms} atoms, {n_orbitals} orbitals, {n_species} species")
    _refuse_spin(file, spin)
    n_cells = _n_cells(file, np.array(cells))
    values = records.array(3, "<f8", 12, "lattice vectors, Fermi level, electrons, temperature")
    if not np.isfinite(values).all():
        raise DataError(f"{file}: lattice vectors, Fermi level, electrons or temperature are not finite")
    raw = records.array(4, "<i4", 3 * n_cells + 8 * n_atoms, "translations and atoms")
    shifts = raw[: 3 * n_cells].reshape(-1, 3)
    if (2 * np.abs(shifts) >= np.array(cells)).any() or len(np.unique(shifts, axis=0)) < n_cells:
        raise DataError(f"{file}: record 4: the translations are not those of {' x '.join(map(str, cells))} cells")
    # a position is three float64, six of the int32 that the record was read as
    positions = raw[3 * n_cells : 3 * n_cells + 6 * n_atoms].view("<f8")
    if not np.isfinite(positions).all():
        raise DataError(f"{file}: record 4: a position is not finite")
    species = raw[3 * n_cells + 6 * n_atoms :][:n_atoms].astype(np.int64) - 1
    labels, sizes = _species(records, 5, n_species)
    shells = [_shells(file, records.array(6 + s, "<i4", 3 * size, "shells")) for s, size in enumerate(sizes)]
    _check_species(file, species, sizes, n_orbitals)
    place = 6 + n_species
    if version == 2:
        records.array(place, "u1", 60, "k mesh")
        place += 1
    counts = _counts(records, place, n_orbitals)
    end = _columns(records, place + 1, counts, n_orbitals * n_cells)
    end = records.rows(end, counts, 4 if single else 8, "Hamiltonian")
    _at_end(records, records.rows(end, counts, 4 if single else 8, "overlap"))
    electrons, temperature = values[10:].tolist()
    return HsxHeader(
        version, n_orbitals, tuple(cells), species, labels, tuple(shells), electrons, temperature * RYDBERG_EV
    )


def _check_version_0(records: FortranRecords) -> HsxHeader:
    file = records.file
    n_orbitals, n_all, spin, n_elements = records.array(0, "<i4", 4, "sizes").tolist()
    if n_orbitals < 1 or n_orbitals > len(records) or n_all % n_orbitals or n_all < n_orbitals:
        raise DataError(f"{file}: impossible sizes: {n_orbitals} orbitals, {n_all} in all cells")
    _refuse_spin(file, spin)
    if records.array(1, "<i4", 1, "Gamma point")[0] != 0:
        raise DataError(
            f"{file}: a Gamma-point run of SIESTA before 5; such files hold no distances and are not supported"
        )
    records.array(2, "<i4", n_all, "orbitals of the cell")
    counts = _counts(records, 3, n_orbitals)
    if counts.sum() != n_elements:
        raise DataError(f"{file}: the rows have {counts.sum()} elements, the header says {n_elements}")
    end = _columns(records, 4, counts, n_all)
    end = records.rows(end, counts, 4, "Hamiltonian")
    end = records.rows(end, counts, 4, "overlap")
    electrons, temperature = records.array(end, "<f8", 2, "electrons, temperature").tolist()
    end = records.rows(end + 1, counts, 12, "distances")
    n_species = int(records.array(end, "<i4", 1, "number of species")[0])
    labels, sizes = _species(records, end + 1, n_species)
    end, shells = end + 2, []
    for size in sizes:
        rows = [records.array(end + k, "<i4", 3, "shells") for k in range(size)]
        shells.append(_shells(file, np.stack(rows)))
        end += size
    n_atoms = int(records.array(end, "<i4", 1, "number of atoms")[0])
    species = records.array(end + 1, "<i4", n_atoms, "species of the atoms").astype(np.int64) - 1
    _check_species(file, species, sizes, n_orbitals)
    return HsxHeader(0, n_orbitals, None, species, labels, tuple(shells), electrons, temperature * RYDBERG_EV)


def _refuse_spin(file: Path, spin: int) -> None:
    if spin != 1:
        kind = SPIN.get(spin, f"{spin} spin components, which is damage")
        raise DataError(f"{file}: {kind}; matrices with spin are not supported, give a spinless calculation")


def _n_cells(file: Path, cells: IntArray) -> int:
    count = int(np.prod(cells.astype(np.int64)))
    # odd along every axis: -n .. n around the home cell
    if cells.min() < 1 or cells.max() > 1000 or count > 1 << 20 or (cells % 2 == 0).any():
        raise DataError(f"{file}: impossible number of cells {cells.tolist()}")
    return count


def _species(records: FortranRecords, number: int, n_species: int) -> tuple[tuple[str, ...], list[int]]:
    """Labels and numbers of orbitals."""
    table = records.array(number, "S20, <f8, <i4", n_species, "species")
    sizes = table["f2"].tolist()
    if not sizes or min(sizes) < 1 or max(sizes) > 10_000:
        raise DataError(f"{records.file}: record {number}: species with {sizes} orbitals")
    try:
        return tuple(label.decode("utf-8").strip() for label in table["f0"].tolist()), sizes
    except UnicodeDecodeError as error:
        raise DataError(f"{records.file}: record {number}: a species label is no text") from error


def _shells(file: Path, table: IntArray) -> tuple[int, ...]:
    """Shells of a species from (n, l, zeta) of each of its orbitals."""
    rows, shells, place = table.reshape(-1, 3).tolist(), [], 0
    while place < len(rows):
        l = rows[place][1]
        # the 2l + 1 orbitals of a shell state the same n, l, zeta one after the other
        if not 0 <= l < len(SHELL_LETTERS) or any(row != rows[place] for row in rows[place : place + 2 * l + 1]):
            raise DataError(f"{file}: orbital {place + 1} of a species has n, l, zeta = {rows[place]}: no whole shell")
        shells.append(l)
        place += 2 * l + 1
    if place != len(rows):
        raise DataError(f"{file}: the last shell of a species lacks orbitals")
    return tuple(shells)


def _check_species(file: Path, species: IntArray, sizes: list[int], n_orbitals: int) -> None:
    if not len(species) or species.min() < 0 or species.max() >= len(sizes):
        raise DataError(f"{file}: species of the atoms must lie in 1..{len(sizes)}")
    if np.array(sizes)[species].sum() != n_orbitals:
        raise DataError(
            f"{file}: the atoms have {np.array(sizes)[species].sum()} orbitals, the header says {n_orbitals}"
        )


def _counts(records: FortranRecords, number: int, n_orbitals: int) -> IntArray:
    counts = records.array(number, "<i4", n_orbitals, "elements in each row").astype(np.int64)
    if counts.min() < 0:
        raise DataError(f"{records.file}: record {number}: a row with a negative number of elements")
    return counts


def _columns(records: FortranRecords, first: int, counts: IntArray, n_columns: int) -> int:
    """Check the column numbers of all rows; returns the record after them."""
    end = records.rows(first, counts, 4, "column numbers")
    for number in range(first, end):
        columns = records.array(number, "<i4", None, "column numbers")
        if len(columns) and (columns.min() < 1 or columns.max() > n_columns or len(np.unique(columns)) < len(columns)):
            raise DataError(f"{records.file}: record {number}: column numbers must differ and lie in 1..{n_columns}")
    return end


def _at_end(records: FortranRecords, end: int) -> None:
    if end != len(records):
        raise DataError(f"{records.file}: {len(records) - end} records more than its header says")
