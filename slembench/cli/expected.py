"""``slembench expected``: runs beside what their models' expected.yaml says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from slembench.results.expected import Finding
    from slembench.results.record import RunRecord

HELP = """Hold runs against the expected.yaml of their models: the scores that a run of this variant should give.

A score that is worse than expected by more than the tolerance of the file ends the command with exit code 1. One that
is better by more is told, too: the model was improved (write the entry again), or a number is wrong.

    slembench run --dataset mos2-mini --model deeph-e3 --variant board --out runs/mine

    slembench expected runs/mine

    slembench expected runs/mine --write --tolerance 0.3

writes (or replaces) the entry of the run's data set from the run.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("expected", help=HELP)(expected_command)


def expected_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    model: Annotated[Path | None, typer.Option(help="Folder with expected.yaml. Default: that of the model.")] = None,
    split: Annotated[str, typer.Option(help="Split of the runs.")] = "test",
    write: Annotated[bool, typer.Option(help="Write the entries instead of comparing.")] = False,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Relative tolerance of written entries.")] = 0.3,
    score: Annotated[
        list[str] | None, typer.Option(help="Score to write; repeatable. Default: the official ones of the data set.")
    ] = None,
) -> None:
    """Compare or write."""
    from slembench.results.expected import compare_with_expected, read_expected
    from slembench.results.record import RECORD_FILE, read_record

    bad = False
    for folder in runs:
        record = read_record(folder if (folder / RECORD_FILE).is_file() else folder / split)
        home = model or _model_folder(record)
        if write:
            typer.echo(_write(record, home, tolerance, score))
            continue
        findings = compare_with_expected(record, read_expected(home))
        _show(f"{record.dataset}, {record.model}, run {record.name}", findings)
        bad = bad or any(finding.verdict in ("worse", "missing") for finding in findings)
    if bad:
        raise typer.Exit(1)


def _model_folder(record: RunRecord) -> Path:
    from slembench.core.errors import DataError
    from slembench.models.registry import model_folder

    name = str(record.config.get("model", {}).get("name", record.model))
    folder = model_folder(name)
    if folder is None:
        raise DataError(f"record {record.name}: no folder of model {name!r} here; give --model")
    return folder


def _write(record: RunRecord, home: Path, tolerance: float, scores: list[str] | None) -> Path:
    from slembench.data import load_card
    from slembench.evaluation import official_scores
    from slembench.models.facts import EXPECTED_FILE
    from slembench.results.expected import Expected, expected_run, read_expected, write_expected

    names = scores or official_scores(load_card(record.dataset), list(record.scores))
    entry = expected_run(record, names, tolerance)
    description = (
        "Scores on held-out structures of one run with one seed; not tuned on them. The tolerance is relative."
    )
    before = read_expected(home) if (home / EXPECTED_FILE).is_file() else Expected(description=description, runs={})
    changed = {"description": description, "runs": {**before.runs, record.dataset: entry}}
    return write_expected(home, before.model_copy(update=changed))


def _show(title: str, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", title=title, title_justify="left")
    for heading in ("expected", "found"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for finding in findings:
        found = "-" if finding.found is None else f"{finding.found:.4g}"
        table.add_row(finding.score, f"{finding.expected:.4g} {finding.unit}", found, finding.verdict)
    Console().print(table)
