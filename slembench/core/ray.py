"""Ray: joining a cluster, and folders on their way between machines that share no file system."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slembench.core.errors import ConfigError
from slembench.core.files import atomic_folder


def import_ray() -> Any:
    """The module ``ray`` with what is used of it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError:
        raise ConfigError("Ray is not installed; `pip install 'slembench[ray]'`, or use --engine local") from None
    return ray


def join(address: str | None = None) -> tuple[Any, bool]:
    """Join a cluster, unless this process has joined one already.

    Args:
        address: ``HOST:PORT`` or ``auto``; by default a cluster that was begun on this machine with ``ray start``, or
            else a new one on this machine.

    Returns:
        The module ``ray``, and whether it was joined here (then ``ray.shutdown()`` is for the caller to do).

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray, False
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Ray: no cluster at {address or 'this machine'} ({error})") from None
    return ray, True


def packed(folder: Path, without: Sequence[str] = ()) -> bytes:
    """Files of a folder and its subfolders as a ZIP archive, without those of some names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in without:
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Make a folder of what `packed` gave; one that is there already is replaced once the new one is complete."""
    with atomic_folder(folder, replace=True) as temporary, zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(temporary)
