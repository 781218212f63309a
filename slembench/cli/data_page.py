"""``slembench data page``: a page of a data set with its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slembench.core.errors import ConfigError
from slembench.core.progress import progress

HELP = """Write the page of a data set: Markdown made of its card, and four pictures of its data (PNG).

The pictures are a structure, the sparsity of H, block norms against distance, and the spectrum. A set that is published
elsewhere and not at hand has no pictures; its page says how to get it. The same data give the same files, to the byte.

    slembench data page mos2-mini --out pages/

    slembench data page --all --out docs/datasets

writes every page and the index README.md.
"""


def register(area: typer.Typer) -> None:
    """Add the command to `slembench data`."""
    area.command("page", help=HELP)(page_command)


def page_command(
    out: Annotated[Path, typer.Option(help="Folder for NAME.md and the pictures NAME/*.png.")],
    name: Annotated[str | None, typer.Argument(help="Name from `slembench data list`, or a folder.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every data set, and the index.")] = False,
) -> None:
    """Write one page, or all of them with the index."""
    from slembench.reports.dataset_pages import all_names, write_index, write_page

    if (name is None) != everything:
        raise ConfigError("give the name of a data set, or --all")
    names = [name] if name is not None else all_names()
    for one in progress(names, "pages"):
        for path in write_page(one, out):
            typer.echo(f"wrote {path}")
    if everything:
        typer.echo(f"wrote {write_index(out)}")
