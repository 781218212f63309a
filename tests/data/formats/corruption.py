"""Reads damaged copies of a valid file, in a process of its own: native libraries may end it.

    python corruption.py            # one JSON job a line on stdin, one JSON answer a line on stdout

A job names a path, its format, the files in it to be damaged, how many damages and a seed. Half of them change bytes
(`damage_bytes`), the other half what the bytes mean (`damage_content`): numbers, shapes, fields, rows. Each ends as
"error" (a slembench error that names the file), "same" (what the sound file gives), "other" (something else that no
check could tell: finite, Hermitian, S positive definite), or in the list of problems.
"""

import json
import pickle
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

import h5py
import lmdb
import numpy as np

from slembench.core.errors import SlembenchError
from slembench.data.formats import read_samples

PATIENCE = 20
"""Seconds that one read may take."""

HERMITIAN = 1e-4
"""Asymmetry, as a fraction of the largest value, that every reader must notice."""

NEGATIVE = -2e-4
"""Eigenvalue of an overlap that every reader must notice."""

NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")


# -- damage to bytes --------------------------------------------------------------------------------------


def damage_bytes(content, rng):
    """Cut short, bits flipped, a piece overwritten, zeroed, or two pieces swapped."""
    broken, a = bytearray(content), rng.randrange(len(content))
    size, kind = rng.choice([1, 8, 64, 4096]), rng.randrange(5)
    if kind == 0:
        del broken[a:]
    elif kind == 1:
        for _ in range(rng.choice([1, 3, 30])):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        broken[a : a + size] = rng.randbytes(len(broken[a : a + size]))
    elif kind == 3:
        broken[a : a + size] = bytes(len(broken[a : a + size]))
    else:
        b = rng.randrange(len(content))
        broken[a : a + size], broken[b : b + size] = broken[b : b + size], broken[a : a + size]
    return bytes(broken)


# -- damage to what they mean -----------------------------------------------------------------------------


def damage_content(file, rng):
    """Change a valid file into another one of the same kind that says something wrong."""
    content = file.read_bytes()
    if h5py.is_hdf5(file):
        damage_hdf5(file, rng)
    elif content.startswith(b"SQLite"):
        damage_sqlite(file, rng)
    elif file.name == "data.mdb":
        damage_lmdb(file, rng)
    elif file.suffix == ".parquet":
        damage_parquet(file, rng)
    elif file.suffix in (".HSX", ".DM"):
        file.write_bytes(damage_records(content, rng))
    else:
        file.write_bytes(damage_text(content, rng))


def damage_array(array, rng):
    """Another array: transposed, flat, cut, negated, scaled, not finite, of another type, or with values swapped."""
    array = np.array(array)
    if array.dtype.kind not in "iuf" or not array.size:
        return array
    flat, kind = array.reshape(-1).copy(), rng.randrange(9)
    a, b = rng.randrange(flat.size), rng.randrange(flat.size)
    if kind == 0:
        return array.T.copy()
    if kind == 1:
        return flat
    if kind == 2:
        return array[: rng.randrange(len(array))] if array.ndim else array + 1
    if kind == 3:
        return array.astype(rng.choice([np.float32, np.int32, np.int64, np.complex128, "S8"]))
    if kind == 4:
        flat[a] = -flat[a] if flat.dtype.kind != "u" else flat[a] + 1
    elif kind == 5:
        flat[a] = flat[a] * 1000 + 7 if flat.dtype.kind == "f" else flat[b] // 2 + 1
    elif kind == 6 and flat.dtype.kind == "f":
        flat[a] = rng.choice([np.nan, np.inf])
    elif kind == 7:
        return np.concatenate([array, array]) if array.ndim else array
    else:
        flat[a], flat[b] = flat[b], flat[a]
    return flat.reshape(array.shape)


def damage_hdf5(file, rng):
    """One dataset changed, removed, or swapped with another."""
    with h5py.File(file, "r+") as source:
        names = []
        source.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name, other, kind = rng.choice(names), rng.choice(names), rng.randrange(4)
        value, second = source[name][()], source[other][()]
        del source[name]
        if kind == 0 and other != name:
            source[name] = second
            del source[other]
            source[other] = value
        elif kind == 1:
            return
        elif isinstance(value, bytes):
            source[name] = damage_text(value, rng)
        else:
            source[name] = damage_array(value, rng)


def damage_sqlite(file, rng):
    """One cell changed, or swapped with that of another row or column."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice([name for name in tables if any(connection.execute(f"SELECT 1 FROM {name} LIMIT 1"))])
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
        (column, other), (row, second) = (rng.choices(columns, k=2), rng.choices(rows, k=2))
        query = f"SELECT {column} FROM {table} WHERE rowid = ?"
        value = connection.execute(query, (row,)).fetchone()[0]
        kind = rng.randrange(4)
        if kind == 0:
            new = connection.execute(f"SELECT {other} FROM {table} WHERE rowid = ?", (row,)).fetchone()[0]
        elif kind == 1:
            new = connection.execute(query, (second,)).fetchone()[0]
        elif kind == 2:
            new = rng.choice([None, 3, "text", b"", 1.5, -1])
        else:
            new = damage_cell(value, rng)
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
        except sqlite3.Error:  # what the table itself refuses
            return
        connection.commit()


def damage_cell(value, rng):
    """Another value of a cell."""
    if isinstance(value, bytes) and value:
        if len(value) % 8 == 0 and rng.random() < 0.7:
            return damage_array(np.frombuffer(value), rng).tobytes()
        return damage_bytes(value, rng)
    if isinstance(value, str):
        return damage_text(value.encode(), rng).decode(errors="replace")
    return rng.choice([0, 1, 2, -5, 1 << 40]) if isinstance(value, int) else None


def damage_lmdb(file, rng):
    """One record changed: a field removed, changed, or swapped with another, or a key renamed."""
    with lmdb.open(str(file.parent), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        keys = [key for key, _ in transaction.cursor()]
        key = rng.choice(keys)
        record = pickle.loads(transaction.get(key))
        part = record
        nested = [name for name, value in record.items() if isinstance(value, dict)]
        if nested and rng.random() < 0.7:
            part = record[rng.choice(nested)]
        name, other, kind = rng.choice(list(part)), rng.choice(list(part)), rng.randrange(4)
        if kind == 0:
            part[name], part[other] = part[other], part[name]
        elif kind == 1:
            del part[name]
        elif kind == 2:
            part[damage_text(name.encode(), rng).decode(errors="replace")] = part.pop(name)
        elif isinstance(part[name], np.ndarray):
            part[name] = damage_array(part[name], rng)
        else:
            part[name] = damage_cell(part[name], rng)
        transaction.put(key, pickle.dumps(record))


def damage_parquet(file, rng):
    """One cell changed by a program that writes the file anew, header and all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    rows = table.to_pylist()
    row, (name, other) = rng.choice(rows), rng.choices(table.schema.names, k=2)
    if rng.random() < 0.3:
        row[name], row[other] = row[other], row[name]
    elif isinstance(row[name], list):
        row[name] = damage_array(np.array(row[name]), rng).reshape(-1).tolist()
    else:
        row[name] = damage_cell(row[name], rng)
    try:
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), file)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # what the schema itself refuses
        return


def damage_records(content, rng):
    """A Fortran file with one record changed, removed, or swapped with another."""
    records, place = [], 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "little")
        records.append(content[place + 4 : place + 4 + size])
        place += size + 8
    a, b, kind = rng.randrange(len(records)), rng.randrange(len(records)), rng.randrange(4)
    if kind == 0:
        records[a], records[b] = records[b], records[a]
    elif kind == 1:
        del records[a]
    elif records[a]:
        dtype = rng.choice([t for t in ("<i4", "<f4", "<f8", "u1") if len(records[a]) % np.dtype(t).itemsize == 0])
        records[a] = damage_array(np.frombuffer(records[a], dtype), rng).tobytes()
    mark = [len(record).to_bytes(4, "little") for record in records]
    return b"".join(m + record + m for m, record in zip(mark, records, strict=True))


def damage_text(content, rng):
    """Lines or words swapped, a line or word removed or repeated, a number changed."""
    lines, kind = content.split(b"\n"), rng.randrange(6)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    words = lines[a].split(b" ")
    if kind == 0:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 1:
        del lines[a]
    elif kind == 2:
        lines.insert(a, lines[b])
    elif kind == 3:
        rng.shuffle(words)
        lines[a] = b" ".join(words)
    elif kind == 4:
        lines[a] = b" ".join(words[:-1])
    else:
        places = list(NUMBER.finditer(content))
        if places:
            found = rng.choice(places)
            new = rng.choice([b"-1", b"0", b"999999999999", b"nan", b"1e300", b"1.5", b"", b"x", b"7"])
            return content[: found.start()] + new + content[found.end() :]
    return b"\n".join(lines)


# -- reading ----------------------------------------------------------------------------------------------


def read(job):
    """What the reader makes of the path, as something that can be compared, and the samples themselves."""
    samples = list(read_samples(job["path"], job["format"], **job.get("options", {})))
    summary = []
    for sample in samples:
        parts = [sample.id, sample.atoms.numbers.tobytes(), sample.atoms.positions.tobytes()]
        parts += [sample.atoms.cell.array.tobytes(), sample.atoms.pbc.tobytes(), sorted(sample.basis.shells.items())]
        for name, operator in sorted(sample.operators.items()):
            ordered = operator.take(np.argsort(operator.pair_keys()))
            parts += [name, ordered.pair_keys().tobytes(), ordered.values.tobytes()]
        summary.append((parts, sample.info))
    return summary, samples


def fault(sample):
    """What any reader should have noticed; None if nothing."""
    for name, operator in sample.operators.items():
        largest = np.abs(operator.values).max(initial=0)
        if not np.isfinite(operator.values).all():
            return f"{sample.id}: {name} is not finite"
        if operator.hermiticity_error() > HERMITIAN * largest:
            return f"{sample.id}: {name} is not Hermitian by {operator.hermiticity_error():.2e} of {largest:.2e}"
    if not np.isfinite(sample.atoms.positions).all() or not np.isfinite(sample.atoms.cell.array).all():
        return f"{sample.id}: the geometry is not finite"
    overlap = sample.operators.get("overlap")
    if overlap is not None:
        for k in ((0, 0, 0), (0.31, 0.17, 0.44)):
            lowest = np.linalg.eigvalsh(overlap.at_k(np.array(k))[0]).min()
            if lowest < NEGATIVE:
                return f"{sample.id}: S has the eigenvalue {lowest:.2e} at {k}"
    return None


def outcome(job, wanted, names):
    """One word, or the description of a problem."""

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        summary, samples = read(job)
    except SlembenchError as error:
        named = any(name in str(error) for name in names) and "\n" not in str(error).strip()
        return "error" if named else f"problem: the file is not named, or more than a line: {error}"
    except TimeoutError:
        return f"problem: more than {PATIENCE} s"
    except BaseException as error:
        return f"problem: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    if summary == wanted:
        return "same"
    found = next(filter(None, map(fault, samples)), None)
    return "other" if found is None else f"problem: silent: {found}"


def run(job):
    """Counts of the words and the first problems of a job."""
    warnings.simplefilter("ignore")
    source = Path(job["path"])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / source.name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, work)
        job = {**job, "path": str(work)}
        wanted, _ = read(job)
        files = [work / file if file else work for file in job["files"]]
        contents, found, problems = {file: file.read_bytes() for file in files}, Counter(), []
        for number in range(job["count"]):
            rng = random.Random(f"{job['seed']} {number}")
            file = files[number % len(files)]
            if number // len(files) % 2:
                damage_content(file, rng)
            else:
                file.write_bytes(damage_bytes(contents[file], rng))
            print(f"{job['name']}: damage {number} of {file.name}", file=sys.stderr, flush=True)
            word = outcome(job, wanted, (file.name, source.name))
            if word.startswith("problem"):
                problems.append(f"damage {number} of {file.name}: {word}")
                word = "problem"
            found[word] += 1
            file.write_bytes(contents[file])
        assert read(job)[0] == wanted
    return {"found": found, "problems": problems[:5]}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
