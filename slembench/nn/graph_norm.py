"""Layer norm over whole graphs: every irrep centred by its mean over all rows and channels of the graph.

Source: DeepH-E3 (arXiv 2210.13955) and its public code: the mean over rows and channels of every (l, parity) is
subtracted, component by component in the axes of the structure; l = 0 is divided by its root mean square as well.
The means run over the whole graph, so every output depends on all its atoms, however far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState, NodeState
from slembench.nn.functional import Constants, segment_sum
from slembench.nn.layers import NormAffine


@dataclass(frozen=True)
class GraphRows:
    """Which graph of a batch each row belongs to.

    Attributes:
        graph: (R,) int64.
        share: (G,) | 1 / rows of each graph.
    """

    graph: torch.Tensor
    share: torch.Tensor

    @classmethod
    def of(cls, graph: torch.Tensor, n_graphs: int, like: torch.Tensor) -> GraphRows:
        """Rows by graph number; ``like`` gives dtype and device."""
        counts = torch.zeros(n_graphs, dtype=like.dtype, device=like.device)
        counts.index_add_(0, graph, torch.ones_like(graph, dtype=like.dtype))
        # a graph without rows (an atom alone has no pairs) would give 0 / 0
        return cls(graph, 1.0 / counts.clamp(min=1.0))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """(R, ...) -> (G, ...) mean over the rows of each graph."""
        total = segment_sum(values, self.graph, len(self.share))
        return total * self.share.reshape(-1, *([1] * (values.ndim - 1)))

    def broadcast(self, values: torch.Tensor) -> torch.Tensor:
        """(G, ...) -> (R, ...) value of each row's graph."""
        return values.index_select(0, self.graph)


class GraphNorm(nn.Module):
    """Norm over the rows of a graph, with gain of every channel and offset of the true scalars.

    Args:
        channels: of the feature.
        eps: added to the root mean square of scalars.
    """

    def __init__(self, channels: Channels, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.affine = NormAffine(channels)
        polar = tuple(int(bool(n)) for n in channels.polar)
        axial = tuple(int(bool(n)) for n in channels.axial)
        self.single = Channels(polar, axial)  # one channel for each (l, parity)
        # expand (blocks, C) copies the mean of a block to its channels; average (C, blocks) is the mean of a block
        expand = torch.zeros(self.single.total, channels.total, dtype=torch.float64)
        for k, (_, _, start, count) in enumerate(channels.parity_blocks):
            expand[k, start : start + count] = 1.0
        self.constants = Constants({"expand": expand, "average": (expand / expand.sum(dim=1, keepdim=True)).T})

    def on_frames(self, state: FrameState, frames: Frames, rows: GraphRows) -> FrameState:
        """Normalised frame feature (R rows)."""
        c, single = self.channels, self.single
        average, expand = (self.constants.get(name, state[0]) for name in ("average", "expand"))
        means = [t @ average[c.first(m) :, single.first(m) :] for m, t in enumerate(state)]
        # the frames differ from pair to pair, so the mean over pairs is taken in the axes of the structure
        centre = [rows.broadcast(rows.mean(t)) for t in frames.rotate_out(means, single)]
        result = []
        for m, (tensor, mean) in enumerate(zip(state, frames.rotate_in(centre, single))):
            widen = expand[single.first(m) :, c.first(m) :]
            flat = tensor.reshape(-1, widen.shape[1])
            result.append(torch.addmm(flat, mean.reshape(-1, len(widen)), widen, alpha=-1.0).reshape(tensor.shape))
        n0, n = c.counts[0], single.counts[0]
        # only l = 0 has a scale: dividing l > 0 by a root mean square too is not what the public code does
        scalars = self._scaled(result[0][:, :n0], average[:n0, :n], expand[:n, :n0], rows)
        return self.affine.on_frames([torch.cat([scalars, result[0][:, n0:]], dim=1), *result[1:]])

    def on_nodes(self, state: NodeState, rows: GraphRows) -> NodeState:
        """Normalised node feature (N rows)."""
        c, single = self.channels, self.single
        result = []
        for l, tensor in enumerate(state):
            own, one = slice(c.first(l), c.first(l + 1)), slice(single.first(l), single.first(l + 1))
            average, expand = self.constants.get("average", tensor)[own, one], self.constants.get("expand", tensor)
            centred = tensor - rows.broadcast(rows.mean(tensor @ average)) @ expand[one, own]
            if l == 0:
                centred = self._scaled(centred[:, 0], average, expand[one, own], rows)[:, None]
            result.append(centred)
        return self.affine.on_nodes(result)

    def _scaled(
        self, scalars: torch.Tensor, average: torch.Tensor, expand: torch.Tensor, rows: GraphRows
    ) -> torch.Tensor:
        """Centred l = 0 features (R, C_0), each parity divided by its root mean square over the graph."""
        square = rows.mean(scalars.square() @ average)
        return scalars * (rows.broadcast(1.0 / (square.sqrt() + self.eps)) @ expand)
