"""Settings of torch that decide speed and bits, set for the length of a run and put back afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from slembench.training.config import TrainConfig

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


def matmul_precision(config: TrainConfig) -> str:
    """The precision word that a run uses: the configured one, else medium on a CPU that keeps float32, else highest."""
    if config.matmul_precision is not None:
        return config.matmul_precision
    return "medium" if config.device == "cpu" and matmul_error("medium") < EXACT else "highest"


@contextmanager
def numerics(config: TrainConfig) -> Iterator[str]:
    """Apply the configuration's precision and determinism; yields the precision word in force.

    Deterministic algorithms on a GPU need cuBLAS's workspace variable, which is set here if it is not.
    """
    before = (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    if config.deterministic and config.device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    precision = matmul_precision(config)
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(config.deterministic)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield precision
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.use_deterministic_algorithms(before[1])
        deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]
