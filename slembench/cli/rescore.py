"""``slembench rescore``: score finished runs again with today's metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Score finished runs again with today's metrics and data set cards, without training again.

For every run in the given folders or below, the predictions of each split and the floors are scored anew, the physics
of the model is measured again from the checkpoint, and records and tables are replaced; training, cost and date stay.

    slembench rescore runs

    slembench rescore runs/mos2-mini/slem-mini runs/mos2-mini/lem-mini --no-floors

    slembench rescore runs/mine --dataset path/to/my-data
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("rescore", help=HELP)(rescore_command)


def rescore_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, searched with their subfolders.")],
    dataset: Annotated[
        str | None, typer.Option(help="Data set of the runs, a name or a folder. Default: as in their config.yaml.")
    ] = None,
    floors: Annotated[bool, typer.Option(help="Score the floors again, too.")] = True,
    physics: Annotated[bool, typer.Option(help="Check the physics of the models again.")] = True,
    threads: Annotated[int | None, typer.Option(min=1, help="Structures solved at once.")] = None,
) -> None:
    """Score finished runs again."""
    from slembench.core.errors import SlembenchError
    from slembench.harness.rescore import find_runs, rescore

    failed = []
    found = find_runs(runs)
    for folder in found:
        try:
            rescore(folder, dataset=dataset, floors=floors, physics=physics, threads=threads, tell=_tell)
        except SlembenchError as error:
            failed.append(folder)
            _tell(f"error: {folder}: {error}")
    typer.echo(f"{len(found) - len(failed)} of {len(found)} runs scored again")
    if failed:
        raise typer.Exit(1)


def _tell(text: str) -> None:
    typer.echo(text, err=True)
