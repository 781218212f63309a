"""k points along a path through the Brillouin zone of a crystal (seekpath, spglib)."""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
import seekpath
import spglib

from slembench.operators.orbitals import FloatArray

SYMPREC = 1e-3
"""Largest displacement of an atom by a symmetry operation, Angstrom."""

Structure = tuple[FloatArray, FloatArray, list[int]]
"""Cell (3, 3), fractional positions (N, 3), atomic numbers."""

_TRICLINIC = 2  # largest space group number without any axis or plane


@dataclass(frozen=True)
class KPath:
    """Path through the Brillouin zone of a structure's own cell.

    Attributes:
        kpoints: (n_k, 3) fractional, of the cell as it stands.
        distance: (n_k,) length along the path, 1 / Angstrom (with the factor 2 pi); does not grow across a jump.
        labels: number of the point -> label such as ``Γ``, or ``K|U`` where the path jumps.
        space_group: whose path it is, e.g. ``P6/mmm (191), of the lattice``.
    """

    kpoints: FloatArray
    distance: FloatArray
    labels: dict[int, str]
    space_group: str


def band_path(atoms: ase.Atoms, spacing: float = 0.05) -> KPath:
    """The recommended path of a structure, in the reciprocal coordinates of its own cell.

    Where displaced atoms have left no symmetry, the path is that of the lattice alone, so that all displacements of one
    cell share it. Directions without periodicity are left out.

    Args:
        atoms: structure; positions and cell in Angstrom.
        spacing: between points, 1 / Angstrom (with the factor 2 pi).

    Raises:
        ValueError: no periodic direction, or a spacing that is not positive.

    Source: Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), by seekpath.

    Example:
        A square lattice that is periodic in two directions: Gamma - X - M - Gamma, of the length (2 + sqrt(2)) pi / a.

        >>> atoms = ase.Atoms("H", cell=[4, 4, 20], pbc=[True, True, False])
        >>> path = band_path(atoms, spacing=0.5)
        >>> list(path.labels.values()), round(float(path.distance[-1]) * 4 / np.pi, 4)
        (['Γ', 'X', 'M', 'Γ'], 3.4142)
    """
    if not np.any(atoms.pbc):
        raise ValueError("a k path needs a periodic direction; this structure has none")
    if spacing <= 0:
        raise ValueError(f"the spacing of k points must be positive, got {spacing}")
    cell = atoms.cell.complete().array
    structure, group = _symmetric(cell, atoms)
    path = seekpath.get_path_orig_cell(structure, with_time_reversal=True, symprec=SYMPREC)
    points = {label: np.array(k) for label, k in path["point_coords"].items()}
    segments = [(a, b) for a, b in path["path"] if _along(points[a], atoms) and _along(points[b], atoms)]
    return _lay_out(points, segments, 2 * np.pi * np.linalg.inv(cell).T, spacing, group)


def _symmetric(cell: FloatArray, atoms: ase.Atoms) -> tuple[Structure, str]:
    """Structure whose path is taken, and its space group: the one given, or its bare lattice."""
    # a rattled structure has no symmetry, and a path of its own that no other displacement of the cell shares
    own = (cell, np.asarray(atoms.positions @ np.linalg.inv(cell)), atoms.numbers.tolist())
    group = _space_group(own)
    if int(group.split("(")[1].rstrip(")")) > _TRICLINIC:
        return own, group
    lattice = (cell, np.zeros((1, 3)), [1])
    return lattice, f"{_space_group(lattice)}, of the lattice"


def _space_group(structure: Structure) -> str:
    lattice, positions, numbers = structure
    return spglib.get_spacegroup((lattice.tolist(), positions.tolist(), numbers), symprec=SYMPREC) or "P1 (1)"


def _along(point: FloatArray, atoms: ase.Atoms) -> bool:
    """True where a point has no component along a direction without periodicity."""
    return bool(np.abs(point[~np.asarray(atoms.pbc)]).max(initial=0.0) < 1e-6)


def _lay_out(
    points: dict[str, FloatArray], segments: list[tuple[str, str]], reciprocal: FloatArray, spacing: float, group: str
) -> KPath:
    kpoints, distance, labels = list[FloatArray](), list[float](), dict[int, str]()
    travelled, last = 0.0, ""
    for start, stop in segments:
        length = float(np.linalg.norm((points[stop] - points[start]) @ reciprocal))
        steps = max(1, int(np.ceil(length / spacing)))
        share = np.arange(0 if start != last else 1, steps + 1) / steps  # a corner of the path is no point twice
        if start != last:
            labels[len(kpoints)] = _pretty(start)
            if kpoints:
                labels[len(kpoints) - 1] = labels[len(kpoints)] = f"{_pretty(last)}|{_pretty(start)}"
        kpoints += list(points[start] + share[:, None] * (points[stop] - points[start]))
        distance += (travelled + share * length).tolist()
        travelled, last = travelled + length, stop
        labels[len(kpoints) - 1] = _pretty(stop)
    return KPath(np.array(kpoints), np.array(distance), labels, group)


def _pretty(label: str) -> str:
    return {"GAMMA": "Γ"}.get(label, label.replace("_", ""))
