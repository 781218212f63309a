"""``slembench report``: one page of a run with all its pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from slembench.core.progress import bar

HELP = """Write one page (HTML, readable without a network) of a run: scores beside the floors, and all its pictures.

Drawn are learning curves; for every split the errors by block, distance and structure; from the predictions, where they
are still there, elements, levels and densities of states over the reference; and accuracy against the cost of all runs.
What is missing is named in the place of the picture.

    slembench report runs/mos2-mini/slem-reference

    slembench report runs/mine --out mine.html --pictures pictures/ --runs runs

also writes every picture as SVG and PNG.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report", help=HELP)(report_command)


def report_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a record.yaml.")],
    out: Annotated[Path | None, typer.Option(help="HTML file (default: report.html in the folder of the run).")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for every picture as SVG and PNG.")] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder with other runs to compare the cost with; may be repeated. Shipped runs always count."
        ),
    ] = None,
) -> None:
    """Write the page of a run."""
    from slembench.core.assets import asset_roots
    from slembench.reports.run_folder import read_run
    from slembench.reports.run_page import write_report

    found = read_run(run)
    shipped = [root / "runs" for root in asset_roots("results") if (root / "runs").is_dir()]
    paths = write_report(
        found,
        out or found.folder / "report.html",
        others=[*shipped, *(runs or ())],
        pictures=pictures,
        progress=partial(bar, text="pictures"),
    )
    for path in paths:
        typer.echo(f"wrote {path}")
