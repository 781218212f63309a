"""Batches of graphs in an order that depends on nothing but the seed, the epoch and the step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch_geometric.data import Batch

from slembench.data.graph import OperatorGraph
from slembench.training.distributed import SINGLE, ProcessGroup


class LocalBatch(NamedTuple):
    """The part of a batch that one process computes.

    Attributes:
        batch: its structures as one graph; None where the batch has fewer structures than there are processes.
        local_size: structures in this part.
        global_size: structures in the parts of all processes.
    """

    batch: OperatorGraph | None
    local_size: int
    global_size: int


@dataclass(frozen=True)
class Batches:
    """Graphs in batches on a device.

    Attributes:
        graphs: the structures, the same in every process.
        size: structures a batch, of all processes together; the last batch of an epoch may be smaller.
        device: where batches go.
        group: processes that share every batch.

    Example:
        >>> from slembench.data.graph import OperatorGraph
        >>> graphs = [OperatorGraph(positions=torch.full((1, 3), float(n))) for n in range(5)]
        >>> batches = Batches(graphs, size=2, device=torch.device("cpu"))
        >>> for step in range(6):  # three steps an epoch
        ...     batch = batches.train_batch(step, seed=0).batch
        ...     print(step // 3, batch.positions[:, 0].int().tolist())
        0 [2, 4]
        0 [3, 0]
        0 [1]
        1 [1, 4]
        1 [3, 0]
        1 [2]
    """

    graphs: Sequence[OperatorGraph]
    size: int
    device: torch.device
    group: ProcessGroup = SINGLE

    def train_batch(self, step: int, seed: int) -> LocalBatch:
        """Batch of a training step (from 0): each epoch is a permutation drawn from (seed, epoch)."""
        epoch, position = divmod(step, math.ceil(len(self.graphs) / self.size))
        # drawn anew from (seed, epoch) in every step: no state that a resumed run would have to restore
        order = np.random.default_rng((seed, epoch)).permutation(len(self.graphs))
        return self._local([self.graphs[i] for i in order[position * self.size : (position + 1) * self.size]])

    def iter_epoch(self) -> Iterator[LocalBatch]:
        """All structures once, in the order of ``graphs``; for validation."""
        for first in range(0, len(self.graphs), self.size):
            yield self._local(self.graphs[first : first + self.size])

    def _local(self, graphs: Sequence[OperatorGraph]) -> LocalBatch:
        own = list(graphs[self.group.rank :: self.group.size])
        batch: OperatorGraph | None = Batch.from_data_list(own).to(self.device) if own else None
        return LocalBatch(batch, len(own), len(graphs))
