"""Clebsch-Gordan products channel by channel, with a weight for every path and channel of every row.

Two kinds: of a feature with the harmonics of the bond, in the frame of the bond (parity kept), and of two features,
in any axes. Features have the same number of channels for every l = 0..lmax, natural parity first and alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from slembench.nn.bond_product import bond_coupling, coupled_degrees
from slembench.nn.constants import Constants
from slembench.nn.frames import FrameState, NodeState
from slembench.rotations import clebsch_gordan


class ChannelBondProduct(nn.Module):
    """Product with the harmonics of the bond, "uvu" of e3nn with parity, weights given for each row.

    The weights of all harmonics that couple l1 to l3 combine into one factor for each m first; so each component of
    the result is a sum over l1 alone.

    Args:
        lmax_in: of the feature.
        lmax_out: of the result.
        lmax: of the harmonics.
        factors: l3 -> factor on the result, on top of Wigner 3j symbols of unit norm.
        against: the harmonics are those of the opposite direction, r_i - r_j - R.

    Attributes:
        paths: (l1, l2, l3) in the order of the weights: l1, l2, l3 ascending.
    """

    def __init__(self, lmax_in: int, lmax_out: int, lmax: int, factors: Mapping[int, float], against: bool) -> None:
        super().__init__()
        self.lmax_in, self.lmax_out = lmax_in, lmax_out
        self.paths = bond_paths(lmax_in, lmax_out, lmax)
        rows, self.sizes = [], []
        for m in range(lmax_out + 1):
            self.sizes.append(max(lmax_in + 1 - m, 0) * (lmax_out + 1 - m))
            for l1 in range(m, lmax_in + 1):
                for l3 in range(m, lmax_out + 1):
                    row = np.zeros(len(self.paths))
                    for k, (a, l2, c) in enumerate(self.paths):
                        if (a, c) == (l1, l3):
                            sign = (-1.0) ** l2 if against else 1.0
                            row[k] = bond_coupling(l1, True, l2, l3, True)[m] * factors[l3] * sign
                    rows.append(row)
        self.constants = Constants({"mix": torch.from_numpy(np.stack(rows))})

    def forward(self, state: FrameState, weights: torch.Tensor) -> FrameState:
        """Product.

        Args:
            state: frame feature, channels of all l alike: (P, (lmax_in + 1) C), (P, 2, lmax_in C), ...
            weights: (P, paths, C).

        Returns:
            Frame feature up to lmax_out.
        """
        n, _, width = weights.shape
        mixed = torch.split(torch.matmul(self.constants.get("mix", weights), weights), self.sizes, dim=1)
        result = []
        for m in range(self.lmax_out + 1):
            sources, targets = self.lmax_in + 1 - m, self.lmax_out + 1 - m
            shape = (n, targets * width) if m == 0 else (n, 2, targets * width)
            if sources < 1:
                result.append(weights.new_zeros(shape))
                continue
            factor = mixed[m].reshape(n, 1, sources, targets, width)
            values = state[m].reshape(n, 2 if m else 1, sources, 1, width)
            result.append((factor * values).sum(dim=2).reshape(shape))
        return result


def bond_paths(lmax_in: int, lmax_out: int, lmax: int) -> list[tuple[int, int, int]]:
    """(l1, l2, l3) with l1 + l2 + l3 even and l2 <= lmax, ascending."""
    degrees = [
        (l1, l2, l3)
        for l1 in range(lmax_in + 1)
        for l3 in range(lmax_out + 1)
        for l2 in coupled_degrees(l1, l3, True, lmax)
    ]
    return sorted(degrees)


class ChannelProduct(nn.Module):
    """Product of two features channel by channel, "uuu" of e3nn without parity.

    Args:
        lmax: of both features and of the result.
        factors: l3 -> factor on the result, on top of Wigner 3j symbols of unit norm.

    Attributes:
        paths: (l1, l2, l3) in the order of the weights: l1, l2, l3 ascending.
    """

    def __init__(self, lmax: int, factors: Mapping[int, float]) -> None:
        super().__init__()
        self.lmax = lmax
        self.paths = channel_paths(lmax)
        tables = {}
        for l1 in range(lmax + 1):
            for l2 in range(lmax + 1):
                parts = [
                    clebsch_gordan(l1, l2, l3).reshape(-1, 2 * l3 + 1).T * (factors[l3] / np.sqrt(2 * l3 + 1))
                    for a, b, l3 in self.paths
                    if (a, b) == (l1, l2)
                ]
                tables[f"{l1} {l2}"] = torch.from_numpy(np.concatenate(parts))
        self.constants = Constants(tables)

    def forward(self, first: NodeState, second: NodeState, weights: torch.Tensor) -> NodeState:
        """Product.

        Args:
            first: (R, 2l + 1, C) for each l.
            second: the same.
            weights: (R, paths, C), or (1, paths, C) for all rows alike.

        Returns:
            (R, 2l + 1, C) for each l.
        """
        parts: list[list[torch.Tensor]] = [[] for _ in range(self.lmax + 1)]
        own = iter(weights.unbind(1))
        for l1, a in enumerate(first):
            for l2, b in enumerate(second):
                outer = (a[:, :, None, :] * b[:, None, :, :]).flatten(1, 2)
                coupled = torch.matmul(self.constants.get(f"{l1} {l2}", outer), outer)
                degrees = range(abs(l1 - l2), min(l1 + l2, self.lmax) + 1)
                for l3, value in zip(degrees, torch.split(coupled, [2 * l3 + 1 for l3 in degrees], dim=1)):
                    parts[l3].append(value * next(own)[:, None])
        return [sum(terms[1:], start=terms[0]) for terms in parts]


def channel_paths(lmax: int) -> list[tuple[int, int, int]]:
    """(l1, l2, l3) with |l1 - l2| <= l3 <= l1 + l2, all up to lmax, ascending."""
    degrees = range(lmax + 1)
    return [(l1, l2, l3) for l1 in degrees for l2 in degrees for l3 in range(abs(l1 - l2), min(l1 + l2, lmax) + 1)]
