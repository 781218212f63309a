"""Molecules whose operators are dense matrices in some program's order of orbitals; databases of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import ase
import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats.orbital_order import order_of_overlap
from slembench.data.formats.plausibility import length_evidence
from slembench.data.formats.safe.sqlite import SqliteFile
from slembench.data.sample import Sample, SampleInfo, check_sample, element_name
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray, IntArray, canonical_index

SYMMETRY = 1e-5
"""Largest |M - M^T| that a matrix may have, as a fraction of its largest value."""


def dense_sample(
    name: str,
    numbers: IntArray,
    positions: FloatArray,
    matrices: Mapping[str, FloatArray],
    shells: Mapping[int, Sequence[int]],
    convention: str,
    info: SampleInfo,
    place: str,
) -> Sample:
    """Sample of a molecule.

    Args:
        name: id.
        numbers: (N,) atomic numbers.
        positions: (N, 3) Angstrom.
        matrices: operator -> (n, n) in the file's order.
        shells: atomic number -> l of each shell in the file's order.
        convention: a key of `slembench.operators.orbitals.CONVENTIONS`.
        info: scalars.
        place: file and row, named in errors.

    Returns:
        All pairs of atoms, canonical order, float64.

    Raises:
        DataError: an element without shells, a matrix of the wrong size, with values that are not finite or not
            symmetric, or bonds that are far too long or short for Angstrom.
    """
    missing = sorted(set(numbers.tolist()) - set(shells))
    if missing or not len(numbers):
        raise DataError(
            f"{place}: no shells are known for element {element_name(missing[0]) if missing else '(no atoms)'}"
        )
    basis = Basis.from_shells({z: shells[z] for z in sorted(set(numbers.tolist()))})
    index, sign = canonical_index(numbers, {z: shells[z] for z in basis.elements}, convention)
    operators = {}
    for key, matrix in matrices.items():
        check_symmetric(matrix, len(index), f"{place}: key {key!r}")
        ordered = sign[:, None] * matrix[np.ix_(index, index)] * sign
        operators[key] = BlockMatrix.from_dense(basis, numbers, np.asarray(ordered, dtype=np.float64))
    if not np.isfinite(positions).all():
        raise DataError(f"{place}: key 'positions': holds a value that is not finite")
    # a wrong length unit is the one error of a reader that the matrices cannot reveal
    found = length_evidence(numbers, positions)
    if found.unit == "Bohr":
        raise DataError(f"{place}: key 'positions': {found.reason}: they are not in the unit that the format has")
    return check_sample(Sample(name, ase.Atoms(numbers, positions), basis, operators, info), place)


def check_symmetric(matrix: FloatArray, size: int, place: str) -> None:
    """Refuse a matrix that is not (size, size), finite and symmetric.

    Raises:
        DataError: names ``place``.
    """
    if matrix.shape != (size, size):
        raise DataError(f"{place}: is {matrix.shape}, the shells of the atoms make it {(size, size)}")
    if not np.isfinite(matrix).all():
        raise DataError(f"{place}: holds values that are not finite")
    difference, largest = float(np.abs(matrix - matrix.T).max()), float(np.abs(matrix).max())
    if difference > SYMMETRY * largest:
        raise DataError(f"{place}: is not symmetric, by {difference:.1e} (largest value {largest:.1e}); it is damaged")


def infer_orbital_order(
    overlap: FloatArray,
    numbers: IntArray,
    positions: FloatArray,
    shells: Mapping[int, Sequence[int]],
    candidates: Sequence[str],
    place: str,
) -> str:
    """Orbital order of a database, inferred from the overlap of its first molecule (`order_of_overlap`).

    Args:
        overlap: (n, n) in the file's order.
        numbers: (N,) atomic numbers.
        positions: (N, 3) Angstrom.
        shells: atomic number -> l of each shell in the file's order.
        candidates: keys of `slembench.operators.orbitals.CONVENTIONS`.
        place: file, row and key of the overlap.

    Raises:
        DataError: none of the candidates fits; names ``place``.
    """
    try:
        return order_of_overlap(overlap, numbers, positions, shells, candidates)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error


def database_notes(source: SqliteFile, table: str, samples: Iterator[tuple[Sample, str]]) -> list[str]:
    """How many rows a database of molecules has, and the order of orbitals that the first overlap shows.

    Args:
        source: the file.
        table: its table with a row a molecule.
        samples: its molecules with the order of orbitals they were in.

    Returns:
        Lines; none where there are no molecules.
    """
    first = next(samples, None)
    if first is None:
        return []
    count = next(source.rows(f"SELECT COUNT(*) FROM {table}"))[0]
    return [
        f"{count} rows",
        f"order within shells: {first[1]}, by the directions of the overlaps of {first[0].atoms.symbols}",
        "this layout is read by its description; no real file of it was at hand to check the reader",
    ]
