"""Attention over the neighbours of an atom on plain numbers (not equivariant)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from slembench.nn.functional import segment_sum


@dataclass(frozen=True)
class Neighbourhood:
    """What attention reads besides the states.

    Attributes:
        centre: (P,) int64 | atom i of each pair.
        neighbour: (P,) int64 | atom j of each pair.
        length: (P,) | Angstrom.
        envelope: (P,) | smooth step to zero at the cutoff.
    """

    centre: torch.Tensor
    neighbour: torch.Tensor
    length: torch.Tensor
    envelope: torch.Tensor


def segment_softmax(values: torch.Tensor, index: torch.Tensor, size: int) -> torch.Tensor:
    """Softmax over the rows of each segment.

    Args:
        values: (P, H).
        index: (P,) int64 | segment of each row.
        size: number of segments.

    Returns:
        (P, H); the rows of every segment add up to 1.
    """
    # exp(x - max) cannot overflow; the maximum cancels, so it needs no gradient
    largest = values.new_full((size, values.shape[1]), -math.inf)
    largest = largest.index_reduce(0, index, values.detach(), "amax")
    exponent = torch.exp(values - largest[index])
    return exponent / segment_sum(exponent, index, size)[index]


class NeighbourAttention(nn.Module):
    """Multi-head attention of i over its neighbours; keys and values from node j and pair ij; decays with distance.

    Args:
        width: of node and pair states.
        heads: number of heads; divides the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.node_keys, self.pair_keys = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.decay = nn.Parameter(torch.zeros(heads))
        self.out = nn.Linear(width, width)

    def forward(self, node: torch.Tensor, pair: torch.Tensor, ctx: Neighbourhood) -> torch.Tensor:
        """Update (N, width) of normalised node states (N, width) from pair states (P, width)."""
        n, h = len(node), self.heads
        query = self.query(node)[ctx.centre].reshape(-1, h, node.shape[1] // h)
        both = self.node_keys(node)[ctx.neighbour] + self.pair_keys(pair)
        key, value = (x.reshape(query.shape) for x in both.chunk(2, dim=1))
        logits = (query * key).sum(dim=2) / math.sqrt(query.shape[2])
        # a positive decay rate for every head: nearer neighbours count more at the start
        logits = logits - nn.functional.softplus(self.decay) * ctx.length[:, None]
        # the envelope after the softmax: a neighbour that leaves the cutoff fades out, the sum is below 1 then
        share = segment_softmax(logits, ctx.centre, n) * ctx.envelope[:, None]
        update: torch.Tensor = self.out(segment_sum((share[:, :, None] * value).flatten(1), ctx.centre, n))
        return update


class TransformerLayer(nn.Module):
    """Attention and feed-forward on nodes, then a feed-forward of (n_i, e_ij, n_j) on pairs, all with skips.

    Args:
        width: of node and pair states.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.node_norm, self.pair_norm, self.forward_norm, self.ends_norm = (nn.LayerNorm(width) for _ in range(4))
        self.attention = NeighbourAttention(width, heads)
        self.node_network = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.of_ends, self.of_pair = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.pair_network = nn.Sequential(nn.GELU(), nn.Linear(width, width))

    def forward(self, node: torch.Tensor, pair: torch.Tensor, ctx: Neighbourhood) -> tuple[torch.Tensor, torch.Tensor]:
        """New node (N, width) and pair states (P, width)."""
        normed = self.pair_norm(pair)
        node = node + self.attention(self.node_norm(node), normed, ctx)
        node = node + self.node_network(self.forward_norm(node))
        at_centre, at_neighbour = self.of_ends(self.ends_norm(node)).chunk(2, dim=1)
        # W [n_i, e_ij, n_j] as a sum of three maps: those of nodes are done once an atom
        hidden = at_centre[ctx.centre] + at_neighbour[ctx.neighbour] + self.of_pair(normed)
        return node, pair + self.pair_network(hidden)
