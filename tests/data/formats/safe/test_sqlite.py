"""Sqlite files that are shorter than they say."""

import sqlite3

import pytest

from slembench.core.errors import DataError
from slembench.data.formats import detect_format
from slembench.data.formats.safe.sqlite import check_whole


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE data (id INTEGER, N, Z BLOB, pos BLOB, Ham BLOB)")
        rows = [(k, 3, b"1" * 50, b"2" * 80, b"3" * 3000) for k in range(20)]
        connection.executemany("INSERT INTO data VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


@pytest.mark.parametrize("kept", [50, 1000, 4096, -5000])
def test_cut_short(whole, tmp_path, kept):
    part = tmp_path / "part.db"
    part.write_bytes(whole.read_bytes()[:kept])
    words = rf"part\.db: a sqlite file that is cut short: {part.stat().st_size} bytes are there, its header says"
    with pytest.raises(DataError, match=words):
        detect_format(part)


def test_whole_file_of_another_kind(whole):
    check_whole(whole)
    with sqlite3.connect(whole) as connection:
        connection.execute("ALTER TABLE data RENAME TO other")
    connection.close()
    with pytest.raises(DataError, match="none of the known formats"):
        detect_format(whole)
