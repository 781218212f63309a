"""Node states in pair frames without rotating each of them for every pair.

All pairs of an atom see the same node state through different frames, and a linear map acts on it next. So the map is
applied first, once an atom and for every (m of the frame, m' of the structure's axes), and each pair then combines
2l + 1 small results with the row of its Wigner matrix: one batched product over atoms, at a fraction of the cost of
rotating 2l + 1 components of every channel and mapping them. Collecting pair messages is the same, transposed.
"""

from __future__ import annotations

import torch

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState
from slembench.nn.kernels.matmul import matmul, matmul_t, raw_matmul


class PairGroups:
    """Pairs grouped by the atom at one of their ends, padded to the largest group.

    Args:
        index: (P,) int64 | atom at that end of every pair.

    Attributes:
        atoms: (A,) int64 | atoms that have pairs, ascending: one group each.
        width: rows of every group, D.
        slots: (P,) int64 | row of every pair among the padded ones; None where they stand as they are.
    """

    def __init__(self, index: torch.Tensor) -> None:
        self.atoms, group, counts = torch.unique(index, return_inverse=True, return_counts=True)
        self.width = int(counts.max()) if len(index) else 0
        self.slots: torch.Tensor | None = None
        if self.width * len(counts) == len(index) and bool((index[1:] >= index[:-1]).all()):
            return
        # rank of a pair within its group = position among the sorted pairs - pairs of all groups before
        order = torch.argsort(group, stable=True)
        ranks = torch.arange(len(index), device=index.device) - (counts.cumsum(0) - counts)[group[order]]
        self.slots = torch.empty_like(index)
        self.slots[order] = group[order] * self.width + ranks
        self.sources = torch.zeros(len(counts) * self.width, dtype=index.dtype, device=index.device)
        self.sources[self.slots] = torch.arange(len(index), device=index.device)
        # rows of the padding take pair 0 when gathered and are set to zero then
        free = torch.ones_like(self.sources, dtype=torch.bool).index_fill(0, self.slots, False)
        self.free = free.nonzero()[:, 0]

    def pad(self, rows: torch.Tensor) -> torch.Tensor:
        """(P, ...) -> (A, D, ...), zero where a group has no pair."""
        if self.slots is not None:
            rows = rows.index_select(0, self.sources)
            if len(self.free):
                # in place only where autograd does not need the old values
                rows = rows.index_fill(0, self.free, 0.0) if rows.requires_grad else rows.index_fill_(0, self.free, 0.0)
        return rows.reshape(len(self.atoms), self.width, *rows.shape[1:])

    def unpad(self, padded: torch.Tensor) -> torch.Tensor:
        """(A, D, ...) -> (P, ...)."""
        rows = padded.flatten(0, 1)
        return rows if self.slots is None else rows.index_select(0, self.slots)


class EdgeFrames:
    """Frames of pairs as rows that act on what their atoms at one end hold.

    Operands and collected sums have one tensor (A, K_m, width) for each m: rows l = m .. lmax, for each l first
    2l + 1 for channels as they are, then (m > 0) 2l + 1 for channels times i (see `channels`).

    Args:
        frames: of the pairs.
        index: (P,) int64 | atom at that end of every pair.
    """

    def __init__(self, frames: Frames, index: torch.Tensor) -> None:
        self.frames, self.index = frames, index
        self.groups, self.lmax = PairGroups(index), len(frames.polar)
        # m = 0: row 0 of D_l, which is Y_l of the bond / sqrt(2l + 1); for l = 0 it is the number 1
        one = frames.polar[0].new_ones(len(index), 1) if frames.polar else torch.ones(len(index), 1)
        first = torch.cat([one] + [matrix[:, 0] for matrix in frames.polar], dim=1)
        self.rows = [self.groups.pad(first)]
        for m in range(1, self.lmax + 1):
            parts = []
            for matrix in frames.polar[m - 1 :]:
                # rows +m and -m; times i of the complex structure of (even, odd) they are (-odd, even)
                both = matrix[:, 2 * m - 1 : 2 * m + 1]
                parts += [both, torch.stack([-both[:, 1], both[:, 0]], dim=1)]
            self.rows.append(self.groups.pad(torch.cat(parts, dim=2)).flatten(1, 2))

    def take(self, node: NodeState) -> NodeState:
        """Node feature of the atoms that have pairs: (N, ...) -> (A, ...) for each l."""
        atoms = self.groups.atoms
        return node if len(node[0]) == len(atoms) else [tensor.index_select(0, atoms) for tensor in node]

    def rotate_in(self, node: NodeState, channels: Channels) -> FrameState:
        """Node feature (N, ...) of the atom at this end of every pair, in the frame of the pair."""
        return self.frames.rotate_in([tensor.index_select(0, self.index) for tensor in node], channels)

    def node_to_edge(self, m: int, operand: torch.Tensor, total: torch.Tensor | None = None) -> torch.Tensor:
        """What the frames of all pairs make of an operand.

        Args:
            m: row of the frames.
            operand: (A, K_m, width).
            total: added to it, in its place where it can be.

        Returns:
            (P, width) for m = 0, else (P, 2, width), even and odd.
        """
        # x[p, :] = sum_k rows[p, k] operand[i(p), k, :], batched over the atoms i
        rows, atoms, width = self.rows[m][:, :, : operand.shape[1]], len(operand), operand.shape[2]
        shape = (len(self.index), 2, width) if m else (len(self.index), width)
        # pairs that stand sorted by this atom need no copy: the product is added where it belongs
        if total is not None and self.groups.slots is None:
            raw_matmul(rows, operand, total.view(atoms, rows.shape[1], width))
            return total
        padded = matmul(rows, operand).view(atoms, self.groups.width, *shape[1:])
        part = self.groups.unpad(padded)
        return part if total is None else total.add_(part)

    def edge_to_node(self, m: int, values: torch.Tensor, size: int) -> torch.Tensor:
        """Transpose of `node_to_edge`: sum over the pairs of every atom.

        Args:
            m: row of the frames.
            values: (P, width) or (P, 2, width).
            size: rows wanted, those of l up to some lmax.

        Returns:
            (A, size, width).
        """
        # sum[i, k, :] = sum over the pairs p of i of rows[p, k] values[p, :]
        padded = self.groups.pad(values)
        return matmul_t(self.rows[m][:, :, :size], padded.flatten(1, 2) if m else padded)

    def scatter_sum(self, message: FrameState, channels: Channels, n_atoms: int) -> NodeState:
        """Frame features rotated to the axes of the structure and summed over the pairs of every atom.

        Args:
            message: features of all pairs.
            channels: of the message.
            n_atoms: number of atoms N.

        Returns:
            (N, 2l + 1, C_l) for each l.
        """
        sums: list[list[torch.Tensor]] = []
        for m, tensor in enumerate(message):
            # rows of the sums: for each l 2l + 1 of the channels as they are, for m > 0 then 2l + 1 of those times i
            sizes = [2 * l + 1 for l in range(m, channels.lmax + 1) for _ in range(2 if m else 1)]
            sums.append(list(torch.split(self.edge_to_node(m, tensor, sum(sizes)), sizes, dim=1)))
        nodes: NodeState = []
        for l in range(channels.lmax + 1):
            parts = []
            for m, blocks in enumerate(sums[: l + 1]):
                a, n, u = channels.first(l) - channels.first(m), channels.polar[l], channels.axial[l]
                block = blocks[(l - m) * (2 if m else 1)]
                # axial channels are stored times i (m > 0), so theirs are the rows of the second kind
                if m and self.frames.separate_parity and u:
                    parts.append(
                        torch.cat([block[:, :, a : a + n], blocks[2 * (l - m) + 1][:, :, a + n : a + n + u]], 2)
                    )
                else:
                    parts.append(block[:, :, a : a + n + u])
            # D_l^T x = sum over m of the rows of m, transposed, times the components of m
            total = torch.stack(parts).sum(dim=0)
            # atoms without any pair get no message
            if len(total) < n_atoms:
                total = total.new_zeros(n_atoms, *total.shape[1:]).index_copy(0, self.groups.atoms, total)
            nodes.append(total)
        return nodes
