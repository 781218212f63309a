"""Random damage to valid files, molecules of QH9, and the direction test of s and p orbitals."""

import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager

import numpy as np
import pytest

from slembench.errors import DataError

ANGSTROM = 1.8897259886
"""Bohr in an Angstrom, as QH9 has it."""

PATIENCE = 20
"""Seconds that one read of a damaged file may take."""


@pytest.fixture(scope="session")
def outcomes():
    """Function ``outcomes(read, file, count)``: what reading damaged copies of a file led to; see `count_outcomes`."""
    return count_outcomes


@pytest.fixture
def copy_of(tmp_path):
    """Function that copies a third-party file or folder, to be spoilt or opened; returns its path."""

    def copy(source):
        target = tmp_path / source.name
        if source.is_file():
            return shutil.copyfile(source, target)
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        for folder in (target, *target.rglob("*/")):
            folder.chmod(0o755)
        return target

    return copy


@pytest.fixture(scope="session")
def qh9_records():
    """Four molecules as the fields of QH9 in PySCF's order: id, geo_id, atoms, pos (Angstrom), Ham (symmetric)."""
    rng = np.random.default_rng(9)
    records = []
    for number, symbols in enumerate(("OHH", "CHHHH", "NFO", "HCN")):
        atoms = np.array([{"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}[symbol] for symbol in symbols], dtype=np.int32)
        pos = np.cumsum(rng.normal(0.6, 0.1, size=(len(atoms), 3)), axis=0)
        size = sum(5 if z == 1 else 14 for z in atoms)
        matrix = rng.normal(size=(size, size))
        record = {"id": 7 * number, "geo_id": number % 2, "num_nodes": len(atoms), "atoms": atoms, "pos": pos}
        records.append({**record, "Ham": matrix + matrix.T, "epot": -1.5 * number})
    return records


@pytest.fixture(scope="session")
def write_qh9(qh9_records):
    """Function that writes a QH9 sqlite file of four molecules as its authors did; returns the path."""

    def write(path, dynamic=False):
        with closing(sqlite3.connect(path)) as connection:
            if dynamic:
                columns = "geo_id INTEGER NOT NULL, N INTEGER, Z BLOB, pos BLOB, ekin FLOAT, epot FLOAT, etot FLOAT"
                connection.execute(
                    f"CREATE TABLE data (id INTEGER NOT NULL, {columns}, time FLOAT, Ham BLOB, converged INT)"
                )
            else:
                columns = "N INTEGER, Z BLOB, pos BLOB, Ham BLOB"
                connection.execute(f"CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, {columns})")
            for r in qh9_records:
                z, h = r["atoms"].tobytes(), r["Ham"].tobytes()
                pos = (r["pos"] * (ANGSTROM if dynamic else 1)).tobytes()
                row = (
                    np.int64(r["id"]).tobytes(),
                    r["geo_id"],
                    len(r["atoms"]),
                    z,
                    pos,
                    0.0,
                    r["epot"],
                    0.0,
                    0.0,
                    h,
                    1,
                )
                row = row if dynamic else (r["id"], len(r["atoms"]), z, pos, h)
                connection.execute(f"INSERT INTO data VALUES ({', '.join('?' * len(row))})", row)
            connection.commit()
        return path

    return write


@pytest.fixture(scope="session")
def s_p_cosines():
    """Function: cosines between <s_i | p_j>, a vector (y, z, x), and the way from i to j; see `direction_cosines`."""
    return direction_cosines


def direction_cosines(sample, shell=0):
    """Cosines of an s shell of every atom with the first p shell of every other: -1 where conventions are right."""
    overlap, shells = sample.operators["overlap"], sample.basis.shells
    vectors = overlap.vectors(sample.atoms.positions, sample.atoms.cell.array)
    cosines = []
    for _, zj, pairs in overlap.pair_type_groups():
        pairs, p = pairs[~overlap.onsite[pairs]], shells[zj].count(0)
        if len(pairs):
            found = overlap.gather(pairs)[:, shell, p : p + 3]
            keep = np.linalg.norm(found, axis=1) > 1e-3
            found, way = found[keep], vectors[pairs][keep][:, [1, 2, 0]]
            cosines.append((found * way).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(way, axis=1))
    return np.concatenate(cosines)


def damaged(content, count, seed=1):
    """``count`` broken copies of some bytes: cut short, bits flipped, pieces overwritten, zeroed or swapped."""
    rng = random.Random(seed)
    for number in range(count):
        broken, a = bytearray(content), rng.randrange(len(content))
        size = rng.choice([1, 8, 64, 4096])
        if number % 5 == 0:
            del broken[a:]
        elif number % 5 == 1:
            for _ in range(rng.choice([1, 3, 30])):
                broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        elif number % 5 == 2:
            broken[a : a + size] = rng.randbytes(len(broken[a : a + size]))
        elif number % 5 == 3:
            broken[a : a + size] = bytes(len(broken[a : a + size]))
        else:
            b = rng.randrange(len(content))
            broken[a : a + size], broken[b : b + size] = broken[b : b + size], broken[a : a + size]
        yield bytes(broken)


def count_outcomes(read, file, count, seed=1):
    """Read damaged copies of a file in its place.

    Args:
        read: function without arguments that reads it and returns something to compare; the sound file comes first.
        file: path of the file.
        count: number of damaged copies.

    Returns:
        Counter of "error" (a DataError), "same" (what the sound file gives) and "other". Any other exception, or a
        read that takes longer than `PATIENCE`, fails the test.
    """
    content, wanted, found = file.read_bytes(), read(), Counter()
    for broken in damaged(content, count, seed):
        file.write_bytes(broken)
        with time_limit():
            try:
                found["same" if read() == wanted else "other"] += 1
            except DataError:
                found["error"] += 1
    file.write_bytes(content)
    assert read() == wanted
    return found


@contextmanager
def time_limit():
    """Fail when the block takes longer than `PATIENCE`."""

    def stop(*_):
        raise TimeoutError(f"reading takes more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
