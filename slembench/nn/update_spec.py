"""Tensors and shape of the fused update of pair states (`nn.fused_update`), and how its work is divided."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.edge_frames import EdgeFrames

CHUNK = 2**22
"""Numbers of the product that one chunk holds on a CPU (16 MiB in float32): what bounds the memory of a step."""

LEAST_ROWS = 64
"""Rows of a chunk, however wide they are."""
LEAST_MIXED = 32
"""Channels that are mixed at once, several l together where one has less."""


@dataclass
class UpdateInputs:
    """Tensors of an update; empty lists stand for what an update does not have.

    Attributes:
        operands: for each of the spec's ``edge_frames``, (A, K_m, M_m) for each m; see `EdgeFrames`.
        states: (P, C_0), (P, 2, C_m) | frame feature; tensors may be missing for large m.
        matrices: (C_0, M_0), (2 C_m, 2 M_m) or (C_m, M_m) | as of `SO2Linear`, one for each tensor of ``states``.
        bias: [(M_0,)] | of the product; empty where the operands bring it along.
        radial: [(P, L), (L, H), (H,), (H,), (H,), (H, sum of M_m), (sum of M_m,)] | latent, and of the network for the
            radial weights: first matrix and bias, gain and offset of its norm, last matrix and bias.
        mixing: [(C, C), (scalars,)] | mixing matrix with the activations' factors in its rows, and bias.
        weights: [(P, L), (L, C + scalars)] | latent and matrix that give channel weights and scalar offsets.
        residual: (P, B_0), (P, 2, B_m) | old state; tensors may be missing for large m.
        residual_mixing: [(B, C)] or [(B, C), (scalars,)] | map of the old state, and bias.
    """

    operands: list[list[Tensor]]
    states: list[Tensor]
    matrices: list[Tensor]
    bias: list[Tensor]
    radial: list[Tensor]
    mixing: list[Tensor]
    weights: list[Tensor]
    residual: list[Tensor] = field(default_factory=list)
    residual_mixing: list[Tensor] = field(default_factory=list)

    def flat(self) -> tuple[list[int], list[Tensor]]:
        """How many tensors each part has, and all of them in order."""
        parts = [*self.operands, *self.parts()]
        return [len(part) for part in parts], [tensor for part in parts for tensor in part]

    def parts(self) -> list[list[Tensor]]:
        """All parts but the operands."""
        return [
            self.states, self.matrices, self.bias, self.radial, self.mixing, self.weights,
            self.residual, self.residual_mixing,
        ]  # fmt: skip

    def rows(self, rows: slice) -> UpdateInputs:
        """What is read after the product, for some of the P rows; without the product's own inputs."""
        return UpdateInputs(
            operands=[],
            states=[],
            matrices=[],
            bias=[],
            radial=[self.radial[0][rows], *self.radial[1:]] if self.radial else [],
            mixing=self.mixing,
            weights=[self.weights[0][rows], self.weights[1]],
            residual=[tensor[rows] for tensor in self.residual],
            residual_mixing=self.residual_mixing,
        )

    @classmethod
    def of_flat(cls, counts: Sequence[int], tensors: Sequence[Tensor]) -> UpdateInputs:
        """Inverse of `flat`."""
        iterator = iter(tensors)
        parts = [[next(iterator) for _ in range(count)] for count in counts]
        return cls(parts[:-8], *parts[-8:])


@dataclass(frozen=True)
class UpdateSpec:
    """What an update does apart from its tensors.

    Attributes:
        output: channels of the result.
        old: channels of the residual's input.
        edge_frames: frames of the atoms i, and of the atoms j where they have operands too.
        eps: of the norm in the radial network.
    """

    output: Channels
    old: Channels
    edge_frames: tuple[EdgeFrames, ...]
    eps: float = 1e-5

    @property
    def gates(self) -> int:
        """Gate channels in front of m = 0 of the product."""
        return self.output.total - self.output.scalars

    def width(self, m: int) -> int:
        """Columns of the product of ``m``."""
        return self.output.count_from(m) + (0 if m else self.gates)

    def chunks(self, like: Tensor) -> Iterator[slice]:
        """Rows to work on at a time."""
        n = len(like)
        # a GPU has the memory and wants few large kernels: one chunk
        total = sum(self.width(m) * (2 if m else 1) for m in range(self.output.lmax + 1))
        rows = max(LEAST_ROWS, CHUNK // max(1, total)) if like.device.type == "cpu" else max(1, n)
        # a short last chunk would cost as many calls as a full one
        rows = max(1, math.ceil(n / max(1, math.ceil(n / rows))))  # chunks of one size
        for start in range(0, max(1, n), rows):  # one empty chunk where there are no pairs
            yield slice(start, min(n, start + rows))


@cache
def l_ranges(inputs: Channels, output: Channels) -> tuple[tuple[int, int], ...]:
    """Ranges of l that a mixing treats at once: few enough for efficient products, and little work on zeros.

    Example:
        >>> wide, narrow = Channels((64, 64, 64), (0, 0, 0)), Channels((8, 8, 8), (0, 0, 0))
        >>> l_ranges(wide, wide), l_ranges(narrow, narrow)
        (((0, 1), (1, 2), (2, 3)), ((0, 3),))
    """
    top = max(inputs.lmax, output.lmax) + 1
    ranges, start = [], 0
    for l in range(1, top):
        if sum(output.counts[start:l]) >= LEAST_MIXED and sum(output.counts[l:]) >= LEAST_MIXED // 2:
            ranges.append((start, l))
            start = l
    return (*ranges, (start, top))


@cache
def nonzero_blocks(inputs: Channels, output: Channels, m: int) -> list[tuple[slice, slice]]:
    """Where a channel mixing is not zero: (rows, columns) of its part for ``m``."""
    result = []
    for edges in l_ranges(inputs, output):
        (a, b), (c, d) = (
            [max(0, channels.first(l) - channels.first(m)) for l in edges] for channels in (inputs, output)
        )
        if b > a or d > c:
            result.append((slice(a, b), slice(c, d)))
    return result
