"""Parts of read-out heads: the residual perceptron of DeePTB's overlap head, and the flat vector of block irreps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import NodeState
from slembench.operators.irreps import BlockIrreps

Activation = Literal["relu", "gelu", "tanh", "silu"]

ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "tanh": torch.tanh,
    "silu": nn.functional.silu,
}


class ResidualMLP(nn.Module):
    """Residual blocks, then a linear map: y = act(act(W2 act(W1 x + b1) + b2 + fit(x))), out = W y + b.

    Widths are read as dptb 2.2.1 reads its ``neurons`` (`nn/base.py`, `nn/deeptb.py`): from the input on, two by two
    (hidden, output of a block); one that is left over is not used. ``fit`` brings x to the block's width.

    Args:
        sizes: widths from input to output; at least two.
        activation: name in `ACTIVATIONS`.
    """

    def __init__(self, sizes: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        inner = list(sizes[:-1])
        # blocks take two widths each: with an even number of inner ones the last has no partner
        widths = inner if len(inner) % 2 else inner[:-1]
        self.blocks = nn.ModuleList(
            nn.ModuleList([nn.Linear(a, b), nn.Linear(b, c)])
            for a, b, c in zip(widths[:-2:2], widths[1:-1:2], widths[2::2])
        )
        self.output = nn.Linear(widths[-1], sizes[-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(P, sizes[0]) -> (P, sizes[-1])."""
        for block in self.blocks:
            assert isinstance(block, nn.ModuleList)
            first, second = block
            new = second(self.activation(first(x)))
            x = self.activation(self.activation(new + fit_width(x, new.shape[1])))
        return self.output(x)  # type: ignore[no-any-return]


def fit_width(x: torch.Tensor, width: int) -> torch.Tensor:
    """(P, n) -> (P, width): entries repeated (nearest) where ``width`` is larger, averaged in bins where smaller."""
    if width > x.shape[1]:
        # mode nearest, as torch has it by default and dptb uses it
        return nn.functional.interpolate(x.unsqueeze(1), size=[width]).squeeze(1)
    return x if width == x.shape[1] else nn.functional.adaptive_avg_pool1d(x, width)


class IrrepsToFlat(nn.Module):
    """Irreps tensors (rows, 2l + 1, C_l) to the flat feature vector of a `BlockIrreps` layout.

    The vector holds the classes by (L, polar first), each as (2L + 1, n_paths), row-major.

    Args:
        layout: irreps layout.
        channels: `Channels.of_classes` of the layout.
    """

    def __init__(self, layout: BlockIrreps, channels: Channels) -> None:
        super().__init__()
        self.channels = channels
        if [(c.l, c.polar, c.n_paths) for c in layout.classes] != [(l, n, k) for l, n, _, k in channels.parity_blocks]:
            raise ValueError("channels do not follow the classes of the layout")

    def features(self, state: NodeState) -> torch.Tensor:
        """(rows, 2l + 1, C_l) for each l -> (rows, F)."""
        parts = []
        for l, polar, _, count in self.channels.parity_blocks:
            # within one l the axial channels follow the polar ones
            start = 0 if polar else self.channels.polar[l]
            parts.append(state[l][:, :, start : start + count].flatten(1))
        return torch.cat(parts, dim=1)
