"""Settings of torch that decide speed and bits, set for the length of a run and put back afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic

EXACT = 2e-6
"""Largest relative error of a float32 product that still counts as float32."""


def matmul_error(precision: str) -> float:
    """Relative error of a float32 matrix product on this CPU under ``torch.set_float32_matmul_precision(precision)``.

    "medium" sends float32 products to oneDNN, which is fast; on some CPUs (AMX) it also rounds to bfloat16 there.
    """
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    torch.set_float32_matmul_precision(precision)
    try:
        return float((a @ b - exact).norm() / exact.norm())
    finally:
        torch.set_float32_matmul_precision(before)


def matmul_precision(device: str, wanted: str | None = None) -> str:
    """The precision word to use on a device: the wanted one, else medium on a CPU that keeps float32, else highest."""
    if wanted is not None:
        return wanted
    return "medium" if device == "cpu" and matmul_error("medium") < EXACT else "highest"


@contextmanager
def numerics(device: str, precision: str | None = None, deterministic: bool = True) -> Iterator[str]:
    """Apply precision and determinism inside the context; yields the precision word in force.

    Args:
        device: cpu, cuda ...; deterministic algorithms on a GPU need cuBLAS's workspace variable, which is set here
            if it is not.
        precision: see `matmul_precision`.
        deterministic: only algorithms that give the same bits in every run.
    """
    before = (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    if deterministic and device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    word = matmul_precision(device, precision)
    torch.set_float32_matmul_precision(word)
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield word
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]
