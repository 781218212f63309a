"""The LMDB reader, against files that the LMDB library writes."""

import random
import struct
import subprocess
import sys

import lmdb
import pytest

from slembench.core.errors import DataError
from slembench.data.formats.safe.lmdb import LmdbFile, lmdb_files, numbered


def write(folder, content, deleted=()):
    with lmdb.open(str(folder), map_size=1 << 28, sync=False) as environment:
        for key, value in content.items():
            with environment.begin(write=True) as transaction:
                transaction.put(key, value)
        with environment.begin(write=True) as transaction:
            for key in deleted:
                transaction.delete(key)
    return folder / "data.mdb"


def contents(file):
    return {key: file.value(number) for number, key in enumerate(file.keys)}


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 1), (3, 300_000), (40, 6000), (1500, 30), (300, 2000)])
def test_contents_equal_what_was_written(tmp_path, count, size):
    rng = random.Random(count)
    content = {}
    for number in range(count):
        key = number.to_bytes(4, "big") if number % 3 else f"name {number}".encode()
        content[key] = rng.randbytes(rng.randrange(size))
    deleted = list(content)[::7][1:]
    file = LmdbFile(write(tmp_path, content, deleted))
    wanted = {key: value for key, value in content.items() if key not in deleted}
    assert contents(file) == wanted
    assert file.keys == sorted(wanted)
    assert len(file) == len(wanted)
    assert file.first() == (wanted[min(wanted)] if wanted else None)


def test_values_around_the_size_of_a_page(tmp_path):
    content = {
        size.to_bytes(4, "big"): bytes([size % 251]) * size for size in (0, 1, 2020, 2040, 4079, 4080, 4081, 8176)
    }
    assert contents(LmdbFile(write(tmp_path, content))) == content


def test_records_in_the_order_of_their_numbers(tmp_path):
    content = {n.to_bytes(4, "big"): b"%d" % n for n in (0, 1, 9, 10, 300)} | {b"length": b"5"}
    file = LmdbFile(write(tmp_path / "binary", content))
    assert [file.value(n) for n in numbered(file)] == [b"0", b"1", b"9", b"10", b"300"]
    content = {b"%d" % n: b"%d" % n for n in (0, 1, 9, 10, 1000)}
    file = LmdbFile(write(tmp_path / "text", content))
    assert [file.value(n) for n in numbered(file)] == [b"0", b"1", b"9", b"10", b"1000"]
    with pytest.raises(DataError, match="key b'number' is no number"):
        numbered(LmdbFile(write(tmp_path / "other", {b"number": b""})))


def test_where_the_file_may_lie(tmp_path):
    file = write(tmp_path / "a" / "b", {b"k": b"v"}) if (tmp_path / "a").mkdir() is None else None
    for path in (file, file.parent, tmp_path / "a", tmp_path):
        assert lmdb_files(path) == [file]
    (tmp_path / "c").mkdir()
    assert lmdb_files(tmp_path / "c") == []
    (tmp_path / "c" / "data.mdb").write_bytes(b"something else" * 20)
    assert lmdb_files(tmp_path / "c") == []
    with pytest.raises(DataError, match="no valid head"):
        LmdbFile(tmp_path / "c" / "data.mdb")
    with pytest.raises(DataError, match="not readable as LMDB"):
        LmdbFile(tmp_path / "nothing.mdb")


def test_nothing_is_written(tmp_path):
    file = write(tmp_path, {b"k": b"v" * 5000})
    (tmp_path / "lock.mdb").unlink()
    before = file.read_bytes()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert contents(LmdbFile(*lmdb_files(tmp_path))) == {b"k": b"v" * 5000}
    finally:
        tmp_path.chmod(0o755)
    assert [path.name for path in tmp_path.iterdir()] == ["data.mdb"]
    assert file.read_bytes() == before


def test_named_databases_are_refused(tmp_path):
    with lmdb.open(str(tmp_path), max_dbs=1) as environment:
        database = environment.open_db(b"inner")
        with environment.begin(write=True, db=database) as transaction:
            transaction.put(b"k", b"v")
    with pytest.raises(DataError, match="named databases"):
        _ = LmdbFile(tmp_path / "data.mdb").keys


def test_a_loop_in_the_tree(tmp_path):
    """A child that points back to its parent must not keep the reader busy."""
    file = write(tmp_path, {n.to_bytes(4, "big"): b"v" * 100 for n in range(200)})
    content = bytearray(file.read_bytes())
    for start in range(0, len(content), 4096):
        page, _, flags, _, upper = struct.unpack_from("<QHHHH", content, start)
        if flags == 1:
            struct.pack_into("<HHH", content, start + upper, page, 0, 0)
    file.write_bytes(content)
    with pytest.raises(DataError, match="loop"):
        _ = LmdbFile(file).keys


def test_the_library_dies_where_this_reader_reports(tmp_path):
    """Why there is a reader of our own: a file cut short ends the process that maps it with the C library."""
    file = write(tmp_path, {n.to_bytes(4, "big"): b"v" * 9000 for n in range(30)})
    file.write_bytes(file.read_bytes()[: 4096 * 9])
    with pytest.raises(DataError, match="cut short or damaged"):
        contents(LmdbFile(file))
    code = "import lmdb, sys\nwith lmdb.open(sys.argv[1], readonly=True, lock=False).begin() as t: list(t.cursor())\n"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True).returncode


def test_random_damage(tmp_path):
    file = write(tmp_path, {n.to_bytes(4, "big"): b"%d" % n * (n * 40) for n in range(60)})
    sound, rng = file.read_bytes(), random.Random(3)
    wanted, errors = contents(LmdbFile(file)), 0
    for _ in range(400):
        broken = bytearray(sound[: rng.choice([len(sound), rng.randrange(len(sound))])])
        for _ in range(rng.randrange(6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        for _ in range(rng.randrange(3)):
            place = 4096 * rng.randrange(len(broken) // 4096 + 1) + rng.randrange(40)
            if place < len(broken):
                broken[place] ^= 1 << rng.randrange(8)
        file.write_bytes(broken or b"x")
        try:
            found = contents(LmdbFile(file))
        except DataError:
            errors += 1
        else:
            assert len(found) <= len(wanted)
    assert errors > 100
