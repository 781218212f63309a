"""``slembench board``: the leaderboard in the terminal, as files, as a static site; and the page of one run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slembench.cli.options import Committed, ResultsFolder, refuse_options
from slembench.core.errors import ConfigError

ROWS, TERMINAL, FORMS = "Rows", "Shown in the terminal and in --out", "Written instead"
"""Panels of the help page."""


def board_command(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only this data set.", rich_help_panel=ROWS)] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with runs, searched with its subfolders; repeatable. Default: ./runs.", rich_help_panel=ROWS
        ),
    ] = None,
    committed: Committed = True,
    results: ResultsFolder = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every counting and average, not only the official ones.", rich_help_panel=TERMINAL),
    ] = False,
    columns: Annotated[
        str,
        typer.Option(
            metavar="brief|all",
            help="brief: one table a task in 80 columns; all: every table with every column.",
            rich_help_panel=TERMINAL,
        ),
    ] = "brief",
    group: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The tables of one group alone: main, elements, levels, orbitals, density, budget, blocks, transfer, "
            "physics, cost, floors, retired, published.",
            rich_help_panel=TERMINAL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the tables as files; with --run: for its page and pictures.", rich_help_panel=TERMINAL
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Build the static site in this folder.", rich_help_panel=FORMS)
    ] = None,
    pictures: Annotated[
        bool, typer.Option(help="With --html: draw the pictures of data sets.", rich_help_panel=FORMS)
    ] = True,
    run: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Page of one run: its folder, or a record.yaml.", rich_help_panel=FORMS),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Overview between the marks of this file.", rich_help_panel=FORMS),
    ] = None,
) -> None:
    """Ranked models and their floors, one table of at most 80 columns a task: data set, split and operator.

    Rows are ranked by the official metric of the data set, in its official counting and average.

        slembench board --dataset mos2-mini

        slembench board --dataset mos2-mini --group levels

        slembench board --dataset mos2-mini --columns all --all

    show the task in brief, the tables of one group, and everything: spectra, blocks, error budget, other splits,
    physics, costs, published rows, in every counting (full or reduced) and average (pooled or per structure).

        slembench board --dataset mos2-mini --runs runs/mine --out tables/

    writes tables/leaderboard.md, .tex (booktabs), .csv and .json (every score, one a line).

        slembench board --runs runs --html site

    builds a static site that needs no server and loads nothing from elsewhere: one page a task with sortable tables,
    ties, intervals, evidence and cost; pages of every model, entry and data set with pictures. Open site/index.html.

        slembench board --run runs/mine

        slembench board --run runs/mine --out mine/ --runs runs

    writes report.html, one page of a run (into its folder, or into --out with every picture as SVG and PNG): scores
    beside the floors, learning curves, errors by block, distance and structure, levels, accuracy against cost.
    """
    forms = {"html": html, "run": run, "readme": readme}
    given = [name for name, value in forms.items() if value is not None]
    if len(given) > 1:
        raise ConfigError(f"--{given[0]} and --{given[1]}: give one of them")
    if html is None:
        refuse_options(context, ["pictures"], "belongs to the site: give --html DIR")
    if given:
        # An option without effect is refused: `--html site --all` would look as if the site had every score.
        shown = ["everything", "columns", "group", *(["out"] if run is None else ["dataset", "committed", "results"])]
        refuse_options(context, shown, f"has no effect on --{given[0]}; leave it out")
    if run is not None:
        _write_run_page(run, out, runs or ())
    elif html is not None:
        _build_site(html, dataset, runs or (), committed, results, pictures)
    else:
        _show_tables(dataset, runs, committed, results, everything, columns, group, out, readme)


def _show_tables(
    dataset: str | None,
    runs: list[Path] | None,
    committed: bool,
    results: Path | None,
    everything: bool,
    columns: str,
    group: str | None,
    out: Path | None,
    readme: Path | None,
) -> None:
    """Print the tables and write them where asked; or only write the overview into ``readme``."""
    from rich.console import Console

    from slembench.leaderboard import board as all_boards
    from slembench.leaderboard.overview import write_overview
    from slembench.tables.text import rich_group

    if columns not in ("brief", "all"):
        raise ConfigError(f"--columns {columns}: use brief or all")
    console = Console()
    if readme is not None:
        # Without --runs no run of this machine: the overview of a page is that of the committed results.
        board = all_boards(dataset, runs or (), committed, results)
        console.print(f"wrote {write_overview(board.boards, readme)}", highlight=False)
        return
    # None looks into ./runs, an empty list nowhere.
    board = all_boards(dataset, runs or None, committed, results)
    if group is not None:
        sections = board.group(group, everything)
    else:
        sections = board.brief(everything) if columns == "brief" else board.sections(everything, full=True)
    # The brief tables are made for 80 columns, also where the output is a pipe or a file.
    console.print(rich_group(sections, console.width))
    for path in board.write(out, everything) if out is not None else ():
        console.print(f"wrote {path}", highlight=False)


def _build_site(
    html: Path, dataset: str | None, runs: list[Path] | tuple[()], committed: bool, results: Path | None, pictures: bool
) -> None:
    """Write the site; a second build only writes again what has changed."""
    from slembench.core.assets import asset_roots
    from slembench.leaderboard import board as all_boards
    from slembench.reports.site import build_site

    board = all_boards(dataset, runs, committed, results)
    # Pictures of entries are drawn from the tables that lie beside their records.
    roots = [results] if results is not None else asset_roots("results") if committed else []
    paths = build_site(board, html, results=roots, draw=pictures)
    typer.echo(f"wrote {html / 'index.html'} and {len(paths) - 1} more files")


def _write_run_page(run: Path, out: Path | None, runs: list[Path] | tuple[()]) -> None:
    """Page of a run, readable without a network; what is missing is named in the place of its picture."""
    from slembench.core.assets import asset_roots
    from slembench.reports.run_folder import read_run
    from slembench.reports.run_page import write_run_page

    found = read_run(run)
    # Runs whose cost is drawn beside that of this one: the shipped ones always count.
    shipped = [root / "runs" for root in asset_roots("results") if (root / "runs").is_dir()]
    paths = write_run_page(
        found,
        (out or found.folder) / "report.html",
        others=[*shipped, *runs],
        pictures=out / "pictures" if out is not None else None,
    )
    for path in paths:
        typer.echo(f"wrote {path}")
