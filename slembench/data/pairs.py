"""Pairs of atoms within element cutoffs, from vesin's neighbour list; the scored pair set of a structure."""

from __future__ import annotations

from collections.abc import Mapping

import ase
import numpy as np
from ase.data import chemical_symbols
from vesin import NeighborList

from slembench.core.errors import DataError
from slembench.operators.orbitals import FloatArray, IntArray

CLOSEST = 1e-3
"""Smallest distance of two atoms, Angstrom; below it an atom was given twice."""


def offsite_pairs(atoms: ase.Atoms, cutoffs: Mapping[int, float]) -> tuple[IntArray, IntArray]:
    """All pairs (i, j, R) of different atoms or cells, no longer than half the sum of their radii, both directions.

    Args:
        atoms: positions and cell in Angstrom; translations run only along periodic axes.
        cutoffs: atomic number -> radius r in Angstrom; a pair is in where |r_j + R - r_i| <= (r_i + r_j) / 2.

    Returns:
        (P, 2) int64 atoms and (P, 3) int64 translations, sorted by i, j, R.

    Raises:
        DataError: an element without a radius, or two atoms at one place.

    Example:
        >>> chain = ase.Atoms("H", cell=[9, 9, 2.0], pbc=[False, False, True])
        >>> offsite_pairs(chain, {1: 4.5})[1][:, 2]  # neighbours at 2 and 4 Angstrom
        array([-2, -1,  1,  2])
    """
    index, shift, distance, limit = _neighbours(atoms, cutoffs)
    within = distance <= limit
    index, shift = index[within], shift[within]
    # lexsort takes its most significant key last: i, then j, then R
    order = np.lexsort((*shift.T[::-1], index[:, 1], index[:, 0]))
    return index[order], shift[order]


def scored_pairs(atoms: ase.Atoms, cutoffs: Mapping[int, float]) -> tuple[IntArray, IntArray]:
    """The on-site pairs of all atoms, then `offsite_pairs`; arguments, shapes and errors as there."""
    index, shift = offsite_pairs(atoms, cutoffs)
    own = np.arange(len(atoms))
    onsite = np.stack([own, own], axis=1)
    return np.concatenate([onsite, index]), np.concatenate([np.zeros((len(atoms), 3), np.int64), shift])


def cutoff_margin(atoms: ase.Atoms, cutoffs: Mapping[int, float]) -> float:
    """Smallest | distance - cutoff | of any pair, Angstrom (0.1 at most): how unambiguous the scored pair set is.

    Raises:
        DataError: as in `offsite_pairs`.
    """
    _, _, distance, limit = _neighbours(atoms, cutoffs, margin=0.1)
    return float(np.abs(distance - limit).min(initial=0.1))


def _neighbours(
    atoms: ase.Atoms, cutoffs: Mapping[int, float], margin: float = 0.0
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Off-site pairs up to the largest cutoff plus a margin: index, shift, distance, and each pair's own cutoff."""
    missing = sorted(set(atoms.numbers.tolist()) - set(cutoffs))
    if missing:
        raise DataError(f"key 'cutoffs': no radius for element {chemical_symbols[missing[0]]}")
    radii = np.array([cutoffs[z] for z in atoms.numbers.tolist()])
    # one search with the largest cutoff; each pair is then held against its own, (r_i + r_j) / 2
    search = NeighborList(cutoff=float(radii.max(initial=0.0)) + margin, full_list=True)
    index, shift, distance = search.compute(
        points=np.ascontiguousarray(atoms.positions), box=atoms.cell.array.copy(), periodic=atoms.pbc, quantities="PSd"
    )
    pairs = index.astype(np.int64)
    if len(distance) and distance.min() < CLOSEST:
        i, j = pairs[distance.argmin()].tolist()
        raise DataError(f"key 'positions': atoms {i} and {j} are {distance.min():.1e} Angstrom apart")
    return pairs, shift.astype(np.int64), distance, radii[pairs].mean(axis=1)
