"""``slembench dev``: what those need who keep data sets, models and committed results; hidden from the main help."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.cli.options import ResultsFolder, SolverThreads
from slembench.core.errors import ConfigError
from slembench.core.progress import progress
from slembench.tables.cells import format_score

if TYPE_CHECKING:
    from slembench.results.expected import Finding
    from slembench.results.record import RunRecord

logger = logging.getLogger(__name__)

Recipe = Annotated[str, typer.Argument(help="Data set that has a recipe, such as mos2-mini.")]
Workdir = Annotated[Path | None, typer.Option(help="Folder of the calculations (default: data/NAME).")]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the data set, replaced if it exists (default: WORKDIR/NAME).")
]


def generate_command(
    name: Recipe,
    workdir: Workdir = None,
    out: Out = None,
    jobs: Annotated[int, typer.Option(min=1, help="Calculations at a time, one thread each.")] = 1,
) -> None:
    """Compute a data set again from first principles, then assemble it.

    Every calculation is one file in the work directory; a run that was stopped goes on where it was. The data set is
    written beside them, or to --out, once every structure has passed its checks. The programs that a recipe needs are
    installed with `pip install 'slembench[recipes]'`.

        slembench dev generate mos2-mini --jobs 2

        slembench dev generate mos2-mini --workdir scratch --out datasets/mos2-mini
    """
    from slembench.data.recipes.generate import run_recipe

    run_recipe(name, workdir or Path("data") / name, jobs)
    assemble_command(name, workdir, out)


def assemble_command(name: Recipe, workdir: Workdir = None, out: Out = None) -> None:
    r"""Make a data set of the calculations that a work directory holds: Parquet file, splits, card, README.

    Every structure is verified from its stored, rounded values; nothing appears at --out unless all of them pass.

        slembench dev assemble mos2-mini --workdir data/mos2-mini \
            --out datasets/mos2-mini
    """
    from slembench.data.recipes.assemble import assemble

    source = workdir or Path("data") / name
    folder = out or source / name
    dataset = assemble(name, source, folder)
    typer.echo(f"{dataset!r} written to {folder}; see: slembench data info {folder}")


def resplit_command(
    name: Annotated[str, typer.Argument(help="Data set that has a rule, such as qh9-mini-ood.")],
    source: Annotated[Path, typer.Option(help="Folder of the data set that holds the structures.")],
) -> None:
    """Divide a data set by size, as another data set beside it with its own splits and the same data files.

        slembench dev resplit qh9-mini-ood --source datasets/qh9-mini

    The rule (numbers of atoms of train, val and test) stands in slembench/data/recipes/resplits.
    """
    from slembench.data.recipes.resplit import resplit

    dataset = resplit(name, source)
    typer.echo(f"{dataset!r} written to {dataset.root}")


def challenging_command(
    name: Annotated[str, typer.Argument(help="Name from `slembench data list`, or a folder.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps of the baseline. Default: 1000.")] = None,
    workdir: Annotated[
        Path | None, typer.Option(help="Folder of the baseline's run. Default: data/NAME/challenging.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the lists, leave the card as it is.")] = False,
) -> None:
    """Find the challenging structures and blocks of a data set, and write them to its card.

    A reference baseline (DeepH-E3) is trained for a fixed number of steps with a seed that enters no board, and scored
    on the test split; the tenth of the structures with the largest error, and the block of shells with the largest
    error, are challenging for every model. A run that was stopped goes on. Neither the fingerprint of the data nor that
    of a split depends on the lists; score finished runs again with `slembench dev rescore`.

        slembench dev challenging mos2-mini

        slembench dev challenging path/to/my-data --steps 300 --dry-run
    """
    from slembench.data import load_dataset
    from slembench.harness.challenging import STEPS, find_challenging, update_card

    # Under the name on the card, not the path that was given: a second call from elsewhere finds the run again.
    folder = workdir or Path("data") / load_dataset(name).name / "challenging"
    found = find_challenging(name, folder, steps=steps or STEPS, threads=threads)
    typer.echo(f"baseline: {found.baseline}")
    typer.echo(f"structures, worst first: {', '.join(found.samples)}")
    for operator, block in found.blocks.items():
        typer.echo(f"block of the {operator}: {' '.join(block)}")
    if not dry_run:
        typer.echo(f"wrote {update_card(name, found)}")


def page_command(
    out: Annotated[Path, typer.Option(help="Folder for NAME.md and the pictures NAME/*.png.")],
    name: Annotated[str | None, typer.Argument(help="Name from `slembench data list`, or a folder.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every data set, and the index.")] = False,
) -> None:
    """Write the page of a data set: Markdown made of its card, and four pictures of its data (PNG).

    The pictures are a structure, the sparsity of H, block norms against distance, and the spectrum. A set that is
    published elsewhere and not at hand has no pictures; its page says how to get it. The same data give the same files,
    to the byte.

        slembench dev page mos2-mini --out pages/

        slembench dev page --all --out docs/datasets

    writes every page and the index README.md.
    """
    from slembench.reports.dataset_pages import all_names, write_index, write_page

    if (name is None) != everything:
        raise ConfigError("give the name of a data set, or --all")
    names = [name] if name is not None else all_names()
    for one in progress(names, "pages"):
        for path in write_page(one, out):
            typer.echo(f"wrote {path}")
    if everything:
        typer.echo(f"wrote {write_index(out)}")


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
    """Hold runs against the expected.yaml of their models: the scores that a run of this variant should give.

    A score that is worse than expected by more than the tolerance of the file ends the command with exit code 1. One
    that is better by more is shown, too: the model was improved (write the entry again), or a number is wrong.

        slembench run --dataset mos2-mini --model slem --variant board --out runs/a

        slembench dev expected runs/a

        slembench dev expected runs/a --write --tolerance 0.3

    writes (or replaces) the entry of the run's data set from the run.
    """
    from slembench.results.expected import compare_with_expected, read_expected
    from slembench.results.record import RECORD_FILE, read_record

    bad = False
    for folder in runs:
        # The folder of a run holds one folder a split; that of a single record (a floor) is one itself.
        record = read_record(folder if (folder / RECORD_FILE).is_file() else folder / split)
        home = model or _model_folder(record)
        if write:
            typer.echo(_write_expected(record, home, tolerance, score))
            continue
        findings = compare_with_expected(record, read_expected(home))
        _show_findings(f"{record.dataset}, {record.model}, run {record.name}", findings)
        bad = bad or any(finding.verdict in ("worse", "missing") for finding in findings)
    if bad:
        raise typer.Exit(1)


def _model_folder(record: RunRecord) -> Path:
    from slembench.core.errors import DataError
    from slembench.models.registry import model_folder

    # A model from a folder is named by its path in the configuration, by the class's name in the record.
    name = str(record.config.get("model", {}).get("name", record.model))
    folder = model_folder(name)
    if folder is None:
        raise DataError(f"record {record.name}: no folder of model {name!r} here; give --model")
    return folder


def _write_expected(record: RunRecord, home: Path, tolerance: float, scores: list[str] | None) -> Path:
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
    # A copy, so that what the file says of the untrained model stays.
    changed = {"description": description, "runs": {**before.runs, record.dataset: entry}}
    return write_expected(home, before.model_copy(update=changed))


def _show_findings(title: str, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", title=title, title_justify="left")
    for heading in ("expected", "found"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True)
    for finding in findings:
        found = "-" if finding.found is None else format_score(finding.found, finding.unit)
        table.add_row(finding.score, format_score(finding.expected, finding.unit), found, finding.verdict)
    Console().print(table)


def rescore_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, searched with their subfolders.")],
    dataset: Annotated[
        str | None, typer.Option(help="Data set of the runs, a name or a folder. Default: as in their config.yaml.")
    ] = None,
    floors: Annotated[bool, typer.Option(help="Score the floors again, too.")] = True,
    physics: Annotated[bool, typer.Option(help="Check the physics of the models again.")] = True,
    threads: SolverThreads = None,
) -> None:
    """Score finished runs again with today's metrics and data set cards, without training again.

    For every run in the given folders or below, the predictions of each split and the floors are scored anew, the
    physics of the model is measured again from the checkpoint, and records and tables are replaced; training, cost and
    date stay.

        slembench dev rescore runs

        slembench dev rescore runs/mos2-mini/slem-mini --no-floors

        slembench dev rescore runs/mine --dataset path/to/my-data
    """
    from slembench.core.errors import SlembenchError
    from slembench.harness.rescore import find_runs, rescore

    failed = []
    found = find_runs(runs)
    for folder in found:
        try:
            rescore(folder, dataset=dataset, floors=floors, physics=physics, threads=threads)
        except SlembenchError as error:
            # One broken run of many must not cost the others; the exit code says that there was one.
            failed.append(folder)
            logger.error("%s: %s", folder, error)
    typer.echo(f"{len(found) - len(failed)} of {len(found)} runs scored again")
    if failed:
        raise typer.Exit(1)


def claims_command(
    root: Annotated[
        Path | None, typer.Option(help="Root of the project, with results/ and benchmarks/. Default: where it lies.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Markdown page to write.")] = None,
) -> None:
    """Check the claims of papers and posters, one by one, against the committed results.

        slembench dev claims

    prints each claim with its outcome: held, did not hold, or undecided where an interval allows both.

        slembench dev claims --out docs/reproduction.md

    writes the page with all numbers. The claims stand in results/claims.yaml with what decides about each: an order of
    entries, growth of an error with fewer structures, transfer to other structures, or a figure of a benchmark's
    record.
    """
    from rich.console import Console
    from rich.table import Table

    from slembench.core.assets import asset_roots
    from slembench.core.errors import DataError
    from slembench.studies.claims.page import CLAIMS, evaluate_claims, write_page

    root = root or asset_roots("results")[0].parent
    if not (root / CLAIMS).is_file():
        raise DataError(f"{root / CLAIMS} does not exist; name the project's folder with --root")
    judged = evaluate_claims(root)
    table = Table(show_lines=True)
    for heading in ("claim", "here", "by"):
        table.add_column(heading, overflow="fold")
    for claim, verdict in judged:
        table.add_row(claim.claim, verdict.text, verdict.reason)
    console = Console()
    console.print(table)
    if out is not None:
        console.print(f"wrote {write_page(judged, root, out)}", highlight=False)


def results_add_command(results: ResultsFolder = None) -> None:
    """Add every folder with a record that is not in the index yet; refused where an indexed one was changed.

        slembench dev results add

    An entry is a folder with a record.yaml below results/runs, results/studies or results/submissions.
    """
    from slembench.results.index import add_entries

    root = _results_root(results)
    new = add_entries(root)
    for entry in new:
        typer.echo(f"added {entry.path}")
    typer.echo(f"{len(new)} entries added to {root / 'index.csv'}")


def results_check_command(results: ResultsFolder = None) -> None:
    """List what is wrong: entries that are gone, changed, not indexed or there twice; exit code 1 if anything is.

        slembench dev results check

    The index holds a checksum of every record; a test of the project runs the same check.
    """
    from slembench.results.index import check_index, read_index

    root = _results_root(results)
    problems = check_index(root)
    for problem in problems:  # on stdout: they are what was asked for, not messages about the work
        typer.echo(problem)
    typer.echo(f"{len(read_index(root))} entries, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def results_supersede_command(
    path: Annotated[str, typer.Argument(help="Path of the entry, as in the index.")],
    by: Annotated[str, typer.Option(help="Path of the entry that takes its place.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the board.")],
    results: ResultsFolder = None,
) -> None:
    r"""Mark an entry as superseded: shown on the board with the reason, not ranked.

        slembench dev results supersede runs/old/test --by runs/new/test \
            --reason "longer training"

    Both are paths of entries as they stand in the index.
    """
    from slembench.results.index import retire

    retire(_results_root(results), path, reason, by)
    typer.echo(f"{path} is superseded by {by}")


def results_withdraw_command(
    path: Annotated[str, typer.Argument(help="Path of the entry, as in the index.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the board.")],
    results: ResultsFolder = None,
) -> None:
    r"""Mark an entry as withdrawn: shown on the board with the reason, not ranked.

        slembench dev results withdraw submissions/mos2-mini/x/test \
            --reason "trained on test structures"

    The files stay, so that the reason can be followed.
    """
    from slembench.results.index import retire

    retire(_results_root(results), path, reason)
    typer.echo(f"{path} is withdrawn")


def _results_root(results: Path | None) -> Path:
    from slembench.core.assets import asset_path

    return results if results is not None else asset_path("results")


def schema_command() -> None:
    """Print the JSON schema of submission.yaml.

        slembench dev schema > submission.schema.json

    Editors and other programs check a submission with it; `slembench verify` checks far more.
    """
    from slembench.submission.submission import submission_schema

    typer.echo(json.dumps(submission_schema(), indent=1))
