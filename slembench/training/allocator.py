"""Keep freed memory in the process: glibc gives tensors over 32 MiB back to the system after every operation.

Handing the pages back and clearing them again costs more than many of the operations themselves. On other C
libraries this does nothing.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LIMIT = 2**30
"""Bytes: blocks below this size come from the heap, and the heap keeps as much free memory at its top."""


def keep_freed_memory() -> bool:
    """Raise glibc's mmap and trim thresholds of this process to 1 GiB (mallopt(3)).

    Returns:
        True where it was done, False where the C library is not glibc or refuses.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LIMIT)) and bool(libc.mallopt(M_TRIM_THRESHOLD, LIMIT))
