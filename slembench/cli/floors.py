"""``slembench floors``: score the floors of a data set once, for the board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Score the floors of a data set: the zero prediction, the irreps mean and the two-body fit.

A model worse than a floor has learnt nothing. `slembench run` scores them for its own operators beside every run; this
command does it once for all operators of the data set, and `run --no-floors` leaves them out.

    slembench floors mos2-mini

    slembench floors qh9-mini --split test --partition 20 --out runs/qh9-20

    slembench leaderboard --dataset mos2-mini --runs runs/mos2-mini
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("floors", help=HELP)(floors_command)


def floors_command(
    dataset: Annotated[str, typer.Argument(help="Data set: a name from `slembench data list`, or a folder.")],
    split: Annotated[list[str] | None, typer.Option(help="Split to score; repeatable. Default: all tests.")] = None,
    partition: Annotated[int, typer.Option(help="Per cent of the training split they are fitted on.")] = 100,
    out: Annotated[Path | None, typer.Option(help="Folder to write to. Default: runs/DATASET.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Score again what is there.")] = False,
) -> None:
    """Score the floors of a data set."""
    from rich.console import Console

    from slembench.cli.score_table import score_table
    from slembench.data import load_dataset
    from slembench.harness.scoring import score_floors

    data = load_dataset(dataset)
    folder = out or Path("runs") / data.name
    records = score_floors(
        data,
        folder,
        splits=split or (),
        partition=partition,
        again=again,
        tell=lambda text: typer.echo(text, err=True),
    )
    console = Console()
    for name, floors in records.items():
        console.print(score_table(data.card, name, floors))
    console.print(f"records in {folder / 'floors'}", highlight=False)
