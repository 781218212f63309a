"""The C functions of the folder `c`, compiled when they are first wanted, where the machine has a C compiler.

The shared library is kept in the user's cache folder under a name that holds its source, the compiler and the CPU, so
that it is compiled once. Without a compiler, on a CPU whose vectors its products do not know, on a Mac, whose own
products use more than vectors, and with SLEMBENCH_NATIVE=0 in the environment, callers use torch alone.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from platformdirs import user_cache_path

from slembench.core.files import atomic_file
from slembench.nn.channels import Channels

SOURCES = Path(__file__).parent / "c"
OPTIONS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
"""Keep the order of sums as written, so that the same machine gives the same bits."""


class Shape(ctypes.Structure):
    """Rows to work on, threads, and channels of a feature, as `c/rows.h` has them."""

    _fields_ = (
        ("rows", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("top", ctypes.c_int64),
        ("scalars", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("first", ctypes.POINTER(ctypes.c_int64)),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None where there is no C compiler or it fails, and where SLEMBENCH_NATIVE is 0."""
    if os.environ.get("SLEMBENCH_NATIVE", "1") == "0" or platform.system() == "Darwin":
        return None
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    try:
        return ctypes.CDLL(str(_compiled(compiler, user_cache_path("slembench") / "native")))
    except (OSError, subprocess.SubprocessError) as error:
        logging.getLogger(__name__).info("all steps run in torch: %s", error)
        return None


def _compiled(compiler: str, folder: Path) -> Path:
    """Path of the shared library, compiled now if it is not there yet."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    files = sorted(SOURCES.glob("*.[ch]"))
    # the name says all that the code depends on: a cache folder may be shared by machines with other CPUs
    text = b"".join(file.read_bytes() for file in files) + version + repr((OPTIONS, _cpu())).encode()
    path = folder / f"slembench-{hashlib.sha256(text).hexdigest()[:16]}.so"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # two processes may compile at once; the last one's file replaces the other's, which is the same
        with atomic_file(path) as temporary:
            # without OpenMP's library it still compiles, for one thread
            for threads in ("-fopenmp", "-fopenmp-simd"):
                sources = [str(file) for file in files if file.suffix == ".c"]
                command = [compiler, *OPTIONS, threads, *sources, "-o", str(temporary), "-lm"]
                done = subprocess.run(command, capture_output=True, check=False, timeout=300)
                if done.returncode == 0:
                    break
            done.check_returncode()
    return path


def _cpu() -> str:
    """What "native" means on this machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    flags = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return f"{platform.machine()} {platform.processor()} {sorted(set(flags))}"


def usable(tensor: torch.Tensor) -> bool:
    """Whether the compiled functions can work on a tensor: float32 on a CPU, and there are such functions."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and library() is not None


def compiled(function: str) -> ctypes._NamedFuncPointer:
    """A compiled function by name; only where there are such functions."""
    loaded = library()
    assert loaded is not None
    found: ctypes._NamedFuncPointer = getattr(loaded, function)
    return found


def call(function: str, channels: Channels | None, top: int, *arguments: object) -> None:
    """Run a function that works on the rows of a feature.

    Args:
        function: its name.
        channels: of the feature; None where a row has no channels.
        top: largest m that the tensors have.
        arguments: in its order after the shape; tensors (contiguous float32), lists of them, integers, floats, None.
    """
    rows = None
    words: list[object] = []
    for argument in arguments:
        if isinstance(argument, torch.Tensor):
            words.append(ctypes.c_void_p(argument.data_ptr()))
        elif isinstance(argument, Sequence):
            rows = len(argument[0])
            words.append((ctypes.c_void_p * len(argument))(*[tensor.data_ptr() for tensor in argument]))
        elif isinstance(argument, int):
            words.append(ctypes.c_int64(argument))
        else:
            words.append(ctypes.c_float(argument) if isinstance(argument, float) else argument)
    counts = (0, 0, None) if channels is None else (channels.scalars, channels.total, _firsts(channels))
    shape = Shape(rows, torch.get_num_threads(), top, *counts)
    compiled(function)(ctypes.byref(shape), *words)


@cache
def _firsts(channels: Channels) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * (channels.lmax + 1))(*[channels.first(m) for m in range(channels.lmax + 1)])
