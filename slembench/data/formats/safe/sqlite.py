"""Sqlite files that are only read, also where their folder may not be written to."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from slembench.core.errors import DataError

_MAGIC = b"SQLite format 3\0"


class SqliteFile:
    """One file; every method raises a DataError that names it where it is cut short or damaged.

    A file without a journal beside it is taken as one that nobody writes to. A process that was forked, or that got a
    pickled copy, opens the file for itself.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: tuple[int, sqlite3.Connection] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None}

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, one in memory at a time.

        Raises:
            DataError: sqlite cannot read the file.
        """
        try:
            with closing(self._open().cursor()) as cursor:
                yield from cursor.execute(query, values)
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: not readable as sqlite (cut short or damaged): {error}") from error

    def columns(self, table: str) -> set[str]:
        """Names of the columns of a table; empty if there is no such table."""
        return {str(row[1]) for row in self.rows(f"PRAGMA table_info({table})")}

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._connection[0] != os.getpid():
            journals = (self.path.with_name(self.path.name + end) for end in ("-wal", "-journal"))
            # immutable: no lock and no journal, so that read-only folders will do; not safe while a program writes
            mode = "mode=ro" if any(file.exists() for file in journals) else "mode=ro&immutable=1"
            address = f"{self.path.absolute().as_uri()}?{mode}"
            connection = sqlite3.connect(address, uri=True, check_same_thread=False)
            connection.execute(f"PRAGMA mmap_size = {1 << 31}")  # as far as sqlite goes, a third less time a row
            self._connection = os.getpid(), connection
        return self._connection[1]


def sqlite_files(path: Path) -> list[Path]:
    """Sqlite files at a path: the path itself, or ``*.db`` in the folder."""
    return [file for file in ([path] if path.is_file() else sorted(path.glob("*.db"))) if _is_sqlite(file)]


def check_whole(file: Path) -> None:
    """Raise DataError where a sqlite file (from `sqlite_files`) is shorter than its own header says, or unreadable."""
    with file.open("rb") as stream:
        head = stream.read(100)
    # bytes 16-17: page size (1 stands for 65536), 28-31: pages in the file; big-endian
    page, there = int.from_bytes(head[16:18]), file.stat().st_size
    stated = (65536 if page == 1 else page) * int.from_bytes(head[28:32])
    if there < max(stated, 100):
        raise DataError(
            f"{file}: a sqlite file that is cut short: {there} bytes are there, its header says {stated}; get it again"
        )
    list(SqliteFile(file).rows("SELECT name FROM sqlite_master"))


def _is_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
