"""Channels of an equivariant feature: how many copies of every (l, parity) it holds, and where they stand.

Polar irreps have parity (-1)^l (0e 1o 2e ...), axial ones -(-1)^l (0o 1e 2o ...). Within every l the polar channels
come first. Two layouts of the same numbers are used:

* node layout: one tensor (N, 2l + 1, C_l) for each l, m = -l..l, channel last;
* frame layout: in the frame of a pair, whose polar axis is the bond, one tensor for each m: (P, M_0) for m = 0
  and (P, 2, M_m) for m > 0, holding the channels of all l >= m, l ascending. Index 0 of the pair axis is even and
  1 odd under reflection in a plane through the bond for polar channels (cos and sin components); axial
  channels are stored multiplied by i of that complex structure (even = minus the sin component, odd = the cos
  component), so that an O(2)-equivariant product is one real matrix for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from e3nn import o3

from slembench.operators.irreps import IrrepClass


@dataclass(frozen=True)
class Channels:
    """Multiplicities per l.

    Example:
        >>> channels = Channels.parse("8x0e+2x0o+4x1o+3x1e")
        >>> channels.polar, channels.axial
        ((8, 4), (2, 3))
        >>> channels.dim  # components: 10 scalars, 7 vectors
        31
        >>> [channels.count_from(m) for m in (0, 1)]  # widths of the frame tensors of m
        [17, 7]

    Attributes:
        polar: number of polar channels of l = 0, 1, ...
        axial: number of axial channels of l = 0, 1, ...; same length.
    """

    polar: tuple[int, ...]
    axial: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.polar) != len(self.axial) or not self.polar:
            raise ValueError("polar and axial multiplicities need one entry for every l")

    @classmethod
    def parse(cls, irreps: str) -> Channels:
        """Channels of an e3nn irreps string such as ``32x0e+32x1o+16x2e``."""
        parsed = o3.Irreps(irreps)
        counts = ([0] * (parsed.lmax + 1), [0] * (parsed.lmax + 1))
        for mul, ir in parsed:
            # several entries of one (l, parity) are one block here: 8x0e+8x0e is 16x0e
            counts[0 if ir.p == (-1) ** ir.l else 1][ir.l] += mul
        return cls(tuple(counts[0]), tuple(counts[1]))

    @classmethod
    def of_classes(cls, classes: Sequence[IrrepClass]) -> Channels:
        """Channels of an operator layout: as many copies of (L, parity) as it has paths."""
        lmax = max(c.l for c in classes)
        counts = ([0] * (lmax + 1), [0] * (lmax + 1))
        for c in classes:
            counts[0 if c.polar else 1][c.l] += c.n_paths
        return cls(tuple(counts[0]), tuple(counts[1]))

    def only(self, wanted: Channels) -> Channels:
        """Without the (l, parity) that ``wanted`` does not have."""
        # the multiplicities stay ours: `wanted` only says which (l, parity) may be used at all
        lmax = min(self.lmax, wanted.lmax)
        polar = tuple(n if w else 0 for n, w in zip(self.polar, wanted.polar[: lmax + 1]))
        axial = tuple(n if w else 0 for n, w in zip(self.axial, wanted.axial[: lmax + 1]))
        return Channels(polar, axial)

    @property
    def lmax(self) -> int:
        """Largest l."""
        return len(self.polar) - 1

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Channels of each l, both parities."""
        return tuple(n + u for n, u in zip(self.polar, self.axial))

    @property
    def scalars(self) -> int:
        """Number of true scalars (0e); they are the first channels."""
        return self.polar[0]

    @property
    def total(self) -> int:
        """Number of channels over all l."""
        return sum(self.counts)

    @property
    def dim(self) -> int:
        """Number of components over all l."""
        return sum((2 * l + 1) * c for l, c in enumerate(self.counts))

    def first(self, l: int) -> int:
        """Number of the first channel of ``l`` among all; channels of l >= m are ``[first(m):]``."""
        return sum(self.counts[:l])

    def count_from(self, m: int) -> int:
        """Number of channels with l >= m: the width of the frame tensor of ``m``."""
        return sum(self.counts[m:])

    @cached_property
    def parity_blocks(self) -> tuple[tuple[int, bool, int, int], ...]:
        """(l, polar, first channel, channels) of every (l, parity) that occurs, in channel order."""
        blocks, start = [], 0
        for l, (n, u) in enumerate(zip(self.polar, self.axial)):
            # polar before axial within one l: the order of feature vectors and weight matrices, so of checkpoints
            for polar, count in ((True, n), (False, u)):
                if count:
                    blocks.append((l, polar, start, count))
                start += count
        return tuple(blocks)

    @cached_property
    def is_polar(self) -> tuple[bool, ...]:
        """For every channel, whether it is polar."""
        return tuple(polar for _, polar, _, count in self.parity_blocks for _ in range(count))


def linear_paths(inputs: Channels, output: Channels) -> list[tuple[int, int, int, int, int]]:
    """Blocks of a linear map: (l, first input channel, input channels, first output channel, output channels).

    One for every (l, parity) that both hold, in the order of the output. By Schur's lemma nothing else commutes with
    rotations and inversion.

    Example:
        >>> linear_paths(Channels.parse("4x0e+2x1o"), Channels.parse("3x0e+5x1e+6x1o"))
        [(0, 0, 4, 0, 3), (1, 4, 2, 3, 6)]
    """
    sources = {(l, polar): (start, count) for l, polar, start, count in inputs.parity_blocks}
    return [
        (l, *sources[l, polar], start, count)
        for l, polar, start, count in output.parity_blocks
        if (l, polar) in sources
    ]
