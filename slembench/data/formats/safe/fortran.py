"""Files of Fortran's unformatted sequential records: four bytes of length before and after each one, little-endian."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.operators.orbitals import IntArray


class FortranRecords:
    """The records of one file.

    Attributes:
        file: path, named in errors.
        lengths: (n,) int64 | bytes of each record.
    """

    def __init__(self, file: Path) -> None:
        """Find the records.

        Raises:
            DataError: an unreadable file, or lengths that do not lead to its end.
        """
        self.file = file
        try:
            self._content = file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: not readable: {error}") from error
        starts: list[int] = []
        lengths: list[int] = []
        place, total = 0, len(self._content)
        while place < total:
            before = self._content[place : place + 4]
            length = int.from_bytes(before, "little", signed=True)
            # big-endian lengths, or a cut, show up as two marks that differ; negative ones are gfortran's subrecords
            if length < 0 or place + length + 8 > total or self._content[place + 4 + length :][:4] != before:
                raise DataError(
                    f"{file}: record {len(starts)} at byte {place}: its two lengths do not agree; the file is"
                    " truncated, damaged, not written by Fortran, or of a big-endian machine"
                )
            starts.append(place + 4)
            lengths.append(length)
            place += length + 8
        self._starts = starts
        self.lengths: IntArray = np.array(lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    def array(self, number: int, dtype: str, count: int | None, what: str) -> NDArray[Any]:
        """Values of one record.

        Args:
            number: of the record, from 0.
            dtype: NumPy's, such as "<i4".
            count: values that must be there; any where it is None.
            what: meaning of the record, named in the error.

        Raises:
            DataError: there is no such record, or it has another length.
        """
        if number >= len(self):
            raise DataError(f"{self.file}: ends after {len(self)} records, before {what}")
        size = np.dtype(dtype).itemsize
        length = int(self.lengths[number])
        if length % size or (count is not None and length != count * size):
            raise DataError(
                f"{self.file}: record {number}, {what}: has {length} bytes, must have {(count or 1) * size}"
            )
        start = self._starts[number]
        return np.frombuffer(self._content[start : start + length], dtype=dtype)

    def rows(self, first: int, counts: IntArray, size: int, what: str) -> int:
        """Check a run of records, one a matrix row.

        Args:
            first: number of the first.
            counts: (n,) values in each.
            size: bytes of a value.
            what: meaning, named in the error.

        Returns:
            Number of the record after them.

        Raises:
            DataError: one of them has another length or is not there.
        """
        end = first + len(counts)
        found = self.lengths[first:end]
        if len(found) < len(counts) or (found != counts * size).any():
            raise DataError(
                f"{self.file}: records {first} to {end - 1}, {what}: not of the lengths that the header says"
            )
        return end
