"""Node-layout features with a layout's channels, packed into the flat feature vector of that layout."""

from __future__ import annotations

import torch
from torch import nn

from slembench.layout import OperatorLayout
from slembench.nn.channels import Channels
from slembench.nn.frames import NodeState


class Packing(nn.Module):
    """Order of the flat vector: classes by (L, natural first), each (2L + 1, n_paths).

    Args:
        layout: irreps layout.
        channels: `Channels.of_classes` of the layout.
    """

    def __init__(self, layout: OperatorLayout, channels: Channels) -> None:
        super().__init__()
        self.channels = channels
        if [(c.l, c.natural, c.n_paths) for c in layout.classes] != [
            (l, n, k) for l, n, _, k in channels.parity_blocks
        ]:
            raise ValueError("channels do not follow the classes of the layout")

    def features(self, state: NodeState) -> torch.Tensor:
        """(rows, 2l + 1, C_l) for each l -> (rows, F)."""
        parts = []
        for l, natural, _, count in self.channels.parity_blocks:
            start = 0 if natural else self.channels.natural[l]
            parts.append(state[l][:, :, start : start + count].flatten(1))
        return torch.cat(parts, dim=1)
