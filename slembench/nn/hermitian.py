"""Hermitian read-out of models that predict a block of (i, j) and of (j, i) independently.

Shell pairs a <= b of a pair are the mean of what is said of (i, j) and of the transpose of what is said of (j, i).
"""

from __future__ import annotations

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, FrameState
from slembench.nn.functional import Constants
from slembench.nn.heads import IrrepsToFlat
from slembench.nn.layers import ChannelMixing
from slembench.operators.irreps import BlockIrreps


class Hermitised(nn.Module):
    """(i, j) and (j, i) into one.

    Args:
        layout: irreps layout of the operator.
        factor: on the sum of both.
    """

    def __init__(self, layout: BlockIrreps, factor: float) -> None:
        super().__init__()
        self.constants = Constants({"sign": torch.from_numpy(layout.transpose_sign * factor)})
        self.factor = factor

    def forward(self, forward: torch.Tensor, transposed: torch.Tensor, reverse: torch.Tensor) -> torch.Tensor:
        """Features of shells (a, b) of each row (R, F) with those of shells (b, a) of its reverse row."""
        # H_ji(-R) = H_ij(R)^T; coupled to L, exchanging the shells is a sign (-1)^(l1 + l2 - L)
        sign = self.constants.get("sign", forward)
        return torch.addcmul(forward * self.factor, transposed.index_select(0, reverse), sign)


class HermitianHead(nn.Module):
    """Linear read-out of pair states in both directions.

    Args:
        inputs: channels of the pair state.
        layout: irreps layout of the operator.
    """

    def __init__(self, inputs: Channels, layout: BlockIrreps) -> None:
        super().__init__()
        self.inputs = inputs
        self.out, rest = Channels.of_classes(layout.classes), _unequal_shells(layout)
        self.upper = ChannelMixing(inputs, self.out)
        self.lower = ChannelMixing(inputs, rest) if rest.total else None
        self.packing, self.hermitised = IrrepsToFlat(layout, self.out), Hermitised(layout, 0.5)
        # columns of the transposed map: those of `lower` for a < b, those of `upper` for a = b
        own, taken, order = self.out.total, 0, []
        for number, (a, b) in enumerate(pair for c in layout.classes for pair in c.shell_pairs.tolist()):
            order.append(number if a == b else own + taken)
            taken += a != b
        self.constants = Constants({"order": torch.tensor(order)})

    def forward(self, state: FrameState, frames: Frames, reverse: torch.Tensor) -> torch.Tensor:
        """Features (R, F), unit scale, of pair states in their frames; ``reverse`` (R,) is each row's reverse."""
        upper = self.packing.features(frames.rotate_out(self.upper.on_frames(state), self.out))
        # for a = b the block of (b, a) is the same quantity, so it has the same weights
        matrix, bias = self.upper.matrix(), self._scalars(self.upper)
        if self.lower is not None:
            order = self.constants.get("order", matrix)
            matrix = torch.cat([matrix, self.lower.matrix()], dim=1).index_select(1, order)
            bias = torch.cat([bias, self._scalars(self.lower)]).index_select(0, order)
        lower = [torch.addmm(bias, state[0], matrix)]
        for m in range(1, self.out.lmax + 1):
            lower.append(state[m] @ matrix[self.inputs.first(m) :, self.out.first(m) :])
        transposed = self.packing.features(frames.rotate_out(lower, self.out))
        result: torch.Tensor = self.hermitised(upper, transposed, reverse)
        return result

    @staticmethod
    def _scalars(mixing: ChannelMixing) -> torch.Tensor:
        assert mixing.bias is not None
        return nn.functional.pad(mixing.bias, (0, mixing.output.total - mixing.output.scalars))


def both_orders(layout: BlockIrreps) -> Channels:
    """Channels of all ordered shell pairs, (a, b) and (b, a) counting apart."""
    every, rest = Channels.of_classes(layout.classes), _unequal_shells(layout)
    polar = tuple(a + b for a, b in zip(every.polar, rest.polar))
    return Channels(polar, tuple(a + b for a, b in zip(every.axial, rest.axial)))


def _unequal_shells(layout: BlockIrreps) -> Channels:
    """Channels of the paths with two different shells; they stand in the same order as among all."""
    counts: tuple[list[int], list[int]] = ([], [])
    for l in range(max(c.l for c in layout.classes) + 1):
        for part, polar in zip(counts, (True, False)):
            of_class = [c for c in layout.classes if c.l == l and c.polar == polar]
            part.append(sum(int((c.shell_pairs[:, 0] != c.shell_pairs[:, 1]).sum()) for c in of_class))
    return Channels(tuple(counts[0]), tuple(counts[1]))
