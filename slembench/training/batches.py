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
from slembench.training.distributed import ALONE, World


class Share(NamedTuple):
    """What one process has of a batch.

    Attributes:
        batch: its structures; None where there are fewer structures than processes and it has none.
        own: how many.
        whole: structures of the batch in all processes.
    """

    batch: OperatorGraph | None
    own: int
    whole: int


@dataclass(frozen=True)
class Batches:
    """Graphs in batches on a device.

    Attributes:
        graphs: the structures, the same in every process.
        size: structures a batch, of all processes together; the last batch of an epoch may be smaller.
        device: where batches go.
        world: processes that share every batch.
    """

    graphs: Sequence[OperatorGraph]
    size: int
    device: torch.device
    world: World = ALONE

    def of_step(self, step: int, seed: int) -> Share:
        """Batch of a training step (from 0): each epoch is a permutation drawn from (seed, epoch)."""
        epoch, position = divmod(step, math.ceil(len(self.graphs) / self.size))
        order = np.random.default_rng((seed, epoch)).permutation(len(self.graphs))
        return self._share([self.graphs[i] for i in order[position * self.size : (position + 1) * self.size]])

    def in_order(self) -> Iterator[Share]:
        """All structures once, as they stand."""
        for first in range(0, len(self.graphs), self.size):
            yield self._share(self.graphs[first : first + self.size])

    def _share(self, graphs: Sequence[OperatorGraph]) -> Share:
        own = list(graphs[self.world.rank :: self.world.size])
        batch: OperatorGraph | None = Batch.from_data_list(own).to(self.device) if own else None
        return Share(batch, len(own), len(graphs))
