"""``slembench leaderboard``: the tables of all runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Tables of measured runs, their floors, and published rows; each kind in tables of its own.

Rows are ranked by the official metric of the data set, separately for each data set, split, operator, counting (full or
reduced) and average (pooled or per structure). Shown are the official counting and average; `--all` shows every one.

    slembench leaderboard

    slembench leaderboard --dataset mos2-mini --runs runs/mine --out tables/

writes tables/leaderboard.md, .tex (booktabs) and .csv (every score, one a line).
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("leaderboard", help=HELP)(leaderboard_command)


def leaderboard_command(
    dataset: Annotated[str | None, typer.Option(help="Only this data set.")] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with runs, searched with its subfolders; may be repeated. Default: ./runs."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the Markdown, LaTeX and CSV files.")] = None,
    committed: Annotated[bool, typer.Option(help="Include the runs that ship with slembench.")] = True,
    everything: Annotated[
        bool, typer.Option("--all", help="Every counting and average, not only the official ones.")
    ] = False,
) -> None:
    """Print the tables, and write them where asked."""
    from rich.console import Console

    from slembench.leaderboard import leaderboard
    from slembench.leaderboard.render import rich_group

    board = leaderboard(dataset, runs or None, committed)
    console = Console()
    console.print(rich_group(board.sections(everything), console.width))
    for path in board.write(out, everything) if out is not None else ():
        console.print(f"wrote {path}", highlight=False)
