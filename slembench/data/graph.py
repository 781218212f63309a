"""Graphs of structures: pairs within the element cutoffs (edges), their vectors, and the targets as irreps features.

A graph is built once per structure and cached; batches are torch-geometric's. Edges are off-site pairs in both
directions, sorted by (i, j, R); on-site blocks belong to the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ase
import numpy as np
import torch
from torch_geometric.data import Data

from slembench.data.pairs import offsite_pairs
from slembench.operators.blocks import BlockMatrix, pair_keys, pair_vectors
from slembench.operators.irreps import BlockIrreps


class OperatorGraph(Data):  # type: ignore[misc]
    """One structure (or a batch of them) as a model sees it.

    Attributes:
        numbers: (N,) int64 | atomic numbers.
        species: (N,) int64 | index into the basis' elements.
        positions: (N, 3) | Angstrom.
        pair_index: (2, P) int64 | atoms i (row 0) and j (row 1) of every off-site pair.
        pair_shift: (P, 3) int64 | lattice translation of j.
        pair_vector: (P, 3) | Angstrom | r_j + R - r_i.
        pair_type: (P,) int64 | species_i * n_elements + species_j.
        reverse: (P,) int64 | number of the pair (j, i, -R).
        frames: (P, K) | Wigner matrices of the pair frames, where they were asked for (`nn.frames.pair_frames`).
        <op>_onsite, <op>_pair: (N, F), (P, F) | unit of the data | targets in the irreps layout, where given.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        # in a batch, pair numbers are shifted by the pairs of the structures before, not by their atoms
        if key == "reverse":
            return self["pair_type"].shape[0]
        return super().__inc__(key, value, *args, **kwargs)


def build_graph(
    atoms: ase.Atoms,
    cutoffs: Mapping[int, float],
    layout: BlockIrreps,
    operators: Mapping[str, BlockMatrix] | None = None,
    dtype: torch.dtype = torch.float32,
) -> OperatorGraph:
    """Graph of one structure.

    Args:
        atoms: positions and cell in Angstrom.
        cutoffs: atomic number -> cutoff radius | Angstrom.
        layout: irreps layout of the basis; fixes species numbers and targets.
        operators: operator name -> blocks, whose features become targets; blocks outside the pair list are dropped.
        dtype: of all real tensors.

    Raises:
        DataError: see `offsite_pairs`; ValueError: an element the basis does not know.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> chain = ase.Atoms("BN", positions=[[0, 0, 0], [0, 0, 1.4]], cell=[9, 9, 2.6], pbc=[False, False, True])
        >>> graph = build_graph(chain, {5: 1.6, 7: 1.6}, BlockIrreps(Basis.parse({"B": "1s1p", "N": "1s1p"})))
        >>> graph.pair_index.tolist(), graph.pair_shift[:, 2].tolist(), graph.reverse.tolist()
        ([[0, 0, 1, 1], [1, 1, 0, 0]], [-1, 0, 0, 1], [3, 2, 1, 0])
        >>> graph.pair_vector[:, 2]
        tensor([-1.2000,  1.4000, -1.4000,  1.2000])
    """
    numbers = np.asarray(atoms.numbers, dtype=np.int64)
    layout.basis.sizes(numbers)  # raises for an element without shells
    positions, cell = np.asarray(atoms.positions), np.asarray(atoms.cell)
    index, shift = offsite_pairs(atoms, cutoffs)
    table = {z: s for s, z in enumerate(layout.basis.elements)}
    species = np.array([table[z] for z in numbers.tolist()], dtype=np.int64)
    vectors = pair_vectors(positions, cell, index, shift)
    keys, reverse_keys = pair_keys(index, shift), pair_keys(index[:, ::-1], -shift)
    # number of each reverse pair by bisection; both directions are always there (`offsite_pairs`)
    order = np.argsort(keys)
    graph = OperatorGraph(
        numbers=torch.from_numpy(numbers),
        species=torch.from_numpy(species),
        positions=torch.from_numpy(positions).to(dtype),
        pair_index=torch.from_numpy(np.ascontiguousarray(index.T)),
        pair_shift=torch.from_numpy(shift),
        pair_vector=torch.from_numpy(vectors).to(dtype),
        pair_type=torch.from_numpy(species[index[:, 0]] * len(table) + species[index[:, 1]]),
        reverse=torch.from_numpy(order[np.searchsorted(keys, reverse_keys, sorter=order)]),
    )
    graph.num_nodes = len(numbers)
    for name, matrix in (operators or {}).items():
        onsite, pair = layout.to_features(matrix, index, shift)
        graph[f"{name}_onsite"] = torch.from_numpy(onsite).to(dtype)
        graph[f"{name}_pair"] = torch.from_numpy(pair).to(dtype)
    return graph
