"""Large structures cut into parts that are predicted on their own, by any process, and joined.

A block reads only atoms within the model's receptive field. A part is some atoms of the structure, the part's own, and
with them all atoms within the *halo*: two pair cutoffs for SLEM, whatever its depth; L + 1 for a LEM of L layers, one
more with every layer. The blocks that begin at the part's own atoms come out as in the whole structure, both directions
of every pair included, so joining is laying them end to end.
"""

from __future__ import annotations

from dataclasses import dataclass

import ase
import numpy as np
import torch
from ase.geometry import complete_cell

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph, build_graph
from slembench.inference.chunked import subgraph
from slembench.models.contract import OperatorModel
from slembench.operators.orbitals import FloatArray, IntArray

ROUNDING = 1e-6
"""Angstrom by which a halo is wider than it must be, so that rounding cannot leave an atom out."""


@dataclass(frozen=True)
class Part:
    """One part of a structure.

    Attributes:
        own: (n,) int64 | atoms of the structure whose blocks it gives, ascending.
        atoms: (m,) int64 | all atoms of its graph, ascending.
        graph: of ``atoms``, float64.
    """

    own: IntArray
    atoms: IntArray
    graph: OperatorGraph


def halo(model: OperatorModel) -> float:
    """Angstrom | how far a part reaches around its own atoms: the field of on-site blocks, or of a pair's far end."""
    field = model.receptive_field
    return max(field.onsite, model.pair_cutoff + field.pair)


def cut(atoms: ase.Atoms, parts: int) -> list[IntArray]:
    """Atoms of every part: the structure halved along its longest direction again and again, by number of atoms.

    Args:
        atoms: the structure.
        parts: how many, at most the number of atoms.

    Returns:
        Disjoint (n,) int64 arrays that cover all atoms, each ascending.

    Raises:
        ConfigError: fewer than one part, or more parts than atoms.

    Example:
        A chain of six atoms, 2 Angstrom apart:

        >>> chain = ase.Atoms("C6", positions=[[2.0 * n, 0, 0] for n in range(6)])
        >>> [part.tolist() for part in cut(chain, 3)]
        [[0, 1], [2, 3], [4, 5]]
    """
    if not 1 <= parts <= len(atoms):
        raise ConfigError(f"{parts} parts of {len(atoms)} atoms: give a number from 1 to {len(atoms)}")
    return sorted(_bisect(_distances_along(atoms)[0], np.arange(len(atoms)), parts), key=lambda own: int(own[0]))


def make_part(model: OperatorModel, atoms: ase.Atoms, own: IntArray) -> Part:
    """A part with its halo.

    Args:
        model: gives cutoffs and receptive field.
        atoms: the whole structure.
        own: the part's own atoms, ascending.
    """
    reach = halo(model)
    near = np.flatnonzero(_distance_to_box(atoms, own) <= reach + ROUNDING)
    graph = build_graph(atoms[near], model.cutoffs, model.layout, dtype=torch.float64)
    if model.receptive_field.centred and len(near) > len(own):
        # pairs centred on atoms of the outer shell reach atoms that are not there; a centred model never reads them
        centres = np.isin(near, np.flatnonzero(_distance_to_box(atoms, own) <= reach - model.pair_cutoff + ROUNDING))
        pairs = torch.from_numpy(np.flatnonzero(centres[graph.pair_index[0].numpy()]))
        graph = subgraph(graph, torch.arange(len(near)), pairs)
    return Part(own, near, graph)


def _bisect(places: FloatArray, members: IntArray, parts: int) -> list[IntArray]:
    if parts == 1:
        return [np.sort(members)]
    axis = int(np.ptp(places[members], axis=0).argmax())
    ordered = members[np.argsort(places[members, axis], kind="stable")]
    # odd numbers of parts: atoms are divided in the ratio of the parts on either side, not in halves
    left = parts // 2
    middle = len(members) * left // parts
    return _bisect(places, ordered[:middle], left) + _bisect(places, ordered[middle:], parts - left)


def _distances_along(atoms: ase.Atoms) -> tuple[FloatArray, FloatArray]:
    """(N, 3) | Angstrom | distance of every atom from the three planes of the cell, and the cell's heights (3,)."""
    # columns of the inverse are the reciprocal vectors; 1 / |b_k| is the distance between lattice planes
    inverse = np.linalg.inv(complete_cell(atoms.cell))
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    fractions = atoms.positions @ inverse
    fractions = np.where(atoms.pbc, fractions % 1.0, fractions)
    return fractions * heights, heights


def _distance_to_box(atoms: ase.Atoms, own: IntArray) -> FloatArray:
    """(N,) | Angstrom | no more than the distance of every atom from the nearest image of the own atoms."""
    places, heights = _distances_along(atoms)
    low, high = places[own].min(axis=0), places[own].max(axis=0)
    # nearest of three images is enough: wrapped places and box both lie within one cell height
    images = np.stack([places + shift * heights for shift in (-1, 0, 1)])
    outside = np.maximum(np.maximum(low - images, images - high), 0.0)
    periodic = np.where(atoms.pbc, outside.min(axis=0), outside[1])
    # distance from planes never exceeds the true distance, so no atom within reach is missed; in skew cells some more
    # atoms than needed come along
    return np.asarray(periodic.max(axis=1))
