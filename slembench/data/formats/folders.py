"""Looking for the structure folders of a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path


def folders_with(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """Folders that hold all the files called ``names`` (glob patterns), at ``path`` or up to two levels below it.

    Yields:
        Folders in natural order of names ("2" before "10"), level by level; none where ``path`` is a file.
    """
    for level in ([path], path.glob("*"), path.glob("*/*")):
        for folder in sorted(level, key=_natural):
            if folder.is_dir() and all(any(file.is_file() for file in folder.glob(name)) for name in names):
                yield folder


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in path.parts)
