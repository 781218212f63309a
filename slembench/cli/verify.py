"""``slembench verify``: check a submission."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from slembench.submission.verification import Verification

HELP = """Check a submission folder: a list of checks, how far its scores are backed, and an exit code (0: none failed).

Nothing in the folder is run: plain YAML, Parquet and HDF5 are read, each looked at before it is opened. The scores are
computed again from the table, and the table from the predictions. Evidence: self-reported, recomputed (from the table),
re-scored (from the predictions), retrained (a run of ours, `--retrained`, agrees).

    slembench verify submission-mine

    slembench verify submission-mine --predictions fetched.h5 --out runs/mine

writes record, table and statement for `slembench leaderboard --runs runs`, with the scores that were found here.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("verify", help=HELP)(verify_command)


def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the submission.")],
    dataset: Annotated[Path | None, typer.Option(help="Folder of the data set, if not found by its name.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions, where only their address is given.")] = None,
    retrained: Annotated[Path | None, typer.Option(help="Record or folder of a run of our own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for record and table, if nothing failed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    max_seconds: Annotated[float, typer.Option(min=1.0, help="Give up after this time, seconds.")] = 3600.0,
    threads: Annotated[int | None, typer.Option(min=1, help="Structures solved at once.")] = None,
) -> None:
    """Check a submission."""
    from slembench.results.record import read_record
    from slembench.submission.verify import verify

    result = verify(
        folder,
        dataset=dataset,
        predictions=predictions,
        retrained=read_record(retrained) if retrained is not None else None,
        max_seconds=max_seconds,
        threads=threads,
    )
    if as_json:
        content = {"passed": result.passed, "evidence": result.evidence, "checks": [c._asdict() for c in result.checks]}
        typer.echo(json.dumps(content, indent=1))
    else:
        _show(result)
    if not result.passed:
        raise typer.Exit(1)
    if out is not None:
        _write(result, out)


def _show(result: Verification) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "result", "what was seen", title=Text(str(result.folder)), title_justify="left")
    colour = {"pass": "green", "fail": "bold red", "not possible": "yellow"}
    for check in result.checks:
        table.add_row(check.name, Text(check.status, style=colour[check.status]), Text(_printable(check.detail)))
    console = Console()
    console.print(table)
    failed = sum(check.status == "fail" for check in result.checks)
    console.print(f"{failed} failed; evidence: {result.evidence}", highlight=False)


def _printable(text: str) -> str:
    """At most 400 characters, control characters replaced."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:400])


def _write(result: Verification, out: Path) -> None:
    from slembench.results.record import PER_STRUCTURE_FILE, write_record, write_table
    from slembench.submission.submission import write_submission

    if result.submission is None or result.table is None:
        return
    write_table(result.table, out / PER_STRUCTURE_FILE)
    write_submission(result.submission, out)
    write_record(result.submission.record(result.scores, result.unavailable, result.evidence), out)
    typer.echo(f"wrote {out}")
