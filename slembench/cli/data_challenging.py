"""``slembench data challenging``: the fixed lists of challenging structures and blocks on the card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Find the challenging structures and blocks of a data set, and write them to its card.

A reference baseline (DeepH-E3) is trained for a fixed number of steps with a seed that enters no board, and
scored on the test split; the tenth of the structures with the largest error, and the block of shells with the largest
error, are challenging for every model. A run that was stopped goes on. Neither the fingerprint of the data nor that of
a split depends on the lists; score finished runs again with `slembench rescore`.

    slembench data challenging mos2-mini

    slembench data challenging path/to/my-data --steps 300 --dry-run
"""


def register(area: typer.Typer) -> None:
    """Add the command to `slembench data`."""
    area.command("challenging", help=HELP)(challenging_command)


def challenging_command(
    name: Annotated[str, typer.Argument(help="Name from `slembench data list`, or a folder.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of the baseline. Default: 1000.")] = None,
    workdir: Annotated[
        Path | None, typer.Option(help="Folder of the baseline's run. Default: data/NAME/challenging.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the lists, leave the card as it is.")] = False,
) -> None:
    """Find the challenging lists."""
    from slembench.data import load_dataset
    from slembench.harness.challenging import STEPS, find_challenging, update_card

    folder = workdir or Path("data") / load_dataset(name).name / "challenging"
    found = find_challenging(
        name, folder, steps=steps or STEPS, threads=threads, tell=lambda text: typer.echo(text, err=True)
    )
    typer.echo(f"baseline: {found.baseline}")
    typer.echo(f"structures, worst first: {', '.join(found.samples)}")
    for operator, block in found.blocks.items():
        typer.echo(f"block of the {operator}: {' '.join(block)}")
    if not dry_run:
        typer.echo(f"wrote {update_card(name, found)}")
