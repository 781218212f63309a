"""``slembench data fetch``, ``import`` and ``split``: the official sets of the field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FETCH_HELP = """Download the published file of an official set; checked, unpacked, resumed where it was cut off.

Where an address needs a browser or an account the command says what to do and where to put the file. Files lie in
_downloads of the first folder of SLEMBENCH_DATA (default: the data folder of the user).

    slembench data fetch md17-water

    slembench data fetch qh9-stable-id --address https://a.mirror/QH9Stable.db
"""

IMPORT_HELP = """Make a data set of a copy of an official set, whole or in part, with the official splits.

A part is divided as the whole: every structure is in the split that the official rule gives it. Then the set is used by
its name. An import that was stopped goes on. PATH is what `slembench data fetch` left, unless another one is given.

    slembench data import --dataset md17-water

    slembench data import my/QH9Stable-part.db --dataset qh9-stable-id --overlap

    slembench run --dataset qh9-stable-id --model slem
"""

SPLIT_HELP = """Write the row numbers of a set's splits: an NPZ file with int64 arrays train, val, test.

For an official set they are those of the release, in its order. With --source only those that a copy holds are
written, and also rows and ids: official row number and name of every structure of the copy.

    slembench data split qh9-stable-id --out qh9-stable-id.npz

    slembench data split qh9-stable-ood --source QH9Stable.db --out ood.npz
"""

RowsOption = Annotated[
    str | None,
    typer.Option(
        "--rows",
        help="Official row numbers of a part that does not tell them: an NPY file, or the word first.",
    ),
]
Format = Annotated[str | None, typer.Option("--from", help="Format, where more than one is possible.")]


def register(area: typer.Typer) -> None:
    """Add the commands to ``slembench data``."""
    area.command("fetch", help=FETCH_HELP)(fetch_command)
    area.command("import", help=IMPORT_HELP)(import_command)
    area.command("split", help=SPLIT_HELP)(split_command)


def fetch_command(
    name: Annotated[str, typer.Argument(help="Official set from `slembench data list`.")],
    address: Annotated[str | None, typer.Option(help="Another address of the file, such as a mirror's.")] = None,
) -> None:
    """Fetch, and say what comes next."""
    from slembench.data.official.fetch import fetch

    typer.echo(f"{fetch(name, address)}: ready; next: slembench data import --dataset {name}")


def import_command(
    dataset: Annotated[str, typer.Option(help="The official set that the file is a copy of.")],
    path: Annotated[Path | None, typer.Argument(help="File or folder; default: what was fetched.", exists=True)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the data set (default: where names are found).")] = None,
    source: Format = None,
    rows: RowsOption = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Compute the overlap that QH9 files lack (needs PySCF).")
    ] = False,
) -> None:
    """Import, and say what came of it."""
    from slembench.data.official.fetch import fetched
    from slembench.data.official.importing import import_official
    from slembench.data.official.split_arrays import read_rows

    made = import_official(
        dataset,
        path or fetched(dataset),
        out,
        source=source,
        rows=read_rows(rows),
        overlap=overlap,
    )
    typer.echo(f"{made!r} written to {made.root}; next: slembench run --dataset {out or dataset} --model slem")


def split_command(
    name: Annotated[str, typer.Argument(help="Name from `slembench data list`.")],
    out: Annotated[Path, typer.Option(help="NPZ file to write.")],
    source: Annotated[
        Path | None, typer.Option(help="A copy of an official set, whole or in part.", exists=True)
    ] = None,
    format_name: Format = None,
    rows: RowsOption = None,
) -> None:
    """Write the arrays, and say how many there are."""
    from slembench.data.official.split_arrays import read_rows, split_arrays, write_split

    arrays = split_arrays(name, source, format_name=format_name, given=read_rows(rows))
    write_split(out, arrays)
    counts = ", ".join(f"{split} {len(members)}" for split, members in arrays.items() if split not in ("rows", "ids"))
    typer.echo(f"{counts} written to {out}")
