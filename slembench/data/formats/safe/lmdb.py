"""Reading LMDB files, memory-mapped, every offset checked before it is followed.

The C library trusts what it maps: a file that was cut short ends the process. Reading needs little of it, so this
module walks the tree itself. Layout (LMDB 0.9, 64 bit): pages of one size; two meta pages, of which the newer one
counts; a tree of branch and leaf pages whose nodes are reached through an array of 16-bit offsets; values that do not
fit a page lie in a run of overflow pages. No lock file is made and nothing is ever written.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.operators.orbitals import IntArray

FILE = "data.mdb"
"""Name of the file in a folder of LMDB."""

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER, _META = 16, 152  # bytes of a page's header, of a meta page
_BRANCH, _LEAF, _OVERFLOW, _META_PAGE = 0x01, 0x02, 0x04, 0x08
_BIG, _KINDS = 0x01, 0x06  # node flags: value in overflow pages; named databases and duplicate keys
_NO_PAGE = (1 << 64) - 1


def lmdb_files(path: Path) -> list[Path]:
    """LMDB files at a path: itself, or data.mdb in it or up to three levels below, all of the highest level."""
    if path.is_file():
        return [path] if _has_magic(path) else []
    for pattern in (FILE, f"*/{FILE}", f"*/*/{FILE}", f"*/*/*/{FILE}"):
        found = [file for file in sorted(path.glob(pattern)) if _has_magic(file)]
        if found:
            return found
    return []


class LmdbFile:
    """Keys and values of an LMDB file without named databases, in the order of the keys.

    What asks for all keys walks the tree once (a second for 50,000 of them) and keeps keys and places; a value is then
    one copy from the memory map.

    Attributes:
        path: the file.

    Args:
        path: the file.

    Raises:
        DataError: no LMDB file, one that is cut short or damaged, or one with named databases.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not readable as LMDB: {error}") from error
        self._meta = self._newest_meta()

    def __len__(self) -> int:
        return self._meta.entries

    @cached_property
    def keys(self) -> list[bytes]:
        """All keys, ascending."""
        keys = [key for key, *_ in self._walk()]
        if len(keys) != len(self):
            raise self._error(f"holds {len(keys)} keys, its head says {len(self)}")
        if any(a >= b for a, b in zip(keys, keys[1:])):
            raise self._error("keys are out of order")
        return keys

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """(n, 3) | offset of each value, its size, and 1 where it lies in overflow pages."""
        return np.array([place for _, *place in self._walk()], dtype=np.int64).reshape(-1, 3)

    def value(self, number: int) -> bytes:
        """Value of ``keys[number]``.

        Raises:
            DataError: overflow pages that are not where the tree says.
        """
        offset, size, big = self._places[number].tolist()
        return self._value(offset, size, bool(big))

    def first(self) -> bytes | None:
        """Value of the first key, without a walk through the whole tree; None in an empty file."""
        return next((self._value(start, size, big) for _, start, size, big in self._walk()), None)

    def _value(self, start: int, size: int, big: bool) -> bytes:
        if big:
            page, _, flags, count = struct.unpack_from("<QHHI", self._map, start - _HEADER)
            room = count * self._meta.page_size - _HEADER
            if page * self._meta.page_size != start - _HEADER or flags != _OVERFLOW or room < size:
                raise self._error(f"page {page} does not hold the value that it should")
        return self._map[start : start + size]

    def _error(self, problem: str) -> DataError:
        return DataError(f"{self.path}: not readable as LMDB (cut short or damaged): {problem}")

    def _newest_meta(self) -> _Meta:
        found = [meta for meta in (self._meta_at(0), self._meta_at(self._first_page_size())) if meta is not None]
        if not found:
            raise self._error("no valid head")
        return max(found, key=lambda meta: meta.transaction)  # LMDB writes them in turn, so that one is always whole

    def _first_page_size(self) -> int:
        """Page size that the first meta page states; what is common where that page is damaged."""
        first = self._meta_at(0)
        return first.page_size if first is not None else mmap.PAGESIZE

    def _meta_at(self, offset: int) -> _Meta | None:
        if len(self._map) < offset + _META:
            return None
        flags = struct.unpack_from("<H", self._map, offset + 10)[0]
        magic, version = struct.unpack_from("<II", self._map, offset + 16)
        page_size = struct.unpack_from("<I", self._map, offset + 40)[0]
        depth = struct.unpack_from("<H", self._map, offset + 94)[0]
        entries, root, _, transaction = struct.unpack_from("<QQQQ", self._map, offset + 120)
        sane = 512 <= page_size <= 1 << 16 and not page_size & (page_size - 1) and depth <= 32
        if not flags & _META_PAGE or (magic, version) != (_MAGIC, _VERSION) or not sane:
            return None
        return _Meta(page_size, depth, entries, root, transaction)

    def _walk(self) -> Iterator[tuple[bytes, int, int, bool]]:
        """Key, offset and size of the value, and whether it has overflow pages, of every leaf node in key order."""
        pending = [(self._meta.root, 1)] if self._meta.root != _NO_PAGE else []
        seen: set[int] = set()
        while pending:
            page, level = pending.pop()
            # a damaged pointer may lead back up: without this the walk would never end
            if page in seen or level > self._meta.depth:
                raise self._error("the tree has a loop")
            seen.add(page)
            flags, nodes = self._nodes(page)
            if flags == _BRANCH:
                pending += [(self._child(node), level + 1) for node in reversed(nodes)]
            else:
                for node in nodes:
                    yield self._leaf(node, (page + 1) * self._meta.page_size)

    def _nodes(self, page: int) -> tuple[int, list[int]]:
        """Kind of a tree page and the offsets of its nodes in the file."""
        start = page * self._meta.page_size
        if start + self._meta.page_size > len(self._map):
            raise self._error(f"page {page} lies beyond its end")
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", self._map, start)
        if number != page or flags not in (_BRANCH, _LEAF) or not _HEADER <= lower <= upper <= self._meta.page_size:
            raise self._error(f"page {page} is no page of the tree")
        offsets = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", self._map, start + _HEADER)
        if offsets and (min(offsets) < upper or max(offsets) + 8 > self._meta.page_size):
            raise self._error(f"page {page} has a node outside of it")
        return flags, [start + offset for offset in offsets]

    def _child(self, node: int) -> int:
        # a branch node holds a 48-bit page number where a leaf has the size of its value and flags
        low, middle, high = struct.unpack_from("<HHH", self._map, node)
        return int(low | middle << 16 | high << 32)

    def _leaf(self, node: int, end: int) -> tuple[bytes, int, int, bool]:
        low, high, flags, key_size = struct.unpack_from("<HHHH", self._map, node)
        size, start = low | high << 16, node + 8 + key_size
        big = bool(flags & _BIG)
        if flags & _KINDS:
            raise DataError(f"{self.path}: holds named databases or duplicate keys, which no known format has")
        # a big value leaves eight bytes in the page: the number of its first overflow page
        if start + (8 if big else size) > end:
            raise self._error("a node reaches beyond its page")
        key = self._map[node + 8 : start]
        if big:
            start = struct.unpack_from("<Q", self._map, start)[0] * self._meta.page_size + _HEADER
            if start + size > len(self._map):
                raise self._error(f"the value of key {key!r} reaches beyond its end")
        return key, start, size, big


@dataclass(frozen=True)
class _Meta:
    """Contents of a meta page: page size, depth, number of entries, root page, transaction."""

    page_size: int
    depth: int
    entries: int
    root: int
    transaction: int


def numbered(file: LmdbFile) -> IntArray:
    """(n,) int64 | positions in ``file.keys`` of the records 0, 1, 2 ..., in the order of their numbers.

    A key is the number itself, four bytes with the highest first or decimal text; the key ``length`` is no record.

    Raises:
        DataError: a key that is no number.
    """
    keys = {place: key for place, key in enumerate(file.keys) if key != b"length"}
    text = any(len(key) != 4 for key in keys.values())
    if text and not all(key.isdigit() for key in keys.values()):
        odd = next(key for key in keys.values() if not key.isdigit())
        raise DataError(f"{file.path}: key {odd[:40]!r} is no number of a record")
    order = sorted(keys, key=lambda place: int(keys[place]) if text else int.from_bytes(keys[place], "big"))
    return np.array(order, dtype=np.int64)


def _has_magic(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            head = stream.read(_META)
    except OSError:
        return False
    return len(head) == _META and struct.unpack_from("<I", head, 16)[0] == _MAGIC
