"""A SLEM or LEM worked through a structure layer by layer, a limited number of pairs at a time.

All that passes between pairs in a layer passes through the states of atoms, so the pairs of some atoms at a time go
through one layer, then the next ones. What stays in memory is the states and frames of all pairs, linear in the number
of atoms; the many times larger intermediate results of a layer exist for one chunk only. The blocks are then made of
the features in portions as well, one triangle of the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from slembench.core.errors import PredictionError
from slembench.data.graph import OperatorGraph
from slembench.models.contract import OperatorModel
from slembench.models.graphs import attach_frames
from slembench.models.pair_frame import PairFrameModel, State
from slembench.nn.frames import NodeState
from slembench.nn.readout import OperatorFeatures
from slembench.operators.blocks import BlockMatrix, in_triangle, lookup, pair_keys
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import IntArray

MAX_PAIRS = 20_000
"""Pairs that go through a layer together unless another number is asked for."""


@dataclass
class Chunk:
    """Some atoms and the pairs centred on them.

    Attributes:
        own: atoms a .. b - 1 of the structure.
        pairs: their pairs.
        atoms: (n,) int64 | these atoms and their neighbours, ascending.
        rows: rows of ``own`` in ``atoms``.
        graph: of ``atoms`` with ``pairs``, with frames.
        state: pair states.
    """

    own: slice
    pairs: slice
    atoms: torch.Tensor
    rows: slice
    graph: OperatorGraph
    state: State | None = None


def features(model: OperatorModel, graph: OperatorGraph, max_pairs: int = MAX_PAIRS) -> dict[str, OperatorFeatures]:
    """What ``model(graph)`` returns, on the CPU; in chunks where the structure is large and the model allows it.

    Args:
        model: in evaluation mode.
        graph: of one structure, float64 vectors, pairs sorted by centre, without frames.
        max_pairs: pairs worked on at a time.
    """
    # Below the limit the whole graph is one call; other models may exchange more than that.
    parameter = next(model.parameters())
    if not isinstance(model, PairFrameModel) or len(graph.pair_type) <= max_pairs:
        whole = _cast(attach_frames(graph.clone(), model.frame_lmax), parameter)
        return {name: _to_cpu(value) for name, value in model(whole).items()}
    chunks = [_chunk(graph, bounds, model.frame_lmax, parameter) for bounds in _bounds(graph, max_pairs)]
    node = _pass(model, chunks, None, int(graph.num_nodes))
    for layer in range(len(model.layers)):
        node = _pass(model, chunks, layer, int(graph.num_nodes), node)
    return _read_out(model, chunks, node)


def subgraph(graph: OperatorGraph, atoms: torch.Tensor, pairs: slice | torch.Tensor) -> OperatorGraph:
    """Some atoms of a structure and some of the pairs among them, numbered anew.

    Args:
        graph: of the structure.
        atoms: (n,) int64 | ascending; all ends of the pairs are among them.
        pairs: of the structure.
    """
    part = OperatorGraph(numbers=graph.numbers[atoms], species=graph.species[atoms], positions=graph.positions[atoms])
    part.pair_index = torch.searchsorted(atoms, graph.pair_index[:, pairs].contiguous())
    for key in ("pair_shift", "pair_vector", "pair_type"):
        part[key] = graph[key][pairs]
    part.num_nodes = len(atoms)
    return part


def _bounds(graph: OperatorGraph, max_pairs: int) -> Iterator[tuple[int, int, int, int]]:
    """(first atom, end atom, first pair, end pair) of every chunk; an atom's pairs stay together."""
    n_atoms = int(graph.num_nodes)
    # pairs are sorted by centre, so those of an atom are a slice
    starts: IntArray = np.searchsorted(graph.pair_index[0].numpy(), np.arange(n_atoms + 1))
    first = 0
    while first < n_atoms:
        # At least one atom a chunk, even where its pairs alone are more than the limit.
        end = max(first + 1, int(np.searchsorted(starts, starts[first] + max_pairs, side="right")) - 1)
        yield first, end, int(starts[first]), int(starts[end])
        first = end


def _chunk(graph: OperatorGraph, bounds: tuple[int, int, int, int], lmax: int, like: torch.Tensor) -> Chunk:
    first, end, first_pair, end_pair = bounds
    pairs = slice(first_pair, end_pair)
    atoms = torch.unique(torch.cat([torch.arange(first, end), graph.pair_index[1, pairs]]))
    row = int(torch.searchsorted(atoms, first))
    part = _cast(attach_frames(subgraph(graph, atoms, pairs), lmax), like)
    return Chunk(slice(first, end), pairs, atoms, slice(row, row + end - first), part)


def _pass(
    model: PairFrameModel, chunks: list[Chunk], layer: int | None, n_atoms: int, node: NodeState | None = None
) -> NodeState:
    """All chunks through one layer, or through the two-body start; returns the new states of all atoms."""
    new: NodeState = []
    for chunk in chunks:
        around = model.edge_context(chunk.graph)
        if layer is None or node is None:
            state = model.start(around, len(chunk.atoms))
        else:
            assert chunk.state is not None
            atoms = chunk.atoms.to(around.envelope.device)
            state = model.layers[layer](replace(chunk.state, node=[x[atoms] for x in node]), around)
        if not new:
            new = [x.new_empty(n_atoms, *x.shape[1:]) for x in state.node]
        for target, part in zip(new, state.node):
            target[chunk.own] = part[chunk.rows]
        # node states are kept once for the whole structure, not in every chunk; hidden_normed is made again
        chunk.state = replace(state, node=[], hidden_normed=None)
    return new


def _read_out(model: PairFrameModel, chunks: list[Chunk], node: NodeState) -> dict[str, OperatorFeatures]:
    """Features of all atoms and pairs, in the unit of the data; the chunks' states are dropped on the way."""
    n_atoms, n_pairs, size = chunks[-1].own.stop, chunks[-1].pairs.stop, model.layout.n_features
    dtype = next(model.parameters()).dtype
    result = {
        name: OperatorFeatures(torch.empty(n_atoms, size, dtype=dtype), torch.empty(n_pairs, size, dtype=dtype))
        for name in model.targets
    }
    for chunk in chunks:
        around = model.edge_context(chunk.graph)
        assert chunk.state is not None
        state = replace(chunk.state, node=[x[chunk.atoms.to(x.device)] for x in node])
        chunk.state = None
        for name, value in model.in_units(model.read_out(chunk.graph, around, state), chunk.graph).items():
            result[name].onsite[chunk.own] = value.onsite[chunk.rows].cpu()
            result[name].pair[chunk.pairs] = value.pair.cpu()
    return result


def _cast(graph: OperatorGraph, like: torch.Tensor) -> OperatorGraph:
    """Real tensors in the dtype of ``like``, everything on its device."""
    for key, value in graph.to_dict().items():
        if isinstance(value, torch.Tensor):
            graph[key] = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
    return graph


def _to_cpu(value: OperatorFeatures) -> OperatorFeatures:
    return OperatorFeatures(value.onsite.cpu(), value.pair.cpu())


def block_portions(
    layout: BlockIrreps,
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
    # A part's graph has pairs at its rim whose reverse belongs to another part: only pairs from ``own`` are read out.
    mine = np.zeros(int(graph.num_nodes), dtype=bool)
    mine[own] = True
    chosen = np.flatnonzero(mine[index[:, 0]] & in_triangle(index, shift))
    # block (j, i, -R) is the transpose of (i, j, R): shell pairs a > b are read from the reverse pair's features
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
    layout: BlockIrreps,
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
        # features are coupled to blocks in float64, as in the prediction of a whole structure
        onsite, pair = value.onsite[rows].double().numpy(), value.pair[pairs].double().numpy()
        local = layout.to_blocks(part.numbers.numpy(), onsite, pair, index, shift).take(wanted)
        result[name] = BlockMatrix(layout.basis, numbers, atoms[local.pair_index], local.pair_shift, local.values)
    return result
