"""From a state of l = 0..lmax to blocks: weights of every shell pair from the elements of the pair."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from slembench.nn.frames import NodeState
from slembench.nn.functional import Constants
from slembench.nn.per_type import typed_product
from slembench.operators.irreps import BlockIrreps

Groups = tuple[tuple[int, int, int], ...]


class Expansion(nn.Module):
    """Coupled features of shells (a, b) and, for the transposed blocks, of (b, a).

    Weights and the biases of l = 0 are those of e3nn-style paths (l, l1, l2), each (C, shells of l1, shells of l2),
    and come from a perceptron of the elements' embeddings; so there is one set for each element (pair), not each atom.

    Args:
        layout: irreps layout of the operator.
        width: channels of the state, for every l.
        embedding: width of the embedding that the perceptrons read.
        hidden: their hidden width.
    """

    def __init__(self, layout: BlockIrreps, width: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.layout, self.width = layout, width
        counts = [layout.shells.count(l) for l in range(max(layout.shells) + 1)]
        # offsets of the paths (l, l1, l2) in the flat output of the perceptrons, in the public order
        starts, n_weights = {}, 0
        biases, n_biases = {}, 0
        for l in range(2 * max(layout.shells) + 1):
            for l1, n1 in enumerate(counts):
                for l2, n2 in enumerate(counts):
                    if abs(l1 - l2) <= l <= l1 + l2:
                        starts[l, l1, l2] = n_weights
                        n_weights += width * n1 * n2
                        if l == 0:
                            biases[l1, l2] = n_biases
                            n_biases += n1 * n2
        self.weights = _perceptron(embedding, hidden, n_weights)
        self.biases = _perceptron(embedding, hidden, n_biases)
        # number of a shell among those of its l
        rank = [list(layout.shells[:k]).count(l) for k, l in enumerate(layout.shells)]
        tables: dict[str, torch.Tensor] = {}
        for k, c in enumerate(layout.classes):
            for name, pairs in (("upper", c.shell_pairs), ("lower", c.shell_pairs[:, ::-1])):
                index, bias = [], []
                for a, b in pairs.tolist():
                    l1, l2 = layout.shells[a], layout.shells[b]
                    place = rank[a] * counts[l2] + rank[b]
                    index.append(starts[c.l, l1, l2] + np.arange(width) * counts[l1] * counts[l2] + place)
                    bias.append(biases[l1, l2] + place if c.l == 0 else 0)
                tables[f"{name} {k}"] = torch.from_numpy(np.stack(index, axis=1))
                tables[f"{name} bias {k}"] = torch.tensor(bias)
        self.constants = Constants(tables)

    def forward(self, state: NodeState, embedding: torch.Tensor, groups: Groups) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (R, F) of (a, b) and of (b, a), a <= b.

        Args:
            state: (R, 2l + 1, C) for each l, rows sorted by type.
            embedding: (T, embedding) of every type.
            groups: (type, first row, end row).
        """
        weights, biases = self.weights(embedding), self.biases(embedding)
        counts = torch.tensor([end - start for _, start, end in groups], dtype=torch.int64)
        types = torch.tensor([t for t, _, _ in groups], dtype=torch.int64).repeat_interleave(counts).to(weights.device)
        both = []
        for name in ("upper", "lower"):
            parts = []
            for k, c in enumerate(self.layout.classes):
                # blocks decouple by 3j symbols of unit norm: 1 / sqrt(2l + 1) of our features
                factor = 1.0 / (self.width * (2 * c.l + 1) ** 0.5)
                matrices = weights[:, self.constants.get(f"{name} {k}", weights)] * factor
                value = typed_product(state[c.l], matrices, groups)
                if c.l == 0:
                    bias = biases[:, self.constants.get(f"{name} bias {k}", weights)] * factor
                    value = value + bias[types][:, None]
                parts.append(value.flatten(1))
            both.append(torch.cat(parts, dim=1))
        return both[0], both[1]


def _perceptron(inputs: int, hidden: int, output: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, output))
