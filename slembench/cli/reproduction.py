"""``slembench reproduction``: claims of papers against the committed results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """Check the claims of papers and posters, one by one, against the committed results.

    slembench reproduction

prints each claim with its verdict: held, did not hold, or undecided where an interval allows both.

    slembench reproduction --out docs/reproduction.md

writes the page with all numbers. The claims stand in results/claims.yaml with what decides about each: an order of
entries, growth of an error with fewer structures, transfer to other structures, or a figure of a benchmark's record.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("reproduction", help=HELP)(reproduction_command)


def reproduction_command(
    root: Annotated[
        Path | None, typer.Option(help="Root of the project, with results/ and benchmarks/. Default: where it lies.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Markdown page to write.")] = None,
) -> None:
    """Judge the claims."""
    from rich.console import Console
    from rich.table import Table

    from slembench.core.assets import asset_roots
    from slembench.core.errors import DataError
    from slembench.studies.claims.page import CLAIMS, judged_claims, write_page

    root = root or asset_roots("results")[0].parent
    if not (root / CLAIMS).is_file():
        raise DataError(f"{root / CLAIMS} does not exist; name the project's folder with --root")
    judged = judged_claims(root)
    table = Table(show_lines=True)
    for heading in ("claim", "here", "by"):
        table.add_column(heading, overflow="fold")
    for claim, verdict in judged:
        table.add_row(claim.claim, verdict.text, verdict.reason)
    console = Console()
    console.print(table)
    if out is not None:
        console.print(f"wrote {write_page(judged, root, out)}", highlight=False)
