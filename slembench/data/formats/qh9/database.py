"""QH9: the Hamiltonians of 130,831 molecules and of molecular dynamics, as sqlite or LMDB files.

Stable sets are in Angstrom, dynamic ones (with ``geo_id``) in Bohr; the shortest bonds have to agree with that. There
is no overlap in the files; `with_overlap` computes it with PySCF. Rows and fields are described in `files` and
`molecule` beside this module.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import atomic_file
from slembench.data.formats.plausibility import UnitEvidence, length_evidence
from slembench.data.formats.qh9.files import Rows, SqliteRows, open_rows
from slembench.data.formats.qh9.molecule import BASIS, BOHR, Molecule, canonical_order, decode, padded_molecules
from slembench.data.padded import PaddedBlocks
from slembench.data.sample import Sample, check_sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.units import energy_factor

_TABLE = "CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)"

LengthUnit = Literal["Angstrom", "Bohr"]


class QH9Database:
    """Molecules of a QH9 file by row number; memory does not grow with their number.

    Attributes:
        path: the file.
        dynamic: whether rows are geometries of molecular dynamics.
        length_unit: unit of the positions in the file.
        evidence: what the shortest bond of the first row says about that.

    Args:
        path: a ``.db``, or an LMDB file or its folder.
        length_unit: overrules what the layout says.

    Raises:
        DataError: no QH9 file, no rows, or positions that contradict the unit.
    """

    def __init__(self, path: str | Path, length_unit: LengthUnit | None = None) -> None:
        self._rows: Rows = open_rows(Path(path))
        self.path, self.dynamic = self._rows.path, self._rows.dynamic
        self.length_unit: LengthUnit = length_unit or ("Bohr" if self.dynamic else "Angstrom")
        if self.length_unit not in ("Angstrom", "Bohr"):
            raise DataError(f"unknown length unit {self.length_unit!r}; use Angstrom or Bohr")
        # what positions are divided by: QH9's own Bohr, not CODATA's, so that the originals come back exactly
        self._scale = BOHR if self.length_unit == "Bohr" else 1.0
        self.evidence = self._check_unit(forced=length_unit is not None)

    def _check_unit(self, forced: bool) -> UnitEvidence:
        fields = next(self._rows.stream(), None)
        if fields is None:
            raise DataError(f"{self.path}: holds no rows")
        first = decode(fields, f"{self.path}: row 0")
        found = length_evidence(first.numbers, first.positions)
        if found.unit not in (None, self.length_unit) and not forced:
            raise DataError(
                f"{self.path}: row 0: key 'pos': {found.reason}: {found.unit}, where this layout has"
                f" {self.length_unit}; say which with length_unit"
            )
        return found

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Molecule:
        """Molecule of a row, 0 to len - 1 in the order of the file (the numbers that official splits hold).

        Raises:
            IndexError: no such row.
            DataError: a row that is damaged.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"{self.path}: no row {row}; there are {len(self)}")
        return decode(self._rows.fields(row), f"{self.path}: row {row}", self._scale)

    def __iter__(self) -> Iterator[Molecule]:
        """All molecules in order, one in memory at a time."""
        for row, fields in enumerate(self._rows.stream()):
            yield decode(fields, f"{self.path}: row {row}", self._scale)

    def batch(self, rows: Iterable[int]) -> PaddedBlocks:
        """Padded blocks of some rows, errors as for one."""
        return padded_molecules(self[row] for row in rows)


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is, or holds, a QH9 file."""
    try:
        rows = open_rows(path)
    except (DataError, OSError):
        return []
    kind = "dynamic" if rows.dynamic else "stable"
    if isinstance(rows, SqliteRows):
        return [f"{rows.path.name}: sqlite table 'data' with the columns id, N, Z, pos, Ham ({kind})"]
    return [f"{rows.path.name}: LMDB records with the keys 'atoms' and 'Ham' ({kind})"]


def read(path: Path, *, overlap: bool = False, length_unit: LengthUnit | None = None) -> Iterator[Sample]:
    """Samples of all rows, in Hartree and Angstrom; ids are the molecule's number, in dynamic sets ``number_geometry``.

    Args:
        path: as in `QH9Database`.
        overlap: compute S with PySCF as well.
        length_unit: overrules what the layout says.

    Raises:
        DataError: as in `QH9Database`, or a damaged row.
    """
    samples = (molecule.sample() for molecule in QH9Database(path, length_unit))
    return map(with_overlap, samples) if overlap else samples


def notes(path: Path) -> list[str]:
    """Summary of a file without reading all of it: rows, length unit with its evidence."""
    database = QH9Database(path)
    kind = "geometries of molecular dynamics" if database.dynamic else "molecules"
    return [f"{len(database)} {kind}", f"positions in {database.length_unit}: {database.evidence.reason}"]


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write the Hamiltonians of molecules as a stable QH9 file, streaming; the file appears whole or not at all.

    Args:
        samples: molecules of H, C, N, O, F in the shells of def2-SVP, with ids that are integers.
        path: the ``.db`` file.

    Raises:
        DataError: a sample without Hamiltonian, with other shells, of a crystal, or with an id that is no integer or
            came before.
    """
    with atomic_file(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")  # the temporary file is thrown away if anything fails
        connection.execute(_TABLE)
        for sample in samples:
            try:
                connection.execute(
                    "INSERT INTO data VALUES (?, ?, ?, ?, ?)", _row(check_sample(sample, str(path)), path)
                )
            except sqlite3.IntegrityError as error:
                problem = "a structure of this id came before"
                raise DataError(f"{path}: structure {sample.id!r}: key 'id': {problem}") from error
        connection.commit()


def _row(sample: Sample, path: Path) -> tuple[int, int, bytes, bytes, bytes]:
    place = f"{path}: structure {sample.id!r}"
    if not (sample.id.isascii() and sample.id.isdigit()):
        raise DataError(f"{place}: key 'id': QH9 numbers its molecules; give ids that are integers")
    if "hamiltonian" not in sample.operators:
        raise DataError(f"{place}: key 'hamiltonian': missing, and QH9 holds nothing else")
    hamiltonian, numbers = sample.operators["hamiltonian"], sample.atoms.numbers.astype(np.int64)
    for z in sorted(set(numbers.tolist())):
        if sample.basis.shells[z] != BASIS.shells.get(z):
            here = ", ".join(f"{symbol} {shells}" for symbol, shells in BASIS.to_dict().items())
            raise DataError(f"{place}: key 'basis': QH9 holds {here}, not {sample.basis.to_dict()}")
    if hamiltonian.pair_shift.any():
        raise DataError(f"{place}: key 'hamiltonian': couples to other cells; QH9 holds molecules")
    matrix = hamiltonian.dense() * energy_factor(sample.info.energy_unit, "Hartree")
    raw, order = np.empty_like(matrix), canonical_order(numbers)
    # inverse of `canonical = raw[order][:, order]`; all signs are +1
    raw[order[:, None], order] = matrix
    blobs = (numbers.astype("<i4"), sample.atoms.positions.astype("<f8"), raw.astype("<f8"))
    return int(sample.id), len(numbers), blobs[0].tobytes(), blobs[1].tobytes(), blobs[2].tobytes()


def overlap(numbers: IntArray, positions: FloatArray) -> FloatArray:
    """S of def2-SVP in canonical order, dimensionless.

    Args:
        numbers: (N,) of H, C, N, O, F.
        positions: (N, 3) Angstrom.

    Returns:
        (n, n).

    Raises:
        DataError: PySCF is not installed.
    """
    try:
        from pyscf import gto
    except ImportError as error:
        raise DataError("the overlap of QH9 is computed with PySCF: pip install pyscf") from error
    atoms = [(int(z), tuple(xyz)) for z, xyz in zip(numbers, positions.tolist())]
    spin = int(numbers.sum()) % 2  # PySCF refuses an odd number of electrons without spin; S does not depend on it
    molecule = gto.M(atom=atoms, basis="def2svp", unit="Angstrom", spin=spin, verbose=0)
    order = canonical_order(numbers)
    return np.asarray(molecule.intor("int1e_ovlp"))[order[:, None], order]


def with_overlap(sample: Sample) -> Sample:
    """The sample with the operator "overlap" added."""
    matrix = overlap(sample.atoms.numbers, sample.atoms.positions)
    blocks = BlockMatrix.from_dense(BASIS, sample.atoms.numbers, matrix)
    return replace(sample, operators={**sample.operators, "overlap": blocks})
