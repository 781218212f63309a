"""``slembench submit`` and ``slembench verify``: a result on its way to the board, and its check at both ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.cli.options import AsJson, SolverThreads, refuse_options
from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.submission.verification import Verification

OF_FILE = "Of a predictions file"
"""Panel of the help page: what the record of a run says by itself."""


def submit_command(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a predictions file (.h5).")],
    code_licence: Annotated[str, typer.Option(help="Licence of the code (SPDX), or none.")],
    weights_licence: Annotated[str, typer.Option(help="Licence of the weights (SPDX), or none.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write (default: submission-NAME).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the entry (default: of the run or model).")] = None,
    split: Annotated[str, typer.Option(help="Split of the run.")] = "test",
    dataset: Annotated[Path | None, typer.Option(help="Folder of the data set, if not found by its name.")] = None,
    code: Annotated[str | None, typer.Option(help="Address (https) of the code.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Training data.", rich_help_panel=OF_FILE)] = None,
    budget: Annotated[str | None, typer.Option(help="Training budget.", rich_help_panel=OF_FILE)] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help="S or H0, if the model is given it.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the training; repeatable.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="Paper or address; repeatable.")] = None,
    address: Annotated[str, typer.Option(help="Address (https) of the predictions instead of a copy.")] = "",
    bands: Annotated[bool, typer.Option(help="Compute energy levels.", rich_help_panel=OF_FILE)] = True,
) -> None:
    r"""Make a submission folder from a run, or from a predictions file that any program wrote.

    The folder holds submission.yaml, the per-structure table and the predictions; `slembench verify` checks it, here
    and at the other end alike.

        slembench submit runs/mine --code-licence MIT --weights-licence CC-BY-4.0

        slembench submit mine.h5 --code-licence MIT --weights-licence none \
            --trained-on "train split" --budget "1 GPU hour"

    Predictions too large to hand in may lie elsewhere: `--address https://...` notes address and sha256 instead.
    """
    from slembench.submission.submit import submit_predictions, submit_run

    fields: dict[str, Any] = {"name": name, "code": code, "inputs": given, "seeds": seed, "references": reference}
    if trained_on or budget:
        fields["training"] = {"data": trained_on, "budget": budget}
    # What is not stated here is taken from the record of the run; an empty value would hide it.
    statement = {key: value for key, value in fields.items() if value is not None}
    statement |= {"code_licence": code_licence, "weights_licence": weights_licence}
    # Both are looked at before the scoring, which may take minutes.
    folder = out or Path(f"submission-{name or run.stem}")
    if not run.exists():
        raise ConfigError(f"{run}: no such run and no such predictions file")
    if folder.exists():
        raise ConfigError(f"{folder}: exists already; remove it, or choose another --out")
    if run.is_file():
        if not trained_on or not budget:
            raise ConfigError(
                "a predictions file does not say how its model was trained: give --trained-on and --budget"
            )
        refuse_options(context, ["split"], "belongs to a run: a predictions file names its split")
        submit_predictions(run, folder, statement, dataset=dataset, address=address, bands=bands)
    else:
        refuse_options(context, ["dataset", "bands"], "belongs to a predictions file: a run has its scores")
        submit_run(run, folder, statement, split=split, address=address)
    typer.echo(f"wrote {folder}; check it with: slembench verify {folder}")


def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the submission.")],
    dataset: Annotated[Path | None, typer.Option(help="Folder of the data set, if not found by its name.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions, where only their address is given.")] = None,
    retrained: Annotated[Path | None, typer.Option(help="Record or folder of a run of our own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for record and table, if nothing failed.")] = None,
    as_json: AsJson = False,
    max_seconds: Annotated[float, typer.Option(min=1.0, help="Give up after this time, seconds.")] = 3600.0,
    threads: SolverThreads = None,
) -> None:
    """Check a submission folder: a list of checks, how far its scores are backed; exit code 0 if none failed.

    Nothing in the folder is run: plain YAML, Parquet and HDF5 are read, each looked at before it is opened. The scores
    are computed again from the table, and the table from the predictions. Evidence: self-reported, recomputed (from the
    table), re-scored (from the predictions), retrained (a run of ours, `--retrained`, agrees).

        slembench verify submission-mine

        slembench verify submission-mine --predictions fetched.h5 --out runs/mine

    writes record, table and statement for `slembench board --runs runs`, with the scores that were found here.
    """
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
    if not result.passed:  # nothing is written of a submission that failed
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
    # The text quotes files of a stranger: an escape sequence in it would steer the reader's terminal.
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
