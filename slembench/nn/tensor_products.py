"""Clebsch-Gordan products of features with the spherical harmonics of the bond, and of two features with each other.

In the frame of the bond Y_l has one component, m = 0, of value sqrt(2l + 1); so the product l1 (x) l2 -> l3 couples m
of l1 to m of l3 alone, by one number for each m, and the sum over l2 is one matrix for each m: the same result as
e3nn's tensor product with the full harmonics at the cost of a matrix product (eSCN, arXiv 2302.03655).

`BondProduct` connects every input channel with every output channel ("uvw" of e3nn). `ChannelBondProduct` ("uvu") and
`ChannelProduct` ("uuu", of two features in any axes) work channel by channel, with a weight for every path, channel and
row; their features have the same number of channels for every l = 0..lmax, polar ones alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState, NodeState
from slembench.nn.functional import Constants
from slembench.nn.so2 import so2_linear
from slembench.operators.orbitals import FloatArray
from slembench.operators.rotations import clebsch_gordan


def coupled_degrees(l1: int, l3: int, same_parity: bool, lmax: int) -> list[int]:
    """Degrees l2 <= lmax of harmonics that couple l1 to l3; l1 + l2 + l3 even where both are polar or both axial.

    Example:
        >>> coupled_degrees(1, 2, same_parity=True, lmax=4)  # p (x) Y_l2 -> d
        [1, 3]
        >>> coupled_degrees(1, 2, same_parity=False, lmax=4)
        [2]
    """
    allowed = range(abs(l1 - l3), min(l1 + l3, lmax) + 1)
    return [l2 for l2 in allowed if ((l1 + l2 + l3) % 2 == 0) == same_parity]


def reachable(inputs: Sequence[Channels], output: Channels, lmax: int) -> Channels:
    """Channels of ``output`` whose (l, parity) a product of the inputs with harmonics up to ``lmax`` can give.

    Example:
        >>> scalars, wanted = Channels.parse("4x0e"), Channels.parse("8x0e+8x1o+8x1e")
        >>> reachable([scalars], wanted, lmax=2)  # scalars times harmonics give no axial vector
        Channels(polar=(8, 8), axial=(0, 0))
    """
    sources = {(l, n) for c in inputs for l, n, _, _ in c.parity_blocks}
    counts = ([0] * (output.lmax + 1), [0] * (output.lmax + 1))
    for l3, polar3, _, count in output.parity_blocks:
        if any(coupled_degrees(l1, l3, polar1 == polar3, lmax) for l1, polar1 in sources):
            counts[0 if polar3 else 1][l3] = count
    return Channels(tuple(counts[0]), tuple(counts[1]))


@cache
def bond_coupling(l1: int, polar1: bool, l2: int, l3: int, polar3: bool) -> FloatArray:
    """Factors of the product with Y_l2 of the bond, as frame features are stored (see `channels`).

    Args:
        l1: degree of the feature.
        polar1: whether it is polar.
        l2: degree of the harmonics, component-normalised.
        l3: degree of the result.
        polar3: whether it is polar.

    Returns:
        (min(l1, l3) + 1,) | factor from m of l1 to m of l3, with Wigner 3j symbols of unit norm (as in e3nn).
    """
    # Y_l2 of the polar axis is sqrt(2 l2 + 1) at M = 0 (index l2); 3j symbols are C / sqrt(2 l3 + 1)
    symbols = clebsch_gordan(l1, l2, l3)[:, l2, :] * math.sqrt((2 * l2 + 1) / (2 * l3 + 1))
    factors = [symbols[l1, l3]]
    for m in range(1, min(l1, l3) + 1):
        # even component: cos (+m) of a polar channel, minus sin (-m) of an axial one; the odd one couples alike
        row, row_sign = (l1 + m, 1.0) if polar1 else (l1 - m, -1.0)
        column, column_sign = (l3 + m, 1.0) if polar3 else (l3 - m, -1.0)
        factors.append(symbols[row, column] * row_sign * column_sign)
    return np.array(factors)


class BondProduct(nn.Module):
    """Product of several features with the harmonics of the bond, with weights w_uw or w'_uw w''_w of every path.

    Equal to e3nn's tensor product "uvw" of the concatenated features with Y, irreps normalised by component and paths
    by element; with ``split`` weights it is DeepH-E3's product (arXiv 2210.13955), where w'' is one for each input.
    Gates stand in front of m = 0.

    Args:
        inputs: channels of each feature.
        output: channels of the result.
        n_gates: further true scalars.
        lmax: of the harmonics.
        split: whether weights are products w' w''.
    """

    def __init__(
        self, inputs: Sequence[Channels], output: Channels, n_gates: int, lmax: int, split: bool = True
    ) -> None:
        super().__init__()
        self.inputs, self.output, self.n_gates = tuple(inputs), output, n_gates
        found = sorted({(l, not n) for c in inputs for l, n, _, _ in c.parity_blocks})
        self.rows = [(l, not u, tuple(_count(c, l, not u) for c in inputs)) for l, u in found]
        self.columns = [(l, n, count) for l, n, _, count in output.parity_blocks]
        if (0, True) not in {(l, n) for l, n, _ in self.columns}:
            raise ValueError("the output needs 0e channels")
        # gates are true scalars too, in the same columns as the output's own
        self.columns[0] = (0, True, output.scalars + n_gates)
        self.left, self.right = nn.ParameterList(), nn.ParameterList()
        self.paths: dict[tuple[int, int], int] = {}
        tables: dict[str, torch.Tensor] = {}
        for c, (l3, polar3, width) in enumerate(self.columns):
            degrees = [coupled_degrees(l1, l3, polar1 == polar3, lmax) for l1, polar1, _ in self.rows]
            # all input channels times all harmonics that lead to one output channel
            fan_in = sum(len(ls) * sum(counts) for ls, (_, _, counts) in zip(degrees, self.rows))
            if not fan_in:
                raise ValueError(f"no product of the inputs with harmonics up to l = {lmax} gives l = {l3}")
            for r, ((l1, polar1, counts), ls) in enumerate(zip(self.rows, degrees)):
                if ls:
                    self.paths[r, c] = len(self.left)
                    self.left.append(nn.Parameter(torch.randn(len(ls), sum(counts), width)))
                    if split:
                        self.right.append(nn.Parameter(torch.randn(len(ls), sum(map(bool, counts)), width)))
                    table = np.stack([bond_coupling(l1, polar1, l2, l3, polar3) for l2 in ls], axis=1)
                    # e3nn's norm: component for the irreps, element for the paths
                    table *= math.sqrt((2 * l3 + 1) / fan_in)
                    tables[f"path {r} {c}"] = torch.from_numpy(table)
        self.constants = Constants(tables | self._orders())

    def _orders(self) -> dict[str, torch.Tensor]:
        """Row orders: blocks by (l, parity) hold the inputs one after the other; matrices want input after input."""
        orders = {}
        for r, (_, _, counts) in enumerate(self.rows):
            orders[f"source {r}"] = torch.repeat_interleave(torch.tensor([count for count in counts if count]))
        for m in range(self.output.lmax + 1):
            order: list[list[int]] = [[] for _ in self.inputs]
            start = 0
            for l, _, counts in self.rows:
                for part, count in zip(order, counts):
                    if l >= m:
                        part.extend(range(start, start + count))
                        start += count
            orders[f"order {m}"] = torch.tensor([row for part in order for row in part], dtype=torch.int64)
        return orders

    def right_row(self, r: int, k: int) -> int:
        """Row of the weights w'' of row block ``r`` that belongs to input ``k``; inputs without channels have none."""
        return sum(map(bool, self.rows[r][2][:k]))

    def matrices(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Matrices for m = 0, 1, ... of bonds, and of self-loops (r = 0, where only Y_0 is not zero)."""
        bonds: dict[tuple[int, int], torch.Tensor] = {}
        loops: dict[tuple[int, int], torch.Tensor] = {}
        for (r, c), k in self.paths.items():
            weights = self.left[k]
            if len(self.right):
                weights = weights * self.right[k].index_select(1, self.constants.get(f"source {r}", weights))
            table = self.constants.get(f"path {r} {c}", weights)
            # matrix of m: sum over l2 of table[m, l2] w[l2, u, w]
            bonds[r, c] = (table @ weights.flatten(1)).reshape(len(table), *weights.shape[1:])
            if self.rows[r][:2] == self.columns[c][:2]:
                # for r = 0 only Y_0 = 1 is not zero; it couples an irrep to itself alone, by the same factor for all m
                loops[r, c] = weights[0] * table[0, 0]
        count = range(self.output.lmax + 1)
        return [self._assembled(m, bonds) for m in count], [self._assembled(m, loops) for m in count]

    def _assembled(self, m: int, blocks: dict[tuple[int, int], torch.Tensor]) -> torch.Tensor:
        rows = []
        like: torch.Tensor = self.left[0]
        for r, (l1, _, counts) in enumerate(self.rows):
            if l1 < m:
                continue
            row = []
            for c, (l3, _, width) in enumerate(self.columns):
                if l3 >= m:
                    block = blocks.get((r, c))
                    if block is None:
                        block = like.new_zeros(sum(counts), width)
                    row.append(block[m] if block.ndim == 3 else block)
            rows.append(torch.cat(row, dim=1))
        if not rows:
            return like.new_zeros(0, self.output.count_from(m))
        order = self.constants.get(f"order {m}", like)
        return torch.cat(rows).index_select(0, order)

    def forward(self, states: Sequence[FrameState], n_loops: int = 0) -> FrameState:
        """Product.

        Args:
            states: frame feature of each input; the last ``n_loops`` rows are self-loops.
            n_loops: how many.

        Returns:
            (R, n_gates + C), then (R, 2, M_m): frame feature with the gates in front.
        """
        bonds, loops = self.matrices()
        if not n_loops:
            return so2_linear(states, self.inputs, self.output, bonds)
        n = len(states[0][0]) - n_loops
        first = so2_linear([[t[:n] for t in s] for s in states], self.inputs, self.output, bonds)
        last = so2_linear([[t[n:] for t in s] for s in states], self.inputs, self.output, loops)
        return [torch.cat([a, b]) for a, b in zip(first, last)]


def _count(channels: Channels, l: int, polar: bool) -> int:
    if l > channels.lmax:
        return 0
    return (channels.polar if polar else channels.axial)[l]


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
                            # Y_l2(-r) = (-1)^l2 Y_l2(r)
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
            # out[l3, c] = sum over l1 of factor[m, l1, l3, c] x[l1, c], alike for even and odd
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
                # x[M3, c] = w[path, c] sum over M1, M2 of 3j[M1, M2, M3] a[M1, c] b[M2, c], all l3 in one product
                outer = (a[:, :, None, :] * b[:, None, :, :]).flatten(1, 2)
                coupled = torch.matmul(self.constants.get(f"{l1} {l2}", outer), outer)
                degrees = range(abs(l1 - l2), min(l1 + l2, self.lmax) + 1)
                for l3, value in zip(degrees, torch.split(coupled, [2 * l3 + 1 for l3 in degrees], dim=1)):
                    parts[l3].append(value * next(own)[:, None])
        return [sum(terms[1:], start=terms[0]) for terms in parts]


def channel_paths(lmax: int) -> list[tuple[int, int, int]]:
    """(l1, l2, l3) with |l1 - l2| <= l3 <= l1 + l2, all up to lmax, ascending.

    Example:
        >>> channel_paths(1)
        [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)]
    """
    degrees = range(lmax + 1)
    return [(l1, l2, l3) for l1 in degrees for l2 in degrees for l3 in range(abs(l1 - l2), min(l1 + l2, lmax) + 1)]
