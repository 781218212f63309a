"""What a number was measured with: processor, threads, versions."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from slembench import __version__
from slembench.results.record import Hardware

PACKAGES = ("torch", "e3nn", "torch-geometric", "numpy", "scipy")
"""Libraries whose version a result may depend on."""


def versions() -> dict[str, str]:
    """Package -> version, Python and slembench included."""
    return {
        "slembench": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def hardware(device: str, dtype: str) -> Hardware:
    """Processor, threads in use, number type, and the GPU where ``device`` is one."""
    gpu = torch.cuda.get_device_name(device) if device != "cpu" else None
    return Hardware(cpu=cpu_name(), threads=torch.get_num_threads(), dtype=dtype, gpu=gpu)


def cpu_name() -> str:
    """Model name of the processor, or the architecture where the system does not say."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
