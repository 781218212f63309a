"""Settings that decide speed and bits: precision of matrix products, deterministic algorithms, glibc's allocator.

Precision and determinism are set for the length of a training and put back afterwards. The allocator is set for the
rest of the process (`keep_freed_memory`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.utils.deterministic

from slembench.nn.kernels.native import library

MAX_FLOAT32_ERROR = 2e-6
"""Largest relative error of a matrix product that still counts as computed in float32."""

MAX_SIZES = 4
"""Input sizes up to which oneDNN is used: it compiles code for every shape of a product, and keeps 1,024 of them. SLEM,
before it had native kernels, made 200 shapes and 130 MB for each size: training on 24 structures with 17 numbers of
pairs (about 660) took 0.29 s a step and 1.5 GB through oneDNN, 0.11 s and 0.5 GB without."""


def matmul_error(precision: str) -> float:
    """Relative error of a float32 matrix product on this CPU under ``torch.set_float32_matmul_precision(precision)``.

    "medium" sends float32 products to oneDNN, which is fast; on some CPUs (AMX) it also rounds to bfloat16 there.

    Example:
        >>> matmul_error("highest") < MAX_FLOAT32_ERROR
        True
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


def matmul_precision(device: str, wanted: str | None = None, sizes: int = 1, uses_native_kernels: bool = False) -> str:
    """Value for ``torch.set_float32_matmul_precision`` on a device.

    Args:
        device: cpu, cuda ...
        wanted: the value, where the configuration gives one.
        sizes: how many different numbers of atoms and pairs the inputs have.
        uses_native_kernels: of the model; see `slembench.models.contract.OperatorModel`.

    Returns:
        "medium" (oneDNN) on a CPU that keeps float32 then, for inputs of at most `MAX_SIZES` sizes and a model whose
        products are torch's; else "highest".
    """
    if wanted is not None:
        return wanted
    # with native kernels the model's large products do not go through torch at all
    one_dnn = device == "cpu" and sizes <= MAX_SIZES and not (uses_native_kernels and library() is not None)
    return "medium" if one_dnn and matmul_error("medium") < MAX_FLOAT32_ERROR else "highest"


@contextmanager
def numerics(
    device: str,
    precision: str | None = None,
    deterministic: bool = True,
    sizes: int = 1,
    uses_native_kernels: bool = False,
) -> Iterator[str]:
    """Apply precision and determinism inside the context; yields the active matmul precision.

    Args:
        device: cpu, cuda ...; deterministic algorithms on a GPU need cuBLAS's workspace variable, which is set here
            if it is not.
        precision: see `matmul_precision`.
        deterministic: only algorithms that give the same bits in every run.
        sizes: see `matmul_precision`.
        uses_native_kernels: see `matmul_precision`.
    """
    before = (
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    if deterministic and device != "cpu":
        # read once, when cuBLAS starts: it has to be set before the first product on the GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    word = matmul_precision(device, precision, sizes, uses_native_kernels)
    torch.set_float32_matmul_precision(word)
    torch.use_deterministic_algorithms(deterministic)
    # with deterministic algorithms torch fills every empty tensor with NaN, which costs time and changes no result here
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield word
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h
HEAP_THRESHOLD = 2**30
"""Bytes: blocks below this size come from the heap, and the heap keeps as much free memory at its top."""


def keep_freed_memory() -> bool:
    """Raise glibc's mmap and trim thresholds of this process to 1 GiB (mallopt(3)).

    By default glibc returns blocks above 32 MiB to the system as soon as they are freed. Getting the pages again, and
    the kernel clearing them, costs more than many of the operations on such tensors.

    Returns:
        True where it was done, False where the C library is not glibc or refuses.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, HEAP_THRESHOLD)) and bool(libc.mallopt(M_TRIM_THRESHOLD, HEAP_THRESHOLD))
