import platform
import subprocess
import sys

import pytest
import torch

from slembench.nn.kernels import native
from slembench.training.numerics import (
    MAX_FLOAT32_ERROR,
    MAX_SIZES,
    keep_freed_memory,
    matmul_error,
    matmul_precision,
    numerics,
)


def test_settings_hold_inside_and_are_put_back():
    before = torch.get_float32_matmul_precision()
    with numerics("cpu", "high") as word:
        assert word == "high"
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_float32_matmul_precision() == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_settings_are_put_back_after_an_error():
    with pytest.raises(RuntimeError), numerics("cpu"):
        raise RuntimeError
    assert not torch.are_deterministic_algorithms_enabled()


def test_default_precision_keeps_float32():
    assert matmul_error("highest") < MAX_FLOAT32_ERROR
    with numerics("cpu") as word:
        assert matmul_error(word) < MAX_FLOAT32_ERROR


def test_many_sizes_do_without_compiled_products():
    assert matmul_precision("cpu", None, MAX_SIZES) == matmul_precision("cpu")
    assert matmul_precision("cpu", None, MAX_SIZES + 1) == "highest"
    assert matmul_precision("cpu", "high", MAX_SIZES + 1) == "high"
    with numerics("cpu", sizes=MAX_SIZES + 1) as word:
        assert word == torch.get_float32_matmul_precision() == "highest"


def test_models_with_compiled_products_do_without_onednn(monkeypatch):
    with numerics("cpu", uses_native_kernels=True) as word:
        assert word == ("highest" if native.library() is not None else matmul_precision("cpu"))
    assert matmul_precision("cpu", "high", uses_native_kernels=True) == "high"
    monkeypatch.setattr("slembench.training.numerics.library", lambda: None)
    assert matmul_precision("cpu", uses_native_kernels=True) == matmul_precision("cpu")


def test_freed_memory_stays():
    """In a process of its own: what others left in the heap decides which block grows it."""
    if platform.libc_ver()[0] != "glibc":
        assert not keep_freed_memory()
        return
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    faults, pages = map(int, done.stdout.split())
    assert faults < pages / 2


FAULTS = """
import resource, torch
from slembench.training.numerics import keep_freed_memory
assert keep_freed_memory()
block = torch.ones(48 * 2**20 // 4)
for _ in range(4):  # the heap grows
    copies = block.clone()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    copies = block.clone()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, 4 * copies.nbytes // resource.getpagesize())
"""
"""Prints the page faults of four copies of 48 MiB, and the pages that they fill."""
