"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Ema:
    """Average of a model's parameters over the steps, with a decay that starts small.

    The decay at step n is ``min(decay, (1 + n) / (10 + n))`` (as in TensorFlow's ExponentialMovingAverage), so that
    the random initial weights are soon forgotten. Buffers are not averaged.

    Example:
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(model.weight, 0.0)
        >>> ema = Ema(model, decay=0.99)
        >>> _ = torch.nn.init.constant_(model.weight, 1.0)
        >>> ema.update(step=1)  # decay 2 / 11
        >>> with ema.applied():
        ...     print(round(model.weight.item(), 4))
        0.8182
        >>> model.weight.item()
        1.0
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        """Start from the present weights of ``model``; ``decay`` lies between 0 and 1."""
        self.decay = decay
        self.model = model
        self.average = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Mix in the model's weights after optimiser step number ``step`` (counted from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [p.detach() for p in self.model.parameters()]
        # average <- decay * average + (1 - decay) * weight, for all parameters in one call
        torch._foreach_lerp_(list(self.average.values()), weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the context the model carries the average; afterwards its own weights again."""
        own = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self._write(self.average)
        try:
            yield
        finally:
            self._write(own)

    def restore(self, average: Mapping[str, Tensor]) -> None:
        """Continue from a saved average, parameter name -> tensor."""
        for name, tensor in self.average.items():
            tensor.copy_(average[name])

    @torch.no_grad()
    def _write(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])  # in place: the optimiser keeps references to these tensors
