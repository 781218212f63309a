"""Sqlite files that are only read, also where their folder may not be written to."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from slembench.errors import DataError

_MAGIC = b"SQLite format 3\0"


class SqliteFile:
    """One file; every method raises a DataError that names it where it is cut short or damaged.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, one in memory at a time.

        Raises:
            DataError: sqlite cannot read the file.
        """
        address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
        try:
            with closing(sqlite3.connect(address, uri=True)) as connection, closing(connection.cursor()) as cursor:
                yield from cursor.execute(query, values)
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}: not readable as sqlite (cut short or damaged): {error}") from error

    def columns(self, table: str) -> set[str]:
        """Names of the columns of a table; empty if there is no such table."""
        return {str(row[1]) for row in self.rows(f"PRAGMA table_info({table})")}


def sqlite_files(path: Path) -> list[Path]:
    """Sqlite files at a path: the path itself, or ``*.db`` in the folder."""
    return [file for file in ([path] if path.is_file() else sorted(path.glob("*.db"))) if _is_sqlite(file)]


def _is_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False
