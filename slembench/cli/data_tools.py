"""``slembench data inspect``, ``convert``, ``split`` and ``template``: files of other programs, and for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.core.errors import ConfigError
from slembench.core.progress import progress

if TYPE_CHECKING:
    from rich.console import Console

    from slembench.data.inspection import Inspection

Place = Annotated[Path, typer.Argument(help="File or folder of a known format.", exists=True)]
Format = Annotated[str | None, typer.Option("--format", help="Format of the files, where more than one is possible.")]
RowNumbers = Annotated[
    str | None,
    typer.Option(
        "--rows", help="Official row numbers of a part that does not hold them: an NPY file, or the word first."
    ),
]
Unit = Annotated[str | None, typer.Option(help="Energy unit (eV or Hartree), where a format does not record it.")]
LengthUnit = Annotated[str | None, typer.Option(help="Length unit (Angstrom or Bohr) of a QH9 file that is unusual.")]
BasisOption = Annotated[
    str | None, typer.Option("--basis", help="Shells such as C=3s2p1d,H=2s1p, where a format does not record them.")
]
Overlap = Annotated[bool, typer.Option("--overlap", help="Compute the overlap that QH9 files lack (needs PySCF).")]


def inspect_command(
    path: Place,
    source: Format = None,
    limit: Annotated[int, typer.Option(min=1, help="Structures to look at.")] = 10,
    unit: Unit = None,
    length_unit: LengthUnit = None,
    basis: BasisOption = None,
    overlap: Overlap = False,
) -> None:
    """Show what a file or folder of another program holds, and how its format and units were recognised.

    For the first structures: elements, shells, pairs, reach, Hermiticity error, smallest eigenvalue of S, electrons
    Tr(DS).

        slembench data inspect path/to/QH9Stable.db

        slembench data inspect path/to/QH9Stable.db --overlap --limit 3
    """
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
    source: Format = None,
    unit: Unit = None,
    length_unit: LengthUnit = None,
    basis: BasisOption = None,
    overlap: Overlap = False,
    renumber: Annotated[bool, typer.Option("--renumber", help="Number the structures 0, 1, 2 ... instead.")] = False,
) -> None:
    r"""Convert files of another program; one structure is in memory at a time.

    --to takes a format, or the name of a data set: then a Parquet file is written in the units, shells and operators of
    its card. Formats that are written: deeph-new, deeph-legacy, deeptb, qh9, parquet.

        slembench data convert path/to/deeph --to deeptb --out path/to/deeptb

        slembench data convert path/to/QH9Stable.lmdb --to parquet --overlap \
            --out molecules.parquet
    """
    from rich.console import Console

    from slembench.data.convert import Source, convert
    from slembench.data.formats import detect_format

    console = Console(highlight=False)
    if source is None:
        # Said before the work begins, so that a wrong guess is seen in time to give --format.
        detected, reasons = detect_format(path)
        source = detected.name
        console.print(f"{path} is {detected.name}: {', '.join(reasons)}", soft_wrap=True, markup=False)
    samples = Source(path, source, _options(unit, length_unit, basis, overlap), renumber)
    dropped = convert(samples, to, out)
    console.print(f"{samples.count} structures written to {out}", soft_wrap=True, markup=False)
    if dropped:
        console.print(f"not written, because {to} does not hold them: {', '.join(dropped)}")


def split_command(
    name: Annotated[str, typer.Argument(help="Name from `slembench data list`.")],
    out: Annotated[Path, typer.Option(help="NPZ file to write.")],
    source: Annotated[
        Path | None, typer.Option(help="A copy of an official set, whole or in part.", exists=True)
    ] = None,
    format_name: Format = None,
    rows: RowNumbers = None,
) -> None:
    """Write the row numbers of a set's splits: an NPZ file with int64 arrays train, val, test.

    For an official set they are those of the release, in its order. With --source only those that a copy holds are
    written, and also rows and ids: official row number and name of every structure of the copy.

        slembench data split qh9-stable-id --out qh9-stable-id.npz

        slembench data split qh9-stable-ood --source QH9Stable.db --out ood.npz
    """
    from slembench.data.official.split_arrays import read_rows, split_arrays, write_split

    arrays = split_arrays(name, source, format_name=format_name, rows=read_rows(rows))
    write_split(out, arrays)
    counts = ", ".join(f"{split} {len(members)}" for split, members in arrays.items() if split not in ("rows", "ids"))
    typer.echo(f"{counts} written to {out}")


def template_command(
    dataset: Annotated[str, typer.Argument(help="Data set: a name from `slembench data list`, or a folder.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("predictions.h5"),
    split: Annotated[str, typer.Option(help="Split to predict.")] = "test",
    operator: Annotated[
        list[str] | None, typer.Option(help="hamiltonian, overlap or density; repeatable. Default: all there are.")
    ] = None,
    structures: Annotated[Path | None, typer.Option(help="Write the structures too (extended XYZ).")] = None,
    filled: Annotated[bool, typer.Option("--filled", help="With the reference values (train and val only).")] = False,
) -> None:
    r"""Write a predictions file (HDF5) with ids and shapes, to be filled in with h5py and NumPy alone.

        slembench data template mos2-mini --out mine.h5 --structures mine.extxyz

        slembench data template mos2-mini --split train --filled --out train.h5 \
            --structures train.extxyz

    Values (`operators/<operator>/values`: row-major blocks in the order of `pair_index` and `pair_shift`) are NaN until
    they are filled in; a NaN left over is refused. Put the name of the model into the attribute `model`. A structure
    that is not predicted is left out of all arrays; it counts as zero. `--filled` writes the reference of the training
    or validation structures in the same layout. docs/submitting.md leads from here to the board.
    """
    import ase.io

    from slembench.core.files import atomic_file
    from slembench.data import load_dataset
    from slembench.predictions.writer import write_template

    data = load_dataset(dataset)
    lacking = [op for op in operator or () if op not in data.card.operators]
    if lacking:
        raise ConfigError(f"--operator {lacking[0]}: data set {data.name} has {', '.join(data.card.operators)}")
    # The reference of a test split would be the answer sheet.
    if filled and split not in ("train", "val"):
        raise ConfigError(f"--filled --split {split}: only train and val are for learning; give --split train")
    ids = data.split(split)
    # A generator: one structure is in memory at a time.
    samples = (data.sample(name) for name in progress(ids, "template"))
    write_template(
        out,
        ((sample.id, sample.atoms.numbers, sample.operators) for sample in samples),
        operator or data.card.operators,
        dataset=data.name,
        dataset_fingerprint=data.fingerprint,
        split=split,
        basis=data.basis,
        energy_unit=data.card.units.energy,
        filled=filled,
    )
    typer.echo(f"wrote {out}: {len(ids)} structures, " + ("with the reference" if filled else "values to be filled in"))
    if structures is not None:
        frames = []
        for sample in data.iterate(ids):
            frame = sample.atoms.copy()
            frame.info["id"] = sample.id  # the key that joins a frame to its row in the predictions file
            frames.append(frame)
        with atomic_file(structures) as temporary:
            ase.io.write(temporary, frames, format="extxyz")
        typer.echo(f"wrote {structures}")


def _options(unit: str | None, length_unit: str | None, basis: str | None, overlap: bool) -> dict[str, Any]:
    """Options of the reader that were given.

    Raises:
        ConfigError: a word that is no unit, or shells that are not of the form ``C=3s2p1d,H=2s1p``.
    """
    for word, known in ((unit, ("eV", "Hartree")), (length_unit, ("Angstrom", "Bohr"))):
        if word is not None and word not in known:
            raise ConfigError(f"unknown unit {word!r}; use {' or '.join(known)}")
    shells = None
    if basis is not None:  # LMDB files of DeePTB hold blocks, and nothing about the orbitals behind the rows
        pairs = [item.split("=") for item in basis.split(",")]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(f"--basis must look like C=3s2p1d,H=2s1p, got {basis!r}")
        shells = {symbol.strip(): text.strip() for symbol, text in pairs}
    # A reader refuses an option that it does not know, so only those that were given are passed on.
    given = {"unit": unit, "length_unit": length_unit, "basis": shells, "overlap": overlap or None}
    return {key: value for key, value in given.items() if value is not None}


def _print_head(console: Console, found: Inspection, path: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("key", "value", show_header=False)
    table.add_row("path", escape(str(path)))
    table.add_row("format", f"{found.format.name}: {found.format.title}")
    table.add_row("recognised by", escape("; ".join(found.reasons)))
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
            # The name once, on the first of a structure's operators.
            operators.add_row("" if number else name, kind, str(operator.pairs), *sizes)
    console.print(structures)
    console.print(operators)


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}g}"
