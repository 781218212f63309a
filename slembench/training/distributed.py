"""Data-parallel training: several processes started by `torchrun`, each with its own part of every batch.

All processes hold the same weights. The structures of a step's batch are divided among them; the sums that the loss is
made of are added up over all processes, and so are the gradients. The loss is therefore normalised by the number of
matrix elements of the whole batch, and the training takes the same steps as in one process, up to rounding. Only the
main process writes files. No structure is repeated to fill up the last batch, so none counts twice.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from slembench.core.errors import ConfigError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a training and the collective operations on them; with one process, all of these do nothing.

    Attributes:
        rank: of this process, from 0.
        size: number of processes.

    Example:
        >>> ProcessGroup().is_main, ProcessGroup(rank=1, size=2).is_main
        (True, False)
        >>> ProcessGroup().sum([1.5, 2.0])
        [1.5, 2.0]
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def all_reduce(self, values: Tensor) -> Tensor:
        """Sum over all processes; backward passes the gradient on to this process's own values.

        Args:
            values: of the same shape in every process.
        """
        if self.size == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        # dist.all_reduce is invisible to autograd. The bracket is zero in value and has the gradient of `values`, so
        # each process differentiates the whole loss with respect to its own sums, and adding up the gradients of the
        # processes (all_reduce_gradients) gives the gradient of the whole batch, each structure once.
        return total + (values - values.detach())

    def all_reduce_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every gradient by its sum over all processes; one that no process has stays None.

        A sum, not the mean of `DistributedDataParallel`: the loss is normalised by the whole batch already.
        """
        if self.size == 1:
            return
        own = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        # Adam skips a parameter without gradient but moves one whose gradient is zero (moments, weight decay), so it
        # has to be known which of them no process has: one more number for each parameter in the same message.
        present = torch.tensor([float(p.grad is not None) for p in parameters], device=own[0].device).to(own[0].dtype)
        flat = torch.cat([*(gradient.reshape(-1) for gradient in own), present])
        dist.all_reduce(flat)
        parts = flat.split([p.numel() for p in parameters] + [len(parameters)])
        for parameter, gradient, count in zip(parameters, parts, parts[-1].tolist()):
            parameter.grad = gradient.view_as(parameter) if count else None

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Sums of float64 numbers over all processes, the same in all of them."""
        device = _message_device() if self.size > 1 else None
        values = self.all_reduce(torch.tensor(numbers, dtype=torch.float64, device=device))
        return [float(value) for value in values.cpu()]

    def all_gather(self, tensor: Tensor) -> list[Tensor]:
        """The CPU tensors of all processes, in the order of their ranks; the shape is the same everywhere."""
        if self.size == 1:
            return [tensor]
        own = tensor.to(_message_device())
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own)
        return [part.cpu() for part in parts]

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the body in the main process, then in the others, which find the files that it wrote.

        Example:
            >>> with SINGLE.main_process_first():
            ...     print("download or preprocess")
            download or preprocess
        """
        if not self.is_main:
            self.barrier()
        try:
            yield
        finally:  # also after an error, or the others would take a later barrier for this one
            if self.is_main:
                self.barrier()


SINGLE = ProcessGroup()
"""One process by itself."""


def current_process_group() -> ProcessGroup:
    """The processes that this one trains with: itself alone before it joined others by `process_group`."""
    if not (dist.is_available() and dist.is_initialized()):
        return SINGLE
    return ProcessGroup(dist.get_rank(), dist.get_world_size())


def local_device(device: str) -> str:
    """Device of this process: where several share a machine with GPUs, the GPU with its local rank."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and current_process_group().size > 1 else device


@contextmanager
def process_group(device: str = "cpu") -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started; does nothing in a process that it did not start.

    Inside, progress messages of the package come from the main process alone; warnings come from all. The processes
    stay joined until they end, so that one run can follow another in them.

    Args:
        device: of the computation; decides the backend (gloo for CPUs, NCCL for GPUs).

    Raises:
        ConfigError: the processes have been joined for another kind of device.

    Example:
        >>> with process_group("cpu") as group:
        ...     group
        ProcessGroup(rank=0, size=1)
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.startswith("cuda"):
            # before NCCL starts: otherwise every process opens a context on GPU 0
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "nccl" if device.startswith("cuda") else "gloo"
        # The others wait for the main process while it builds graphs, predicts and scores, for hours if need be.
        dist.init_process_group(backend, timeout=timedelta(days=1))
        # Once for the life of the process: a second group would find the addresses of the first one in the store of
        # torchrun, and a process that is early would connect to a listener that is about to close.
        atexit.register(_leave)
    group = current_process_group()
    if group.size > 1 and device.startswith("cuda") != (dist.get_backend() == "nccl"):
        raise ConfigError(f"device {device}: the processes of this script are joined for the other kind of device")
    logger = logging.getLogger("slembench")
    level = logger.level
    try:
        if not group.is_main:
            logger.setLevel(max(logging.WARNING, level))
        yield group
    finally:
        logger.setLevel(level)


def _leave() -> None:
    """Leave the process group at the end of the process, unless somebody else did."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _message_device() -> str:
    """Device of the tensors that the processes exchange: NCCL moves those of GPUs only."""
    return f"cuda:{torch.cuda.current_device()}" if dist.get_backend() == "nccl" else "cpu"
