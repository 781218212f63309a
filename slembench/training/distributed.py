"""Training in several processes on one or many machines, each with its own part of every batch (data parallel).

`torchrun` begins the processes, which all hold the same weights. A step's batch is divided among them, the sums that
the loss is made of are added up over all of them, and so are the gradients: the loss is normalised by the number of
elements of the whole batch, and a training takes the same steps as in one process, up to rounding. Only the first
process writes files. Nothing is padded, so no structure counts twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Attributes:
        rank: number of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sum over all processes; the gradient is that of this process's own part.

        Args:
            values: of the same shape in every process.
        """
        if self.size == 1:
            return values
        whole = values.detach().clone()
        dist.all_reduce(whole)
        return whole + (values - values.detach())

    def add_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over all processes; one that no process has stays None."""
        if self.size == 1:
            return
        own = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        there = torch.tensor([float(p.grad is not None) for p in parameters], device=own[0].device, dtype=own[0].dtype)
        flat = torch.cat([*(gradient.reshape(-1) for gradient in own), there])
        dist.all_reduce(flat)
        parts = flat.split([p.numel() for p in parameters] + [len(parameters)])
        for parameter, gradient, count in zip(parameters, parts, parts[-1].tolist()):
            parameter.grad = gradient.view_as(parameter) if count else None

    def of_first(self, numbers: Sequence[float]) -> list[float]:
        """Numbers of the first process, the same in all."""
        if self.size == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64, device=_device())
        dist.broadcast(values, 0)
        return [float(value) for value in values.cpu()]

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Sums of numbers over all processes."""
        values = self.total(torch.tensor(numbers, dtype=torch.float64, device=_device() if self.size > 1 else None))
        return [float(value) for value in values.cpu()]

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """A tensor on the CPU, of the same shape everywhere, of every process in order."""
        if self.size == 1:
            return [tensor]
        own = tensor.to(_device())
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own)
        return [part.cpu() for part in parts]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def first_then_others(self) -> Iterator[None]:
        """The body in the first process, then in the others, which find what it wrote."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


ALONE = World()
"""One process that trains by itself."""


def current_world() -> World:
    """The processes that this one belongs to; itself alone outside of `together`."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return World(dist.get_rank(), dist.get_world_size())


def local_device(device: str) -> str:
    """Device of this process: of several on a machine with GPUs each takes the one of its number."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and current_world().size > 1 else device


@contextmanager
def together(device: str = "cpu") -> Iterator[World]:
    """Join the processes that `torchrun` began; does nothing in a process that it did not begin.

    Args:
        device: that will be computed on; decides how the processes talk (gloo on CPUs, NCCL on GPUs).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield current_world()
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield current_world()
    finally:
        dist.destroy_process_group()


def _device() -> str:
    """Where tensors must lie that the processes exchange."""
    return f"cuda:{torch.cuda.current_device()}" if dist.get_backend() == "nccl" else "cpu"
