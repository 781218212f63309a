"""``slembench site``: the leaderboard as a static site."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from slembench.core.progress import bar

HELP = """Write the boards as a static site: plain files that need no server and load nothing from elsewhere.

One page a task (data set, split, operator) with sortable tables, ties, intervals, evidence and cost; pages of every
model, entry and data set with pictures; published numbers apart; the tables as files.

    slembench site build

    slembench site build --out site --runs runs

also shows your own runs. Open site/index.html in a browser, or copy the folder to any web server. A second build only
writes again what has changed.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help="The leaderboard as a static site.", no_args_is_help=True)
    group.callback()(site_options)
    group.command("build", help=HELP)(build_command)
    app.add_typer(group, name="site")


def site_options() -> None:
    """The leaderboard as a static site."""


def build_command(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("site"),
    results: Annotated[Path | None, typer.Option(help="Folder of results instead of the shipped ones.")] = None,
    runs: Annotated[list[Path] | None, typer.Option(help="Folder with further runs; may be repeated.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this data set.")] = None,
    committed: Annotated[bool, typer.Option(help="Include the results that ship with slembench.")] = True,
    pictures: Annotated[bool, typer.Option(help="Draw the pictures of data sets.")] = True,
) -> None:
    """Write the site."""
    from slembench.core.assets import asset_roots
    from slembench.leaderboard import board as all_boards
    from slembench.reports.site import build_site

    board = all_boards(dataset, runs or (), committed, results)
    roots = [results] if results is not None else asset_roots("results") if committed else []
    paths = build_site(board, out, results=roots, draw=pictures, progress=partial(bar, text="site"))
    typer.echo(f"wrote {out / 'index.html'} and {len(paths) - 1} more files")
