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

writes tables/leaderboard.md, .tex (booktabs), .csv and .json (every score, one a line).

    slembench leaderboard --readme README.md

writes the overview of the official tasks between the marks in that file.
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
    out: Annotated[Path | None, typer.Option(help="Folder for the Markdown, LaTeX, CSV and JSON files.")] = None,
    committed: Annotated[bool, typer.Option(help="Include the results that ship with slembench.")] = True,
    results: Annotated[Path | None, typer.Option(help="Folder of results instead of the shipped ones.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every counting and average, not only the official ones.")
    ] = False,
    full: Annotated[
        bool, typer.Option(help="Also spectra, blocks, error budget, other splits, physics and costs.")
    ] = False,
    readme: Annotated[Path | None, typer.Option(help="Only write the overview into this file.")] = None,
) -> None:
    """Print the tables, and write them where asked."""
    from rich.console import Console

    from slembench.leaderboard import board as all_boards
    from slembench.leaderboard.overview import write_overview
    from slembench.tables.text import rich_group

    console = Console()
    if readme is not None:
        board = all_boards(dataset, runs or (), committed, results)
        console.print(f"wrote {write_overview(board.boards, readme)}", highlight=False)
        return
    board = all_boards(dataset, runs or None, committed, results)
    console.print(rich_group(board.sections(everything, full), console.width))
    for path in board.write(out, everything) if out is not None else ():
        console.print(f"wrote {path}", highlight=False)
