"""File formats of other programs: detection, reading, writing.

A format is one module of this package with an entry in `FORMATS`; nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from slembench.core.errors import DataError
from slembench.data.formats import parquet
from slembench.data.formats.abacus import reader as abacus_reader
from slembench.data.formats.deeph import current as deeph_current
from slembench.data.formats.deeph import legacy as deeph_legacy
from slembench.data.formats.deeptb import folder as deeptb_folder
from slembench.data.formats.deeptb import lmdb as deeptb_lmdb
from slembench.data.formats.molecules import phisnet, pyscf, schnorb
from slembench.data.formats.plausibility import check_physical
from slembench.data.formats.qh9 import database as qh9_database
from slembench.data.formats.safe.sqlite import check_whole, sqlite_files
from slembench.data.formats.siesta import reader as siesta_reader
from slembench.data.sample import Sample
from slembench.operators import OPERATORS


@dataclass(frozen=True)
class Format:
    """One on-disk format.

    Attributes:
        name: used on the command line.
        title: one line for people.
        detect: path -> evidence for this format (file names or keys that were found); empty if it is another one.
        read: path -> samples, in canonical order and signs, one after the other; further keywords are its options.
        write: samples, path -> files; None where the format is only read.
        operators: names of the operators that its files can hold.
        notes: path -> lines worth knowing before it is read: how much there is, a unit and what speaks for it.
    """

    name: str
    title: str
    detect: Callable[[Path], list[str]]
    read: Callable[..., Iterator[Sample]]
    write: Callable[[Iterable[Sample], Path], None] | None = None
    notes: Callable[[Path], list[str]] | None = None
    operators: tuple[str, ...] = OPERATORS

    @property
    def options(self) -> list[str]:
        """Names of the keywords that `read` takes beside the path."""
        return list(signature(self.read).parameters)[1:]


FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format(
            "deeph-new",
            "DeepH-pack of 2026 (POSCAR, info.json, hamiltonian.h5 ...; eV, Angstrom)",
            deeph_current.detect,
            deeph_current.read,
            deeph_current.write,
            deeph_current.notes,
        ),
        Format(
            "deeph-legacy",
            "DeepH-pack before 2026, DeepH-E3 (element.dat, lat.dat, hamiltonians.h5 ...; eV, Angstrom)",
            deeph_legacy.detect,
            deeph_legacy.read,
            deeph_legacy.write,
        ),
        Format(
            "abacus",
            "ABACUS (OUT.* with csr text of H(R), S(R), DM(R); STRU; nspin 1)",
            abacus_reader.detect,
            abacus_reader.read,
        ),
        Format(
            "siesta",
            "SIESTA (HSX, DM; XV beside them; no spin; through sisl)",
            siesta_reader.detect,
            siesta_reader.read,
            notes=siesta_reader.notes,
        ),
        Format("pyscf-chk", "PySCF checkpoint of a restricted molecule (Hartree)", pyscf.detect, pyscf.read),
        Format(
            "schnorb",
            "SchNOrb's MD17 (ASE sqlite; Hartree, Angstrom)",
            schnorb.detect,
            schnorb.read,
            notes=schnorb.notes,
        ),
        Format(
            "phisnet",
            "PhiSNet's MD17 and nablaDFT (sqlite; Hartree, Bohr)",
            phisnet.detect,
            phisnet.read,
            notes=phisnet.notes,
        ),
        Format(
            "deeptb",
            "DeePTB folders (positions.dat or *.traj, basis.dat, hamiltonians.h5 ...; eV or Hartree, Angstrom)",
            deeptb_folder.detect,
            deeptb_folder.read,
            deeptb_folder.write,
            deeptb_folder.notes,
        ),
        Format(
            "deeptb-lmdb",
            "DeePTB LMDB (pickles of geometry and blocks; eV or Hartree, Angstrom)",
            deeptb_lmdb.detect,
            deeptb_lmdb.read,
            notes=deeptb_lmdb.notes,
        ),
        Format(
            "qh9",
            "QH9 (sqlite or LMDB of H, C, N, O, F molecules in def2-SVP; Hartree, Angstrom or Bohr)",
            qh9_database.detect,
            qh9_database.read,
            qh9_database.write,
            qh9_database.notes,
            operators=("hamiltonian",),
        ),
        Format(
            "parquet",
            "Parquet files of this project (a data set's folder or data file)",
            parquet.detect,
            parquet.read,
            parquet.write,
        ),
    )
}
"""Name -> format."""


def detect_format(path: str | Path) -> tuple[Format, list[str]]:
    """Format of a path, with the evidence for it.

    Raises:
        DataError: nothing there, no known format, or more than one; a sqlite file that is cut short.

    Example:
        >>> from slembench.core.assets import asset_path
        >>> detect_format(asset_path("datasets", "mos2-mini"))[0].name
        'parquet'
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    # every format is asked, not only until one agrees: two that fit are an ambiguity that the user has to decide
    found = [(item, evidence) for item in FORMATS.values() if (evidence := item.detect(path))]
    if not found:
        for file in sqlite_files(path):
            check_whole(file)
        inside = _inside(path)
        problem = f"{path}: none of the known formats ({', '.join(FORMATS)}) was recognised"
        raise DataError(f"{problem}; deeper in there are: {', '.join(inside)}" if inside else problem)
    if len(found) > 1:
        names = "; ".join(f"{item.name} ({', '.join(evidence)})" for item, evidence in found)
        inside = _inside(path)
        advice = "name the one that is meant" + (f", or give one of: {', '.join(inside)}" if inside else "")
        raise DataError(f"{path}: more than one format is possible: {names}; {advice}")
    return found[0]


def _inside(path: Path, depth: int = 3) -> list[str]:
    """Folders below a path that one format alone fits, each with its name; of nested ones the outermost."""
    found = []
    for folder in sorted(path.glob("*/")):
        names = [item.name for item in FORMATS.values() if item.detect(folder)]
        if len(names) == 1:
            found.append(f"{folder} ({names[0]})")
        elif depth > 1:
            found += _inside(folder, depth - 1)
    return found


def read_samples(path: str | Path, name: str | None = None, **options: Any) -> Iterator[Sample]:
    """Samples of a path, in the canonical convention.

    Args:
        path: file or folder.
        name: a key of `FORMATS`; detected where it is not given.
        options: further keywords of the format's reader; those that are None are left out.

    Raises:
        DataError: unknown format or option, or whatever is wrong with the files; an overlap that is not positive
            definite.

    Example:
        >>> from slembench.core.assets import asset_path
        >>> sample = next(read_samples(asset_path("datasets", "water-qz-mini")))
        >>> sample.atoms.get_chemical_formula(), sample.info.energy_unit, sorted(sample.operators)
        ('H2O', 'Hartree', ['density', 'hamiltonian', 'overlap'])
    """
    chosen = find_format(name) if name is not None else detect_format(path)[0]
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(chosen.options))
    if unknown:
        known = ", ".join(chosen.options) or "none"
        raise DataError(f"format {chosen.name} has no option {unknown[0]!r}; it has: {known}")
    return (check_physical(sample, str(path)) for sample in chosen.read(Path(path), **given))


def write_samples(samples: Iterable[Sample], path: str | Path, name: str) -> None:
    """Write samples in the format called ``name``.

    Raises:
        DataError: unknown format, one that is only read, or a sample that it cannot hold.

    Example:
        >>> from slembench.data import load_dataset
        >>> dataset = load_dataset("mos2-mini")
        >>> write_samples([dataset.sample(dataset.ids[0])], "deeph", "deeph-new")
        >>> [file.name for file in sorted(Path("deeph").glob("*/*.h5"))]
        ['hamiltonian.h5', 'overlap.h5']
    """
    chosen = find_format(name)
    if chosen.write is None:
        raise DataError(f"format {name} can be read, not written")
    chosen.write(samples, Path(path))


def find_format(name: str) -> Format:
    """The format of a name.

    Raises:
        DataError: no such format; names those there are.
    """
    if name not in FORMATS:
        raise DataError(f"unknown format {name!r}; known: {', '.join(FORMATS)}")
    return FORMATS[name]
