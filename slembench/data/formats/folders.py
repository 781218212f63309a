"""Looking for the structure folders of a path.

Names of species in the input of first-principles codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ase.data import atomic_numbers

from slembench.core.errors import DataError


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


def element_of(label: str) -> int:
    """Atomic number of a species label such as Fe, Fe1, C_up.

    Raises:
        DataError: no chemical symbol begins the label.
    """
    letters = re.match(r"[A-Za-z]*", label)
    word = letters[0].capitalize() if letters else ""
    for symbol in (label, word, word[:2], word[:1]):
        if atomic_numbers.get(symbol, 0) > 0:
            return int(atomic_numbers[symbol])
    raise DataError(f"species {label!r} begins with no chemical symbol")
