"""``slembench data inspect`` and ``slembench data convert``: files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from slembench.data.inspection import Inspection

INSPECT_HELP = """Show what a file or folder of another program holds, and how its format and units were told.

For the first structures: elements, shells, pairs, reach, Hermiticity error, smallest eigenvalue of S, electrons Tr(DS).

    slembench data inspect path/to/QH9Stable.db

    slembench data inspect path/to/QH9Stable.db --overlap --limit 3
"""

CONVERT_HELP = """Convert files of another program; one structure is in memory at a time.

--to takes a format, or the name of a data set: then a Parquet file is written in the units, shells and operators of
its card. Formats that are written: deeph-new, deeph-legacy, deeptb, qh9, parquet.

    slembench data convert path/to/deeph --to deeptb --out path/to/deeptb

    slembench data convert path/to/QH9Stable.lmdb --to parquet --overlap --out molecules.parquet
"""

Place = Annotated[Path, typer.Argument(help="File or folder of a known format.", exists=True)]
From = Annotated[str | None, typer.Option("--from", help="Format, where more than one is possible.")]
Unit = Annotated[str | None, typer.Option(help="Energy unit (eV or Hartree), where a format does not record it.")]
LengthUnit = Annotated[str | None, typer.Option(help="Length unit (Angstrom or Bohr) of a QH9 file that is unusual.")]
BasisOption = Annotated[
    str | None, typer.Option("--basis", help="Shells such as C=3s2p1d,H=2s1p, where a format does not record them.")
]
Overlap = Annotated[bool, typer.Option("--overlap", help="Compute the overlap that QH9 files lack (needs PySCF).")]


def register(area: typer.Typer) -> None:
    """Add the commands to ``slembench data``."""
    area.command("inspect", help=INSPECT_HELP)(inspect_command)
    area.command("convert", help=CONVERT_HELP)(convert_command)


def inspect_command(
    path: Place,
    source: From = None,
    limit: Annotated[int, typer.Option(min=1, help="Structures to look at.")] = 10,
    unit: Unit = None,
    length_unit: LengthUnit = None,
    basis: BasisOption = None,
    overlap: Overlap = False,
) -> None:
    """Print format, evidence and a table of structures."""
    from rich.console import Console

    from slembench.data.inspection import inspect_path

    found = inspect_path(path, source, limit, **_options(unit, length_unit, basis, overlap))
    console = Console(highlight=False)
    _print_head(console, found, path)
    _print_structures(console, found)


def convert_command(
    path: Place,
    to: Annotated[str, typer.Option(help="Format or data set.")],
    out: Annotated[Path, typer.Option(help="File or folder to write; must not exist.")],
    source: From = None,
    unit: Unit = None,
    length_unit: LengthUnit = None,
    basis: BasisOption = None,
    overlap: Overlap = False,
    renumber: Annotated[bool, typer.Option("--renumber", help="Number the structures 0, 1, 2 ... instead.")] = False,
) -> None:
    """Convert, and say what was found and written."""
    from rich.console import Console

    from slembench.data.convert import Source, convert
    from slembench.data.formats import detect_format

    console = Console(highlight=False)
    if source is None:
        detected, reasons = detect_format(path)
        source = detected.name
        console.print(f"{path} is {detected.name}: {', '.join(reasons)}", soft_wrap=True, markup=False)
    samples = Source(path, source, _options(unit, length_unit, basis, overlap), renumber)
    dropped = convert(samples, to, out)
    console.print(f"{samples.count} structures written to {out}", soft_wrap=True, markup=False)
    if dropped:
        console.print(f"not written, because {to} does not hold them: {', '.join(dropped)}")


def _options(unit: str | None, length_unit: str | None, basis: str | None, overlap: bool) -> dict[str, Any]:
    """Options of the reader that were given.

    Raises:
        ConfigError: a word that is no unit, or shells that are not of the form ``C=3s2p1d,H=2s1p``.
    """
    for word, known in ((unit, ("eV", "Hartree")), (length_unit, ("Angstrom", "Bohr"))):
        if word is not None and word not in known:
            raise ConfigError(f"unknown unit {word!r}; use {' or '.join(known)}")
    shells = None
    if basis is not None:
        pairs = [item.split("=") for item in basis.split(",")]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"--basis must look like C=3s2p1d,H=2s1p, got {basis!r}")
        shells = {symbol.strip(): text.strip() for symbol, text in pairs}
    given = {"unit": unit, "length_unit": length_unit, "basis": shells, "overlap": overlap or None}
    return {key: value for key, value in given.items() if value is not None}


def _print_head(console: Console, found: Inspection, path: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("key", "value", show_header=False)
    table.add_row("path", escape(str(path)))
    table.add_row("format", f"{found.format.name}: {found.format.title}")
    table.add_row("told by", escape("; ".join(found.reasons)))
    for note in found.notes:
        table.add_row("note", escape(note))
    table.add_row("shells", ", ".join(f"{symbol} {shells}" for symbol, shells in found.shells.items()))
    table.add_row("energies in", found.energy_unit)
    if found.structures:
        table.add_row("levels say", found.structures[0].levels)
    count = len(found.structures)
    table.add_row("structures", f"the first {count}; there are more (see --limit)" if found.more else str(count))
    console.print(table)


def _print_structures(console: Console, found: Inspection) -> None:
    """A table of structures and one of their operators, each narrow enough for 80 columns."""
    from rich.markup import escape
    from rich.table import Table

    structures = Table("structure", "atoms", "orbitals", "periodic", "lowest S", "Tr(DS)", "electrons stated")
    operators = Table("structure", "operator", "pairs", "reach (A)", "largest", "not Hermitian by")
    for item in found.structures:
        ends = (_number(item.overlap_minimum), _number(item.electrons, 10), _number(item.stated_electrons, 10))
        name = escape(f"{item.id} {item.formula}")
        structures.add_row(name, str(item.atoms), str(item.orbitals), item.periodic or "no", *ends)
        for number, (kind, operator) in enumerate(item.operators.items()):
            sizes = (f"{operator.reach:.3f}", _number(operator.largest), f"{operator.hermiticity_error:.1e}")
            operators.add_row("" if number else name, kind, str(operator.pairs), *sizes)
    console.print(structures)
    console.print(operators)


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}g}"
