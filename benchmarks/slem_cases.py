"""What the SLEM and LEM timings run on: structures, bases and sizes, the same for both sides. Standard library only."""

from __future__ import annotations

import ctypes
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

CASES = {
    "Si64": {
        "basis": "1s1p",
        "cutoff": 7.4,
        "irreps": "32x0e+32x1o+16x2e",
        "parity": "32x0e+8x0o+24x1o+8x1e+12x2e+4x2o",
    },
    "Si64-f": {
        "basis": "2s2p1d1f",
        "cutoff": 5.0,
        "irreps": "32x0e+32x1o+16x2e+16x3o+8x4e+8x5o+8x6e",
        "parity": "32x0e+8x0o+24x1o+8x1e+12x2e+4x2o+12x3o+4x3e+6x4e+2x4o+6x5o+2x5e+6x6e+2x6o",
    },
}
"""Si64 is DeePTB's own example; Si64-f has the same atoms, shells up to f and random Hermitian blocks."""

SIZES = {"n_layers": 3, "init_multiplicity": 10, "latent_dim": 64, "latent_hidden": 32, "radial": 32, "n_bessel": 10}
OVERLAP_HIDDEN = 32


def raise_malloc_thresholds() -> None:
    """What `slembench.training.numerics.keep_freed_memory` does, for a process that does not have it."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 2**30)
        libc.mallopt(-1, 2**30)


def resident(key: str) -> int:
    """Bytes of resident memory: ``VmRSS`` now, ``VmHWM`` at most since the process or `timed` began (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(step: Callable[[], None], count: int) -> dict:
    """Run a step two times untimed, then ``count`` times; CPU and wall seconds of each, memory before and at most."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    cpu, wall = [], []
    for number in range(count + 2):
        start = time.process_time(), time.perf_counter()
        step()
        if number > 1:
            cpu.append(time.process_time() - start[0])
            wall.append(time.perf_counter() - start[1])
    peak = resident("VmHWM")
    return {"cpu_s": cpu, "wall_s": wall, "peak_bytes": peak, "step_bytes": peak - before}
