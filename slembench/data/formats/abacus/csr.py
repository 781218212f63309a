"""ABACUS's text files of sparse matrices, one CSR matrix for every lattice translation R.

Up to version 3.10 a file starts with "STEP: 0" (or not), "Matrix Dimension of H(R): N", "Matrix number of H(R): M";
newer ones with "--- Ionic Step 1 ---", "N # number of localized basis", "M # number of Bravais lattice vector R", the
structure, and a box of comment. Then, for each R: Rx Ry Rz nnz, and unless nnz = 0 the values, the column numbers from
0 and the N + 1 row pointers. Comments (#) may stand between them, lines may be broken anywhere.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.operators.orbitals import FloatArray, IntArray

_OLD = re.compile(rb"Matrix Dimension of \S+ *(\d+)\s+Matrix number of \S+ *(\d+)\s")
_NEW = re.compile(
    rb"(\d+) # number of localized basis.*?(\d+) # number of Bravais lattice vector R(?:.*?#-{9,}#){2}", re.DOTALL
)
_STEP = re.compile(rb"^ *(?:STEP:|--- Ionic Step) *(\d+)", re.MULTILINE)
_SPIN = re.compile(rb"(\d+) # number of spin directions")


@dataclass(frozen=True)
class SparseElements:
    """All elements of a matrix that is periodic along R.

    Attributes:
        size: orbitals in the cell.
        rows: (n,) int64 | orbital in cell 0.
        columns: (n,) int64 | orbital in cell R.
        shifts: (n, 3) int64 | R.
        values: (n,) float64 | in the file's unit.
    """

    size: int
    rows: IntArray
    columns: IntArray
    shifts: IntArray
    values: FloatArray


def read_csr(file: Path) -> SparseElements:
    """Elements of one file; all numbers are parsed in one go.

    Raises:
        DataError: not such a file, truncated or damaged, several ionic steps, matrices with spin (complex values or two
            spin directions), or translations summed into one (gamma-only run of a newer version).
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: not readable: {error}") from error
    # the old header stands at the very beginning; in new files a structure of any length comes first
    header = _OLD.search(content, 0, 4096) or _NEW.search(content)
    if header is None:
        raise DataError(f"{file}: no header of an ABACUS matrix ('Matrix Dimension of H(R): N', or '# number of ...')")
    _refuse_others(file, content, content[: header.end()])
    size, n_cells = int(header[1]), int(header[2])
    numbers = _numbers(file, content[header.end() :])
    return _elements(file, numbers, size, n_cells)


def _refuse_others(file: Path, content: bytes, header: bytes) -> None:
    steps = [int(step) for step in _STEP.findall(content)]
    if len(steps) > 1:
        raise DataError(
            f"{file}: holds {len(steps)} ionic steps; matrices of a trajectory in one file are not supported, write one"
            " file a step and give each with its structure"
        )
    spin = _SPIN.search(header)
    if b"(" in content[len(header) :] or (spin and spin[1] != b"1"):
        raise DataError(
            f"{file}: a calculation with spin (two spin directions, or complex values of 2 N orbitals whose spins"
            " alternate); matrices with spin are not supported, give one with nspin 1"
        )
    if b"gamma-only folded" in header:
        raise DataError(f"{file}: all lattice translations are summed (gamma_only 1); run with gamma_only 0")


def _numbers(file: Path, body: bytes) -> FloatArray:
    """Every number after the header."""
    text = re.sub(rb"#[^\n]*", b" ", body).decode("ascii", errors="replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # fromstring only warns about text that is no number, and stops there
            numbers = np.fromstring(text, sep=" ", dtype=np.float64)
    except (ValueError, DeprecationWarning) as error:
        raise DataError(f"{file}: something other than numbers among the matrix elements: {error}") from error
    if not np.isfinite(numbers).all():
        raise DataError(f"{file}: a matrix element is NaN or infinite")
    return numbers


def _elements(file: Path, numbers: FloatArray, size: int, n_cells: int) -> SparseElements:
    """Split the numbers into one CSR matrix a translation."""
    values, rows, columns, shifts, lengths = [], [], [], [], []
    place = 0
    for cell in range(n_cells):
        where = f"{file}: matrix {cell + 1} of {n_cells}"
        head = _whole(numbers[place : place + 4], where)
        if len(head) < 4 or head[3] < 0 or head[3] > size**2:
            raise DataError(f"{where}: must begin with Rx Ry Rz and a number of elements in 0..{size**2}")
        count, place = int(head[3]), place + 4
        # an empty matrix may end after its head or have its N + 1 row pointers, all zero: both occur
        if count == 0 and (numbers[place : place + size + 1] == 0).sum() < size + 1:
            continue
        end = place + 2 * count + size + 1
        if end > len(numbers):
            raise DataError(f"{where}: the file ends early, it is truncated")
        pointers = _whole(numbers[place + 2 * count : end], where)
        column = _whole(numbers[place + count : place + 2 * count], where)
        steps = np.diff(pointers)  # elements in each row
        if pointers[0] != 0 or pointers[-1] != count or (steps < 0).any():
            raise DataError(f"{where}: the row pointers must rise from 0 to {count}")
        if count and (column.min() < 0 or column.max() >= size):
            raise DataError(f"{where}: column numbers must lie in 0..{size - 1}")
        values.append(numbers[place : place + count])
        columns.append(column)
        rows.append(np.repeat(np.arange(size), steps))
        shifts.append(head[:3])
        lengths.append(count)
        place = end
    if place != len(numbers):
        raise DataError(f"{file}: {len(numbers) - place} numbers more than the {n_cells} matrices of the header need")
    if not lengths:
        raise DataError(f"{file}: no matrix element at all")
    return SparseElements(
        size,
        np.concatenate(rows),
        np.concatenate(columns),
        np.repeat(np.stack(shifts), lengths, axis=0),
        np.concatenate(values),
    )


def _whole(numbers: FloatArray, where: str) -> IntArray:
    # beyond 2^53 not every integer is a float64, so that one cannot tell a whole number
    whole = np.round(numbers)
    if (whole != numbers).any() or np.abs(whole).max(initial=0) > 2**53:
        raise DataError(f"{where}: a whole number (translation, count, column or row pointer) has a fraction")
    return whole.astype(np.int64)
