"""The two kinds of QH9 file, sqlite and LMDB, as rows of fields; neither is ever written to.

* sqlite: one table ``data``; stable ``id, N, Z, pos, Ham``, dynamic also ``geo_id, ekin, epot, etot, time, converged``
  with ``id`` as the bytes of an int64. Arrays are little-endian bytes.
* LMDB: the row number in four bytes, highest first -> pickle of ``id, num_nodes, atoms, pos, Ham`` (and ``geo_id``),
  the arrays as bytes or NumPy arrays; re-packed files add ``Ham_init``, tensors of no use here and the key ``length``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slembench.data.lmdb import LmdbFile, lmdb_files, numbered
from slembench.data.unpickle import loads
from slembench.errors import DataError
from slembench.orbitals import IntArray

Fields = dict[str, Any]

_COLUMNS = {"id": "id", "N": "num_nodes", "Z": "atoms", "pos": "pos", "Ham": "Ham"}
_MORE_COLUMNS = {"geo_id": "geo_id", "epot": "epot", "converged": "converged"}
_SQLITE = b"SQLite format 3\0"


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

    Asking for a row by number reads the list of row ids once (one page of the file a row or less). A process that was
    forked opens the file for itself.

    Args:
        path: the file.

    Raises:
        DataError: no sqlite file, or no table ``data`` with the columns of QH9.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: tuple[int, sqlite3.Connection] | None = None
        there = {str(row[1]) for row in self._rows("PRAGMA table_info(data)")}
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None}

    @cached_property
    def _ids(self) -> IntArray:
        return np.fromiter((row[0] for row in self._rows("SELECT rowid FROM data ORDER BY rowid")), dtype=np.int64)

    def fields(self, row: int) -> Fields:
        """Fields of one row, by number."""
        found = next(self._rows(f"{self._query} WHERE rowid = ?", (int(self._ids[row]),)), None)
        if found is None:
            raise DataError(f"{self.path}: row {row}: not readable (cut short or damaged)")
        return dict(zip(self._columns.values(), found))

    def stream(self) -> Iterator[Fields]:
        """Fields of all rows in order, one in memory at a time."""
        for row in self._rows(f"{self._query} ORDER BY rowid"):
            yield dict(zip(self._columns.values(), row))

    def _rows(self, query: str, values: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            with closing(self._open().cursor()) as cursor:
                yield from cursor.execute(query, values)
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: not readable as sqlite (cut short or damaged): {error}") from error

    def _open(self) -> sqlite3.Connection:
        """The connection of this process. A file without a journal beside it is taken as one that nobody writes to."""
        if self._connection is None or self._connection[0] != os.getpid():
            journals = (self.path.with_name(self.path.name + end) for end in ("-wal", "-journal"))
            mode = "mode=ro" if any(file.exists() for file in journals) else "mode=ro&immutable=1"
            address = f"{self.path.absolute().as_uri()}?{mode}"
            self._connection = os.getpid(), sqlite3.connect(address, uri=True, check_same_thread=False)
        return self._connection[1]


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
        value = self._file.first()
        first = None if value is None else self._record(value, "the first record")
        if first is None:
            raise DataError(f"{path}: holds no records")
        self.dynamic = "geo_id" in first

    def __len__(self) -> int:
        return len(self._numbered)

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


def sqlite_files(path: Path) -> list[Path]:
    """Sqlite files at a path: the path itself, or ``*.db`` in a folder."""
    return [file for file in ([path] if path.is_file() else sorted(path.glob("*.db"))) if _is_sqlite(file)]


def _is_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
