"""``slembench data``: the area, and the commands that generate and assemble data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slembench.cli import data_challenging, data_files, data_list, data_official, data_page

GENERATE_HELP = """Compute a data set again from first principles, then assemble it.

Every calculation is one file in the work directory; a run that was stopped goes on where it was. The data set is
written beside them, or to --out, once every structure has passed its checks. The programs that a recipe needs are
installed with `pip install 'slembench[recipes]'`.

    slembench data generate mos2-mini --jobs 2

    slembench data generate mos2-mini --workdir scratch --out datasets/mos2-mini
"""

ASSEMBLE_HELP = """Make a data set of the calculations that a work directory holds: Parquet file, splits, card, README.

Every structure is verified from its stored, rounded values; nothing appears at --out unless all of them pass.

    slembench data assemble mos2-mini --workdir data/mos2-mini --out datasets/mos2-mini
"""

RESPLIT_HELP = """Divide a data set by size, as another data set beside it with its own splits and the same data files.

    slembench data resplit qh9-mini-ood --source datasets/qh9-mini
"""

Recipe = Annotated[str, typer.Argument(help="Data set that has a recipe, such as mos2-mini.")]
Workdir = Annotated[Path | None, typer.Option(help="Folder of the calculations (default: data/NAME).")]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the data set, replaced if it exists (default: WORKDIR/NAME).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    area = typer.Typer(help="List, fetch, import, convert and generate data sets.", no_args_is_help=True)
    data_list.register(area)
    data_official.register(area)
    area.command("generate", help=GENERATE_HELP)(generate_command)
    area.command("assemble", help=ASSEMBLE_HELP)(assemble_command)
    area.command("resplit", help=RESPLIT_HELP)(resplit_command)
    data_files.register(area)
    data_page.register(area)
    data_challenging.register(area)
    app.add_typer(area, name="data")


def generate_command(
    name: Recipe,
    workdir: Workdir = None,
    out: Out = None,
    jobs: Annotated[int, typer.Option(min=1, help="Calculations at a time, one thread each.")] = 1,
) -> None:
    """Run a recipe, then assemble."""
    from slembench.data.recipes.generate import run_recipe

    run_recipe(name, workdir or Path("data") / name, jobs)
    assemble_command(name, workdir, out)


def assemble_command(name: Recipe, workdir: Workdir = None, out: Out = None) -> None:
    """Assemble a data set of the calculations in a work directory."""
    from rich.console import Console

    from slembench.data.recipes.assemble import assemble

    console, source = Console(highlight=False), workdir or Path("data") / name
    folder = out or source / name
    dataset = assemble(name, source, folder)
    console.print(f"{dataset!r} written to {folder}; see: slembench data info {folder}", soft_wrap=True)


def resplit_command(
    name: Annotated[str, typer.Argument(help="Data set that has a rule, such as qh9-mini-ood.")],
    source: Annotated[Path, typer.Option(help="Folder of the data set that holds the structures.")],
) -> None:
    """Make a data set that divides another one by size."""
    from rich.console import Console

    from slembench.data.recipes.resplit import resplit

    dataset = resplit(name, source)
    Console(highlight=False).print(f"{dataset!r} written to {dataset.root}", soft_wrap=True)
