"""Constant tensors of a module, kept in float64 and handed out in whatever dtype and on whatever device is needed."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Constants:
    """Named constants that no conversion of their module can round: buffers would lose digits on the way to float32.

    Args:
        values: name -> tensor; floating ones in float64.
    """

    def __init__(self, values: Mapping[str, torch.Tensor]) -> None:
        self._values = dict(values)
        self._cast: dict[tuple[str, torch.device, torch.dtype], torch.Tensor] = {}

    def get(self, name: str, like: torch.Tensor) -> torch.Tensor:
        """The constant on the device of ``like``, in its dtype if it is a floating one."""
        key = (name, like.device, like.dtype)
        if key not in self._cast:
            value = self._values[name]
            self._cast[key] = value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)
        return self._cast[key]
