"""Molecules of QH9, copies of third-party files, and the direction test of s and p orbitals."""

import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

ANGSTROM = 1.8897259886
"""Bohr in an Angstrom, as QH9 has it."""


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
