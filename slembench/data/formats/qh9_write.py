"""Writer of stable QH9 sqlite files; `qh9_files` describes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np

from slembench.data.formats.qh9_molecule import BASIS, canonical_order
from slembench.data.sample import Sample, check_sample
from slembench.errors import DataError
from slembench.files import atomic_file
from slembench.units import energy_factor

_TABLE = "CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)"


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write the Hamiltonians of molecules as a stable QH9 file, streaming; the file appears whole or not at all.

    Args:
        samples: molecules of H, C, N, O, F in the shells of def2-SVP, with ids that are integers.
        path: the ``.db`` file.

    Raises:
        DataError: a sample without Hamiltonian, with other shells, of a crystal, or with an id that is no integer or
            came before.
    """
    with atomic_file(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute(_TABLE)
        for sample in samples:
            try:
                connection.execute(
                    "INSERT INTO data VALUES (?, ?, ?, ?, ?)", _row(check_sample(sample, str(path)), path)
                )
            except sqlite3.IntegrityError as error:
                problem = "a structure of this id came before"
                raise DataError(f"{path}: structure {sample.id!r}: key 'id': {problem}") from error
        connection.commit()


def _row(sample: Sample, path: Path) -> tuple[int, int, bytes, bytes, bytes]:
    place = f"{path}: structure {sample.id!r}"
    if not (sample.id.isascii() and sample.id.isdigit()):
        raise DataError(f"{place}: key 'id': QH9 numbers its molecules; give ids that are integers")
    if "hamiltonian" not in sample.operators:
        raise DataError(f"{place}: key 'hamiltonian': missing, and QH9 holds nothing else")
    hamiltonian, numbers = sample.operators["hamiltonian"], sample.atoms.numbers.astype(np.int64)
    for z in sorted(set(numbers.tolist())):
        if sample.basis.shells[z] != BASIS.shells.get(z):
            here = ", ".join(f"{symbol} {shells}" for symbol, shells in BASIS.to_dict().items())
            raise DataError(f"{place}: key 'basis': QH9 holds {here}, not {sample.basis.to_dict()}")
    if hamiltonian.pair_shift.any():
        raise DataError(f"{place}: key 'hamiltonian': couples to other cells; QH9 holds molecules")
    matrix = hamiltonian.dense() * energy_factor(sample.info.energy_unit, "Hartree")
    raw, order = np.empty_like(matrix), canonical_order(numbers)
    raw[order[:, None], order] = matrix
    blobs = (numbers.astype("<i4"), sample.atoms.positions.astype("<f8"), raw.astype("<f8"))
    return int(sample.id), len(numbers), blobs[0].tobytes(), blobs[1].tobytes(), blobs[2].tobytes()
