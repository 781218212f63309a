"""Blocks of a large structure from its features, a limited number of pairs at a time, one triangle of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from slembench.blocks import BlockMatrix, in_triangle, lookup, pair_keys
from slembench.data.graph import OperatorGraph
from slembench.errors import PredictionError
from slembench.inference.chunked import subgraph
from slembench.layout import OperatorLayout
from slembench.nn.readout import OperatorFeatures
from slembench.orbitals import IntArray


def block_portions(
    layout: OperatorLayout,
    graph: OperatorGraph,
    features: Mapping[str, OperatorFeatures],
    own: IntArray,
    max_pairs: int,
) -> Iterator[dict[str, BlockMatrix]]:
    """Hermitian blocks of the on-site pairs of some atoms and of the triangle's pairs that begin at them.

    Args:
        layout: of the features.
        graph: of the structure; it holds the reverse of every pair that begins at an atom of ``own``.
        features: operator -> features of its atoms and pairs.
        own: (n,) atoms, ascending.
        max_pairs: pairs in a portion.

    Yields:
        operator -> blocks, float64; the numbers of atoms are those of ``graph``.

    Raises:
        PredictionError: a pair without its reverse.
    """
    index, shift = graph.pair_index.numpy().T, graph.pair_shift.numpy()
    mine = np.zeros(int(graph.num_nodes), dtype=bool)
    mine[own] = True
    chosen = np.flatnonzero(mine[index[:, 0]] & in_triangle(index, shift))
    reverse = lookup(pair_keys(index, shift), pair_keys(index[chosen][:, ::-1], -shift[chosen]))
    if (reverse < 0).any():
        i, j = index[chosen][reverse < 0][0].tolist()
        raise PredictionError(f"pair ({i}, {j}) has no reverse pair in the graph; predict both directions")
    starts = np.searchsorted(index[chosen, 0], own)
    ends = np.append(starts[1:], len(chosen))
    first = 0
    while first < len(own):
        last = max(first, int(np.searchsorted(ends, starts[first] + max_pairs, side="right")) - 1)
        rows = slice(starts[first], ends[last])
        yield _portion(layout, graph, features, own[first : last + 1], chosen[rows], reverse[rows])
        first = last + 1


def _portion(
    layout: OperatorLayout,
    graph: OperatorGraph,
    features: Mapping[str, OperatorFeatures],
    own: IntArray,
    chosen: IntArray,
    reverse: IntArray,
) -> dict[str, BlockMatrix]:
    """Blocks of the on-site pairs of ``own`` and of the pairs ``chosen``, whose reverses are ``reverse``."""
    pairs = np.unique(np.concatenate([chosen, reverse]))
    atoms = np.union1d(own, graph.pair_index[:, pairs])
    rows, numbers = torch.from_numpy(atoms), graph.numbers.numpy()
    part = subgraph(graph, rows, torch.from_numpy(pairs))
    index, shift = part.pair_index.numpy().T, part.pair_shift.numpy()
    wanted = np.concatenate([np.searchsorted(atoms, own), len(atoms) + np.searchsorted(pairs, chosen)])
    result = {}
    for name, value in features.items():
        onsite, pair = value.onsite[rows].double().numpy(), value.pair[pairs].double().numpy()
        local = layout.to_blocks(part.numbers.numpy(), onsite, pair, index, shift).take(wanted)
        result[name] = BlockMatrix(layout.basis, numbers, atoms[local.pair_index], local.pair_shift, local.values)
    return result
