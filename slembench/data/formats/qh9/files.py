"""The two kinds of QH9 file, sqlite and LMDB, as rows of fields; neither is ever written to.

* sqlite: one table ``data``; stable ``id, N, Z, pos, Ham``, dynamic also ``geo_id, ekin, epot, etot, time, converged``
  with ``id`` as the bytes of an int64. Arrays are little-endian bytes.
* LMDB: the row number in four bytes, highest first -> pickle of ``id, num_nodes, atoms, pos, Ham`` (and ``geo_id``),
  the arrays as bytes or NumPy arrays; re-packed files add ``Ham_init``, tensors of no use here and the key ``length``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats.safe.lmdb import LmdbFile, lmdb_files, numbered
from slembench.data.formats.safe.sqlite import SqliteFile, sqlite_files
from slembench.data.formats.safe.unpickle import loads
from slembench.operators.orbitals import IntArray

Fields = dict[str, Any]

_COLUMNS = {"id": "id", "N": "num_nodes", "Z": "atoms", "pos": "pos", "Ham": "Ham"}
_MORE_COLUMNS = {"geo_id": "geo_id", "epot": "epot", "converged": "converged"}


class Rows(Protocol):
    """Rows of a QH9 file; every method raises DataError for what is missing or damaged.

    Attributes:
        path: the file.
        dynamic: whether rows are geometries of dynamic sets, which are in Bohr.
    """

    path: Path
    dynamic: bool

    def __len__(self) -> int:
        """Number of rows."""

    def fields(self, row: int) -> Fields:
        """Fields of one row, by number."""

    def stream(self) -> Iterator[Fields]:
        """Fields of all rows in order, one in memory at a time."""


class SqliteRows:
    """Rows of a sqlite file, in the order of its row ids.

    Asking for a row by number reads the list of row ids once (one page of the file a row or less).

    Args:
        path: the file.

    Raises:
        DataError: no sqlite file, or no table ``data`` with the columns of QH9.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = SqliteFile(path)
        there = self._file.columns("data")
        missing = set(_COLUMNS) - there
        if missing:
            raise DataError(
                f"{path}: no table 'data' with the columns {', '.join(_COLUMNS)} (lacks {sorted(missing)[0]})"
            )
        self._columns = _COLUMNS | {column: key for column, key in _MORE_COLUMNS.items() if column in there}
        self._query = f"SELECT {', '.join(self._columns)} FROM data"
        self.dynamic = "geo_id" in there

    def __len__(self) -> int:
        return len(self._ids)

    @cached_property
    def _ids(self) -> IntArray:
        ids = self._file.rows("SELECT rowid FROM data ORDER BY rowid")
        return np.fromiter((row[0] for row in ids), dtype=np.int64)

    def fields(self, row: int) -> Fields:
        """Fields of one row, by number."""
        found = next(self._file.rows(f"{self._query} WHERE rowid = ?", (int(self._ids[row]),)), None)
        if found is None:
            raise DataError(f"{self.path}: row {row}: not readable (cut short or damaged)")
        return dict(zip(self._columns.values(), found))

    def stream(self) -> Iterator[Fields]:
        """Fields of all rows in order, one in memory at a time."""
        for row in self._file.rows(f"{self._query} ORDER BY rowid"):
            yield dict(zip(self._columns.values(), row))


class LmdbRows:
    """Rows of an LMDB file, in the order of their numbers.

    Args:
        path: the file.

    Raises:
        DataError: no LMDB file, or one without records of QH9.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LmdbFile(path)
        value = self._file.first()  # without a walk through the tree of 130,000 records
        first = None if value is None else self._record(value, "the first record")
        if first is None:
            raise DataError(f"{path}: holds no records")
        self.dynamic = "geo_id" in first

    def __len__(self) -> int:
        return len(self._numbered)

    # workers of a data loader open the file for themselves; a memory map cannot be pickled
    def __reduce__(self) -> tuple[Any, ...]:
        return LmdbRows, (self.path,)

    @cached_property
    def _numbered(self) -> IntArray:
        return numbered(self._file)

    def fields(self, row: int) -> Fields:
        """Fields of one row, by number."""
        return self._record(self._file.value(int(self._numbered[row])), f"row {row}")

    def stream(self) -> Iterator[Fields]:
        """Fields of all rows in order, one in memory at a time."""
        return map(self.fields, range(len(self)))

    def _record(self, value: bytes, place: str) -> Fields:
        record = loads(value, f"{self.path}: {place}", skip_tensors=True)
        if not isinstance(record, dict) or not {"Ham", "atoms"} <= set(record):
            raise DataError(f"{self.path}: {place}: not a record of QH9 with keys 'atoms' and 'Ham'")
        return record


def open_rows(path: Path) -> Rows:
    """Rows of a QH9 file: a ``.db`` or a folder with one, or an LMDB file or a folder with one.

    Raises:
        DataError: none, or more than one.
    """
    sqlite, lmdb = sqlite_files(path), lmdb_files(path)
    if len(sqlite) + len(lmdb) != 1:
        names = ", ".join(str(file) for file in (*sqlite, *lmdb))
        raise DataError(f"{path}: must be or hold one sqlite or LMDB file; found: {names or 'none'}")
    return SqliteRows(sqlite[0]) if sqlite else LmdbRows(lmdb[0])
