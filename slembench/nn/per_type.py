"""Rows sorted by type, and channel mixings with weights of their own for every type.

Rows are the pairs of a graph, sorted by pair type, and after them one self-loop for every atom, sorted by element; so
each type is a range of rows and needs no gathering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from slembench.data.graph import OperatorGraph
from slembench.nn.channels import Channels, linear_paths
from slembench.nn.frames import FrameState, NodeState


@dataclass(frozen=True)
class PairRows:
    """Order of the rows of a graph (or batch of graphs).

    Attributes:
        order: (P,) int64 | pair of the graph in each pair row; None where they are sorted already.
        loop_order: (N,) int64 | atom of each loop row; None where they are sorted already.
        centre: (R,) int64 | atom i of each row.
        neighbour: (R,) int64 | atom j of each row.
        reverse: (R,) int64 | row of (j, i, -R); a loop is its own.
        groups: (type, first row, end row) of every range.
        n_loops: number of self-loops, the last rows.
    """

    order: torch.Tensor | None
    loop_order: torch.Tensor | None
    centre: torch.Tensor
    neighbour: torch.Tensor
    reverse: torch.Tensor
    groups: tuple[tuple[int, int, int], ...]
    n_loops: int

    @classmethod
    def of(cls, graph: OperatorGraph, n_species: int, loops: bool = True) -> PairRows:
        """Rows of a graph; without ``loops`` its pairs alone."""
        n_pairs = len(graph.pair_type)
        order, counts = _sorted(graph.pair_type, n_species**2)
        centre, neighbour = graph.pair_index
        reverse = graph.reverse
        if order is not None:
            # back is the inverse permutation: row of each pair of the graph
            back = torch.empty_like(order)
            back[order] = torch.arange(n_pairs, device=order.device)
            centre, neighbour, reverse = centre[order], neighbour[order], back[reverse[order]]
        groups, loop_order, n_loops = _ranges(counts, 0, 1), None, 0
        if loops:
            n_loops = len(graph.species)
            loop_order, counts = _sorted(graph.species, n_species)
            # the self-loop of element s has the pair type s n_species + s
            groups += _ranges(counts, n_pairs, n_species + 1)
            atoms = torch.arange(n_loops, device=centre.device)
            ends = atoms if loop_order is None else loop_order
            centre, neighbour = torch.cat([centre, ends]), torch.cat([neighbour, ends])
            # a self-loop is its own reverse
            reverse = torch.cat([reverse, n_pairs + atoms])
        return cls(order, loop_order, centre, neighbour, reverse, tuple(groups), n_loops)

    @staticmethod
    def of_atoms(species: torch.Tensor, n_species: int) -> tuple[tuple[int, int, int], ...]:
        """Ranges (element, first row, end row) of atoms sorted by element."""
        return tuple(_ranges(torch.bincount(species, minlength=n_species).tolist(), 0, 1))

    def sort(self, values: torch.Tensor) -> torch.Tensor:
        """(P, ...) in the order of the graph -> in the order of the rows."""
        return values if self.order is None else values.index_select(0, self.order)

    def split(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(R, F) -> loops (N, F) and pairs (P, F) in the order of the graph."""
        n_pairs = len(rows) - self.n_loops
        pairs, loops = rows[:n_pairs], rows[n_pairs:]
        return _unsorted(loops, self.loop_order), _unsorted(pairs, self.order)


def _sorted(types: torch.Tensor, n_types: int) -> tuple[torch.Tensor | None, list[int]]:
    counts = torch.bincount(types, minlength=n_types).tolist()
    # one type alone: nothing to sort
    if sum(bool(c) for c in counts) <= 1:
        return None, counts
    return torch.argsort(types, stable=True), counts


def _unsorted(values: torch.Tensor, order: torch.Tensor | None) -> torch.Tensor:
    return values if order is None else torch.zeros_like(values).index_copy(0, order, values)


def _ranges(counts: list[int], start: int, stride: int) -> list[tuple[int, int, int]]:
    """Ranges of consecutive types; types are numbered ``stride`` apart."""
    ranges = []
    for number, count in enumerate(counts):
        if count:
            ranges.append((number * stride, start, start + count))
        start += count
    return ranges


def typed_product(
    tensor: torch.Tensor, matrices: torch.Tensor, groups: tuple[tuple[int, int, int], ...]
) -> torch.Tensor:
    """Rows (R, ..., C_in) times the matrix (T, C_in, C_out) of their type; ``groups`` cover all rows in order."""
    # without any rows there is no group, yet the result must have its shape and gradients
    parts = [tensor[a:b] @ matrices[t] for t, a, b in groups] or [tensor @ matrices[0]]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class TypedMixing(nn.Module):
    """Linear map among the channels of each (l, parity), with weights of their own for every type; no bias.

    Equal to e3nn's fully connected tensor product with one-hot types.

    Args:
        inputs: channels that come in.
        output: channels that go out; (l, parity) without input channels stay zero.
        n_types: number of types.
    """

    def __init__(self, inputs: Channels, output: Channels, n_types: int) -> None:
        super().__init__()
        self.inputs, self.output, self.n_types = inputs, output, n_types
        self.paths = linear_paths(inputs, output)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(n_types, fan_in, count)) for _, _, fan_in, _, count in self.paths
        )

    def matrices(self) -> torch.Tensor:
        """(T, C_in, C_out) | the maps among all channels."""
        full: torch.Tensor = self.weights[0].new_zeros(self.n_types, self.inputs.total, self.output.total)
        for (_, first, fan_in, start, count), weight in zip(self.paths, self.weights):
            # e3nn's normalisation counts the one-hot type as n_types inputs, though one alone is not zero
            full[:, first : first + fan_in, start : start + count] = weight / math.sqrt(fan_in * self.n_types)
        return full

    def on_frames(self, state: FrameState, rows: PairRows) -> FrameState:
        """Frame feature of ``inputs`` -> of ``output``; for large m the state may be missing (zero)."""
        full = self.matrices()
        result = []
        for m in range(self.output.lmax + 1):
            if m >= len(state) or not self.inputs.count_from(m):
                shape = (len(state[0]), 2, self.output.count_from(m))
                result.append(state[0].new_zeros(shape))
                continue
            matrices = full[:, self.inputs.first(m) :, self.output.first(m) :]
            result.append(typed_product(state[m], matrices, rows.groups))
        return result

    def on_nodes(self, state: NodeState, species: torch.Tensor) -> NodeState:
        """Node feature of ``inputs`` -> of ``output``, types being the elements (N,)."""
        full = self.matrices()
        result = []
        for l in range(self.output.lmax + 1):
            columns = slice(self.output.first(l), self.output.first(l + 1))
            if l > self.inputs.lmax:
                result.append(state[0].new_zeros(len(state[0]), 2 * l + 1, self.output.counts[l]))
                continue
            block = full[:, self.inputs.first(l) : self.inputs.first(l + 1), columns]
            result.append(torch.bmm(state[l], block[species]))
        return result
