"""The formats of other programs: which one a path holds, reading it, writing it.

A format is one module of this package with a `Format` object in `FORMATS`; nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slembench.data.formats import deeph_legacy, deeph_legacy_write, deeph_new, deeph_new_write
from slembench.data.sample import Sample
from slembench.errors import DataError


@dataclass(frozen=True)
class Format:
    """One on-disk format.

    Attributes:
        name: used on the command line.
        title: one line for people.
        detect: path -> what speaks for this format (file names or keys that were found); empty if it is not this one.
        read: path -> samples, in canonical order and signs, one after the other.
        write: samples, path -> files; None where the format is only read.
    """

    name: str
    title: str
    detect: Callable[[Path], list[str]]
    read: Callable[[Path], Iterator[Sample]]
    write: Callable[[Iterable[Sample], Path], None] | None = None


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format(
            "deeph-new",
            "DeepH-pack of 2026 (POSCAR, info.json, hamiltonian.h5 ...; eV, Angstrom)",
            deeph_new.detect,
            deeph_new.read,
            deeph_new_write.write,
        ),
        Format(
            "deeph-legacy",
            "DeepH-pack before 2026, DeepH-E3 (element.dat, lat.dat, hamiltonians.h5 ...; eV, Angstrom)",
            deeph_legacy.detect,
            deeph_legacy.read,
            deeph_legacy_write.write,
        ),
    )
}
"""Name -> format."""


def detect_format(path: str | Path) -> tuple[Format, list[str]]:
    """The format of a path and what speaks for it.

    Raises:
        DataError: nothing there, no known format, or more than one.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    found = [(item, evidence) for item in FORMATS.values() if (evidence := item.detect(path))]
    if not found:
        raise DataError(f"{path}: none of the known formats ({', '.join(FORMATS)}) was recognised")
    if len(found) > 1:
        names = "; ".join(f"{item.name} ({', '.join(evidence)})" for item, evidence in found)
        raise DataError(f"{path}: more than one format is possible: {names}; name the one that is meant")
    return found[0]


def read_samples(path: str | Path, name: str | None = None) -> Iterator[Sample]:
    """Samples of a path, in the canonical convention.

    Args:
        path: file or folder.
        name: a key of `FORMATS`; detected where it is not given.

    Raises:
        DataError: unknown format, or whatever is wrong with the files.
    """
    chosen = _format(name) if name is not None else detect_format(path)[0]
    return chosen.read(Path(path))


def write_samples(samples: Iterable[Sample], path: str | Path, name: str) -> None:
    """Write samples in the format called ``name``.

    Raises:
        DataError: unknown format, one that is only read, or a sample that it cannot hold.
    """
    chosen = _format(name)
    if chosen.write is None:
        raise DataError(f"format {name} can be read, not written")
    chosen.write(samples, Path(path))


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise DataError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]
