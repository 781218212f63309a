"""Variable-length text in HDF5 files: global heaps, checked before the library reads them.

The HDF5 library steps from object to object by the sizes that a heap states and does not end where one of them is
damaged. Layout ("global heap" of the format's specification): the mark GCOL, a version byte 1, three zero bytes, the
size of the collection; then objects of index (2 bytes), references (2), nothing (4), size (8) and the data padded to 8
bytes; index 0 is the free space at the end.
"""

from __future__ import annotations

import struct
from pathlib import Path

from slembench.core.errors import DataError

_MARK = b"GCOL"


def check_heaps(file: Path) -> None:
    """Refuse a file with a damaged heap.

    Raises:
        DataError: not readable, or an object of a heap that does not fit into it; names the file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: not readable: {error}") from error
    start = content.find(_MARK)
    while start >= 0:
        # heaps are aligned to 8 bytes; elsewhere the four letters are data
        if start % 8 == 0 and not _sound(content, start):
            raise DataError(f"{file}: not readable as HDF5 (cut short or damaged): a heap of texts at byte {start}")
        start = content.find(_MARK, start + 4)


def _sound(content: bytes, start: int) -> bool:
    """Whether the objects of the heap at ``start`` fill it."""
    if start + 16 > len(content):
        return False
    version, size = struct.unpack_from("<B3xQ", content, start + 4)
    if version != 1 or size < 16 or start + size > len(content):
        return False
    place, end, seen = start + 16, start + size, set()
    while place + 16 <= end:
        index, _, length = struct.unpack_from("<HH4xQ", content, place)
        if index == 0:
            return bool(length == end - place)
        # a length that is wrong leads beyond the end, or to an index that was there already
        place += 16 + (length + 7) // 8 * 8
        if index in seen or place > end:
            return False
        seen.add(index)
    return True
