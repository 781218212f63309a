"""``slembench results``: the index of committed results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GROUP_HELP = """The index of committed results (results/index.csv): nothing disappears, no score changes unnoticed.

    slembench results add

    slembench results check

    slembench results supersede runs/mos2-mini/old/test --by runs/mos2-mini/new/test --reason "longer training"

    slembench results withdraw submissions/mos2-mini/x/test --reason "trained on test structures"
"""

Root = Annotated[Path | None, typer.Option("--results", help="Folder of results (default: the shipped one).")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    group = typer.Typer(help=GROUP_HELP, no_args_is_help=True)
    group.command("add")(add_command)
    group.command("check")(check_command)
    group.command("supersede")(supersede_command)
    group.command("withdraw")(withdraw_command)
    app.add_typer(group, name="results")


def add_command(results: Root = None) -> None:
    """Add every folder with a record that is not in the index yet; refused where an indexed one was changed.

    slembench results add
    """
    from slembench.results.index import add_entries

    root = _root(results)
    new = add_entries(root)
    for entry in new:
        typer.echo(f"added {entry.path}")
    typer.echo(f"{len(new)} entries added to {root / 'index.csv'}")


def check_command(results: Root = None) -> None:
    """List what is wrong: entries that are gone, changed, not indexed or there twice; exit code 1 if anything is.

    slembench results check
    """
    from slembench.results.index import check_index, read_index

    root = _root(results)
    problems = check_index(root)
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{len(read_index(root))} entries, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def supersede_command(
    path: Annotated[str, typer.Argument(help="Path of the entry, as in the index.")],
    by: Annotated[str, typer.Option(help="Path of the entry that takes its place.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the board.")],
    results: Root = None,
) -> None:
    """Mark an entry as superseded: shown on the board with the reason, not ranked.

    slembench results supersede runs/mos2-mini/old/test --by runs/mos2-mini/new/test --reason "longer training"
    """
    from slembench.results.index import retire

    retire(_root(results), path, reason, by)
    typer.echo(f"{path} is superseded by {by}")


def withdraw_command(
    path: Annotated[str, typer.Argument(help="Path of the entry, as in the index.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the board.")],
    results: Root = None,
) -> None:
    """Mark an entry as withdrawn: shown on the board with the reason, not ranked.

    slembench results withdraw submissions/mos2-mini/x/test --reason "trained on test structures"
    """
    from slembench.results.index import retire

    retire(_root(results), path, reason)
    typer.echo(f"{path} is withdrawn")


def _root(results: Path | None) -> Path:
    from slembench.core.assets import asset_path

    return results if results is not None else asset_path("results")
