"""Batches of graphs in an order that depends on nothing but the seed, the epoch and the step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch_geometric.data import Batch

from slembench.data.graph import OperatorGraph


@dataclass(frozen=True)
class Batches:
    """Graphs in batches on a device.

    Attributes:
        graphs: the structures.
        size: structures a batch; the last batch of an epoch may be smaller.
        device: where batches go.
    """

    graphs: Sequence[OperatorGraph]
    size: int
    device: torch.device

    def of_step(self, step: int, seed: int) -> OperatorGraph:
        """Batch of a training step (from 0): each epoch is a permutation drawn from (seed, epoch)."""
        epoch, position = divmod(step, math.ceil(len(self.graphs) / self.size))
        order = np.random.default_rng((seed, epoch)).permutation(len(self.graphs))
        return self._collate([self.graphs[i] for i in order[position * self.size : (position + 1) * self.size]])

    def in_order(self) -> Iterator[OperatorGraph]:
        """All structures once, as they stand."""
        for first in range(0, len(self.graphs), self.size):
            yield self._collate(self.graphs[first : first + self.size])

    def _collate(self, graphs: Sequence[OperatorGraph]) -> OperatorGraph:
        batch: OperatorGraph = Batch.from_data_list(list(graphs)).to(self.device)
        return batch
