"""Structure folders of a path, new folders and number tables of written structures, elements of species labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ase.data import atomic_numbers

from slembench.core.errors import DataError
from slembench.core.files import atomic_folder


def folders_with(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """Folders that hold all the files called ``names`` (glob patterns), at ``path`` or up to two levels below it.

    Yields:
        Folders in natural order of names ("2" before "10"), level by level; none where ``path`` is a file.
    """
    for level in ([path], path.glob("*"), path.glob("*/*")):
        for folder in sorted(level, key=_natural):
            if folder.is_dir() and all(any(file.is_file() for file in folder.glob(name)) for name in names):
                yield folder


@contextmanager
def new_folder(path: Path, identifier: str, prefix: str = "") -> Iterator[Path]:
    """Folder ``path``/<prefix><identifier> of one structure; it appears whole at the end of the block, or not at all.

    Args:
        path: where the folders of all structures lie.
        identifier: the structure's id.
        prefix: of the folder's name.

    Raises:
        DataError: a folder that exists already, or an id that cannot be a folder's name.
    """
    # an id such as "../x" would write beside the folder that was asked for
    if Path(identifier).name != identifier:
        raise DataError(f"{path}: structure {identifier!r}: key 'id': cannot be the name of a folder")
    try:
        with atomic_folder(path / f"{prefix}{identifier}") as folder:
            yield folder
    except FileExistsError as error:
        raise DataError(f"{path}: structure {identifier!r}: {error}") from error


def number_table(rows: Iterable[Iterable[float]]) -> str:
    """Text of a table of Python numbers, one row a line, with every digit (`repr` reads back to the same float).

    Example:
        >>> print(number_table([[0.1, 2.0], [1e-17, 3.0]]), end="")
        0.1 2.0
        1e-17 3.0
    """
    return "".join(" ".join(map(repr, row)) + "\n" for row in rows)


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in path.parts)


def element_of(label: str) -> int:
    """Atomic number of a species label such as Fe, Fe1, C_up.

    Raises:
        DataError: no chemical symbol begins the label.

    Example:
        >>> element_of("Fe1"), element_of("C_up"), element_of("MO")
        (26, 6, 42)
    """
    letters = re.match(r"[A-Za-z]*", label)
    word = letters[0].capitalize() if letters else ""
    # the longest symbol first: "Co1" is cobalt, not carbon
    for symbol in (label, word, word[:2], word[:1]):
        if atomic_numbers.get(symbol, 0) > 0:
            return int(atomic_numbers[symbol])
    raise DataError(f"species {label!r} begins with no chemical symbol")
