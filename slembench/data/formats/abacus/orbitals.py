"""Shells of the species of an ABACUS run: from the orbital files, the log, or the names of the orbital files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from slembench.core.errors import DataError
from slembench.data.formats.abacus.stru import Stru
from slembench.operators.orbitals import SHELL_LETTERS

_HEADER = re.compile(r"Number of ([SPDFGHI])orbital\s*-->\s*(\d+)")
_NAME = re.compile(r"((?:\d+[spdfghi])+)\.orb$", re.IGNORECASE)


def species_shells(folder: Path, structure: Stru) -> dict[str, tuple[int, ...]]:
    """Angular momentum of every shell of each species, ascending (as ABACUS orders them).

    Args:
        folder: the output folder.
        structure: names the species and their orbital files.

    Returns:
        Species label -> shells.

    Raises:
        DataError: neither the orbital file nor the log nor the orbital file's name tells them; names the species.
    """
    from_log = _log_shells(run_log(folder))
    shells = {}
    for label, count in zip(structure.species, structure.counts):
        if not count:
            continue
        name = structure.orbital_files.get(label, "")
        found = _file_shells(folder, name) or from_log.get(label) or _name_shells(name)
        if not found:
            raise DataError(
                f"{folder}: the shells of species {label!r} are not known: its orbital file"
                f" ({name or 'not named in STRU'}) and a running_*.log are missing, and the name does not say them;"
                " put one of them beside the matrices"
            )
        shells[label] = found
    return shells


def run_log(folder: Path) -> str:
    """Text of running_scf.log, or of another running_*.log of the folder; empty if there is none."""
    files = sorted(folder.glob("running_*.log"), key=lambda file: file.name != "running_scf.log")
    return files[0].read_text(encoding="utf-8", errors="replace") if files else ""


def _file_shells(folder: Path, name: str) -> tuple[int, ...]:
    """From the header of the orbital file, if it is in the run's folder, under the name STRU gives or the bare one."""
    for place in (folder.parent, folder):
        for file in (place / name, place / Path(name).name):
            if name and file.is_file():
                text = file.read_text(encoding="utf-8", errors="replace")[:5000]  # the header; megabytes may follow
                return _expand((letter, int(count)) for letter, count in _HEADER.findall(text))
    return ()


def _log_shells(log: str) -> dict[str, tuple[int, ...]]:
    """From lines "atom label = Mo" and "L=0, number of zeta = 4" of the log."""
    shells: dict[str, tuple[int, ...]] = {}
    label = ""
    for name, l, count in re.findall(r"atom label\s*=\s*(\S+)|L=(\d+), number of zeta\s*=\s*(\d+)", log):
        if name:
            label = name
            shells[label] = ()
        elif int(l) < len(SHELL_LETTERS) and int(count) < 100:
            shells[label] = (*shells.get(label, ()), *[int(l)] * int(count))
    return shells


def _name_shells(name: str) -> tuple[int, ...]:
    """From a name such as Mo_gga_8au_100Ry_4s2p2d1f.orb."""
    match = _NAME.search(name)
    return _expand((letter, int(count)) for count, letter in re.findall(r"(\d+)(\D)", match[1])) if match else ()


def _expand(counts: Iterable[tuple[str, int]]) -> tuple[int, ...]:
    """Shells of pairs such as ("S", 4)."""
    return tuple(sorted(SHELL_LETTERS.index(letter.lower()) for letter, count in counts for _ in range(min(count, 99))))
