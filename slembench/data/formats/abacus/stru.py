"""The structure file STRU of ABACUS: lattice, atoms and the names of the orbital files.

Lattice vectors are rows in units of LATTICE_CONSTANT (Bohr), or follow from the INPUT key ``latname`` and
LATTICE_PARAMETERS. ABACUS moves every atom into the cell before it starts, so its translations R refer to atoms with
fractional coordinates in [0, 1); so does what is returned here. Source: ABACUS's documentation and its read_atoms.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.folders import element_of
from slembench.operators.orbitals import FloatArray
from slembench.operators.units import BOHR_ANGSTROM

SECTIONS = (
    *("ATOMIC_SPECIES", "NUMERICAL_ORBITAL", "NUMERICAL_DESCRIPTOR", "ABFS_ORBITAL", "PAW_FILES"),
    *("LATTICE_CONSTANT", "LATTICE_VECTORS", "LATTICE_PARAMETERS", "ATOMIC_POSITIONS"),
)


@dataclass(frozen=True)
class Stru:
    """Contents of a STRU file.

    Attributes:
        atoms: Angstrom, periodic, every atom inside the cell.
        species: label of each species, in order.
        counts: atoms of each species.
        orbital_files: species -> file name of its orbitals, as it stands in the file.
    """

    atoms: ase.Atoms
    species: tuple[str, ...]
    counts: tuple[int, ...]
    orbital_files: dict[str, str]


def read_stru(file: Path, latname: str = "none") -> Stru:
    """Read a structure file.

    Args:
        file: STRU.
        latname: the key of that name in INPUT.

    Raises:
        DataError: an unreadable file, a section that is missing or malformed, an unknown element or lattice.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{file}: not readable: {error}") from error
    try:
        return _parse(_sections(text), latname)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    except (ValueError, IndexError) as error:
        raise DataError(f"{file}: malformed: {error}") from error


def _sections(text: str) -> dict[str, list[list[str]]]:
    """Section -> its lines as words, without comments (# and //) and empty lines."""
    found: dict[str, list[list[str]]] = {}
    name = ""
    for line in text.splitlines():
        words = re.split(r"#|//", line, maxsplit=1)[0].split()
        if words and words[0] in SECTIONS:
            name = words[0]
            found[name] = []
        elif words and name:
            found[name].append(words)
    for needed in ("ATOMIC_SPECIES", "LATTICE_CONSTANT", "ATOMIC_POSITIONS"):
        if not found.get(needed):
            raise DataError(f"section {needed} is missing")
    return found


def _parse(sections: Mapping[str, list[list[str]]], latname: str) -> Stru:
    species = tuple(words[0] for words in sections["ATOMIC_SPECIES"])
    constant = float(sections["LATTICE_CONSTANT"][0][0])
    vectors = _vectors(sections, latname)
    cell = vectors * constant * BOHR_ANGSTROM  # the lattice constant is in Bohr
    if not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1e-6:
        raise DataError("the lattice vectors span no volume")
    (kind, *_), *lines = sections["ATOMIC_POSITIONS"]
    rows: list[list[float]] = []
    numbers: list[int] = []
    counts = []
    for label in species:
        # of each species: its label, its magnetic moment, the number of atoms, then the atoms
        (found, *_), _, (count, *_), *lines = lines
        if found != label:
            raise DataError(f"ATOMIC_POSITIONS has species {found!r} where ATOMIC_SPECIES has {label!r}")
        counts.append(int(count))
        if not 0 <= counts[-1] <= len(lines):
            raise DataError(f"species {label!r}: {count} atoms are said to follow, {len(lines)} lines do")
        rows += [[float(word) for word in words[:3]] for words in lines[: counts[-1]]]
        numbers += [element_of(label)] * counts[-1]
        lines = lines[counts[-1] :]
    positions = _cartesian(np.array(rows).reshape(-1, 3), kind, cell, constant)
    if not numbers or not np.isfinite(positions).all():
        raise DataError("ATOMIC_POSITIONS holds no atom, or a position that is not finite")
    orbitals = dict(zip(species, (words[0] for words in sections.get("NUMERICAL_ORBITAL", []))))
    atoms = ase.Atoms(numbers, positions=positions, cell=cell, pbc=True)
    return Stru(atoms, species, tuple(counts), orbitals)


def _cartesian(rows: FloatArray, kind: str, cell: FloatArray, constant: float) -> FloatArray:
    """Positions in Angstrom inside the cell."""
    kind = kind.lower()
    if kind == "direct":
        positions = rows @ cell
    elif kind == "cartesian":
        positions = rows * constant * BOHR_ANGSTROM
    elif kind == "cartesian_au":
        positions = rows * BOHR_ANGSTROM
    elif re.fullmatch(r"cartesian_angstrom(_center_(xy|xz|yz|xyz))?", kind):
        axes = kind.rpartition("_center_")[2] if "_center_" in kind else ""
        centre: NDArray[np.float64] = cell.sum(axis=0) / 2
        positions = rows + np.where([axis in axes for axis in "xyz"], centre, 0.0)
    else:
        raise DataError(f"ATOMIC_POSITIONS: unknown kind of coordinates {kind!r}")
    # ABACUS moves atoms into the cell before it labels R: without that, blocks would belong to other translations.
    # 1e-12 keeps an atom on a face where it is, however the last bit was rounded.
    fractional = positions @ np.linalg.inv(cell)
    return np.asarray(positions - np.floor(fractional + 1e-12) @ cell)


def _vectors(sections: Mapping[str, list[list[str]]], latname: str) -> FloatArray:
    """(3, 3) rows in units of the lattice constant."""
    if latname == "none":
        if "LATTICE_VECTORS" not in sections:
            raise DataError(
                "section LATTICE_VECTORS is missing, and no 'latname' in an INPUT beside it says the lattice"
            )
        return np.array([[float(word) for word in words[:3]] for words in sections["LATTICE_VECTORS"][:3]]).reshape(
            3, 3
        )
    if latname not in LATTICES:
        raise DataError(f"unknown 'latname' {latname!r} in INPUT; known: {', '.join(LATTICES)}")
    parameters = [float(word) for words in sections.get("LATTICE_PARAMETERS", []) for word in words]
    try:
        return np.array(LATTICES[latname](*parameters), dtype=np.float64)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"LATTICE_PARAMETERS {parameters} do not fit the lattice {latname!r}") from error


def _trigonal(cosine: float) -> list[list[float]]:
    t1, t2 = sqrt(1 + 2 * cosine), sqrt(1 - cosine)
    x, y, z = t2 / sqrt(2), -t2 / sqrt(6), t1 / sqrt(3)
    return [[x, y, z], [0, 2 * t2 / sqrt(6), z], [-x, y, z]]


def _triclinic(b: float, c: float, cos_ab: float, cos_ac: float, cos_bc: float) -> list[list[float]]:
    sin_ab = sqrt(1 - cos_ab**2)
    height = sqrt(1 + 2 * cos_ab * cos_ac * cos_bc - cos_ab**2 - cos_ac**2 - cos_bc**2) / sin_ab
    return [[1, 0, 0], [b * cos_ab, b * sin_ab, 0], [c * cos_ac, c * (cos_bc - cos_ac * cos_ab) / sin_ab, c * height]]


LATTICES: dict[str, Callable[..., list[list[float]]]] = {
    "sc": lambda: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "fcc": lambda: [[-0.5, 0, 0.5], [0, 0.5, 0.5], [-0.5, 0.5, 0]],
    "bcc": lambda: [[0.5, 0.5, 0.5], [-0.5, 0.5, 0.5], [-0.5, -0.5, 0.5]],
    "hexagonal": lambda c: [[1, 0, 0], [-0.5, sqrt(3) / 2, 0], [0, 0, c]],
    "trigonal": _trigonal,
    "st": lambda c: [[1, 0, 0], [0, 1, 0], [0, 0, c]],
    "bct": lambda c: [[0.5, -0.5, c / 2], [0.5, 0.5, c / 2], [-0.5, -0.5, c / 2]],
    "so": lambda b, c: [[1, 0, 0], [0, b, 0], [0, 0, c]],
    "baco": lambda b, c: [[0.5, b / 2, 0], [-0.5, b / 2, 0], [0, 0, c]],
    "fco": lambda b, c: [[0.5, 0, c / 2], [0.5, b / 2, 0], [0, b / 2, c / 2]],
    "bco": lambda b, c: [[0.5, b / 2, c / 2], [-0.5, b / 2, c / 2], [-0.5, -b / 2, c / 2]],
    "sm": lambda b, c, cos: [[1, 0, 0], [b * cos, b * sqrt(1 - cos**2), 0], [0, 0, c]],
    "bacm": lambda b, c, cos: [[0.5, 0, -c / 2], [b * cos, b * sqrt(1 - cos**2), 0], [0.5, 0, c / 2]],
    "triclinic": _triclinic,
}
"""Name of a lattice -> its vectors from LATTICE_PARAMETERS, in units of the lattice constant."""
