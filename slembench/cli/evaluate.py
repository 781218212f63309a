"""``slembench evaluate``: score predictions files, floors and finished runs on a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.cli.options import AsJson, DatasetName, SolverThreads, refuse_options
from slembench.core.errors import ConfigError
from slembench.core.progress import progress
from slembench.tables.cells import display_unit, format_score, format_value

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from slembench.data import Dataset
    from slembench.data.card import Card
    from slembench.evaluation import Evaluation
    from slembench.predictions import Predictions, PredictionSource
    from slembench.results.record import RunRecord

METRICS, SHOWN = "Metrics that are computed on request", "What is shown and written"
FLOORS_PANEL, SCF_PANEL = "Records of the floors", "Self-consistent runs of several models"
"""Panels of the help page."""

SCORE_OPTIONS = ("ensemble", "physics", "bands", "path", "everything", "as_json", "cache", "threads")
RECORD_OPTIONS = ("partition", "again")
"""Options of scores alone, and of records of the floors alone."""


def evaluate_command(
    context: typer.Context,
    dataset: DatasetName,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...", help="With --scf: folders of finished runs, or predictions files, in one table."
        ),
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions file (HDF5) to score.")] = None,
    floors: Annotated[bool, typer.Option("--floors", help="Score the floors too, or alone.")] = False,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split to score (default: test). With --records repeatable (default: all test splits)."),
    ] = None,
    threads: SolverThreads = None,
    bands: Annotated[
        bool, typer.Option(help="Energy levels as well as matrix errors.", rich_help_panel=METRICS)
    ] = True,
    path: Annotated[bool, typer.Option("--path", help="Bands along a k path.", rich_help_panel=METRICS)] = False,
    scf: Annotated[
        bool, typer.Option("--scf", help="One-shot energies and SCF iterations (PySCF).", rich_help_panel=METRICS)
    ] = False,
    ensemble: Annotated[
        list[Path] | None,
        typer.Option(help="Predictions of another member; the mean is scored. Repeatable.", rich_help_panel=METRICS),
    ] = None,
    physics: Annotated[
        Path | None,
        typer.Option(help="Run or checkpoint whose model is checked on a structure.", rich_help_panel=METRICS),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for scores.json and tables (Parquet), or scf.csv and scf.md.", rich_help_panel=SHOWN),
    ] = None,
    as_json: AsJson = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all scores, not only the main ones.", rich_help_panel=SHOWN)
    ] = False,
    cache: Annotated[
        bool, typer.Option(help="Keep the reference levels in the user's cache folder.", rich_help_panel=SHOWN)
    ] = True,
    records: Annotated[
        Path | None,
        typer.Option(help="Folder for records of the floors, for the board.", rich_help_panel=FLOORS_PANEL),
    ] = None,
    partition: Annotated[
        int, typer.Option(help="Per cent of the training split they are fitted on.", rich_help_panel=FLOORS_PANEL)
    ] = 100,
    again: Annotated[
        bool, typer.Option("--again", help="Score again what is there.", rich_help_panel=FLOORS_PANEL)
    ] = False,
    structures: Annotated[
        int | None, typer.Option(min=1, help="Only the first molecules of the split.", rich_help_panel=SCF_PANEL)
    ] = None,
) -> None:
    r"""Score predictions on a split of a data set, beside the floors; or the floors alone.

    Any program may write the predictions file; `data template` makes one to be filled in, `PredictionWriter` in Python
    writes it structure by structure. The pairs that count, the k mesh and the official scores stand on the data set's
    card. What is not predicted counts as zero, and is listed.

        slembench evaluate --dataset mos2-mini --predictions mine.h5

        slembench evaluate --dataset mos2-mini --predictions mine.h5 --floors \
            --out scores/

        slembench evaluate --dataset mos2-mini --predictions seed0.h5 \
            --ensemble seed1.h5 --ensemble seed2.h5

        slembench evaluate --dataset mos2-mini --predictions mine.h5 \
            --physics runs/mine

    Floors are predictors without learning: zero, the mean of every irrep, a two-body fit. `run` scores them beside
    every run; for all operators of a data set, kept as records for the board:

        slembench evaluate --dataset mos2-mini --floors --records runs/mos2-mini

    SCF of molecules that begins from each prediction and from the card's initial guess (minao), at the protocol on the
    card: the energy error of a single evaluation, and iterations beside those from the guess. An H gives its density by
    its occupied orbitals, a D is taken as it is. Finished calculations are kept, so a stopped command goes on.

        slembench evaluate --dataset qh9-mini --predictions mine.h5 --scf

        slembench evaluate --dataset qh9-mini --scf runs/lem-h runs/lem-d
    """
    from slembench.data import load_dataset

    if runs and (not scf or predictions or floors):
        raise ConfigError("runs make a table of self-consistent runs: give --scf, without --predictions and --floors")
    if records is not None and (predictions or not floors):
        raise ConfigError("--records keeps scores of the floors: give --floors, without --predictions")
    if predictions is None:
        refuse_options(context, ["ensemble"], "gives further members: name the first one with --predictions")
    if not (predictions or floors or runs):
        raise ConfigError("nothing to score: give --predictions FILE, or --floors")
    if not runs:
        refuse_options(context, ["structures"], "belongs to a table of self-consistent runs: --scf RUN...")
    if records is None:
        refuse_options(context, RECORD_OPTIONS, "belongs to records of the floors: --floors --records FOLDER")
    if records is not None:
        refuse_options(context, ["out", "scf"], "has no meaning for records of the floors; leave it out")
    if records is not None or runs:
        refuse_options(context, SCORE_OPTIONS, "has no meaning here; leave it out")
    if records is None and len(split or ()) > 1:
        raise ConfigError("--split: give one split; several are for --records")
    data, chosen = load_dataset(dataset), split[0] if split else "test"
    if records is not None:
        _record_floors(data, records, split or (), partition, again)
        return
    if runs:
        _scf_table(data, runs, chosen, structures, out)
        return
    results = _scores(
        data,
        [predictions, *(ensemble or ())] if predictions is not None else [],
        floors,
        chosen,
        cache,
        {"bands": bands, "path": path, "scf": scf, "threads": threads},
    )
    checks = _physics(data, chosen, physics) if physics is not None else {}
    if out is not None:
        _write(results, checks, out)
    if as_json:
        contents = [_content(result) for result in results]
        typer.echo(json.dumps([*contents, {"physics": checks}] if checks else contents, indent=1))
    else:
        _show(data, results, everything)
        _show_physics(checks)


def _scores(
    data: Dataset, files: Sequence[Path], floors: bool, split: str, cache: bool, settings: dict[str, Any]
) -> list[Evaluation]:
    """Scores of the predictions (the mean of several files), then of the floors."""
    from slembench.evaluation import evaluate, level_cache
    from slembench.evaluation.floors import FLOORS, floor_predictions
    from slembench.evaluation.sources import EnsembleSource
    from slembench.predictions import read_predictions

    with ExitStack() as stack:
        members = [stack.enter_context(read_predictions(file)) for file in files]
        sources: list[PredictionSource] = []
        if members:
            sources.append(EnsembleSource(members) if len(members) > 1 else members[0])
        if floors:
            # Only what the model predicts too: a floor of the density beside an H model says nothing.
            operators = [op for op in data.card.operators if not sources or op in sources[0].operators]
            names = list(FLOORS)
            if settings["scf"] and data.card.scf and set(operators) != {"overlap"}:
                names.append("atoms")  # superposed atomic densities: the floor that an SCF begins from
            sources += [floor_predictions(data, name, split, operators) for name in names]
        # The levels of the reference are the same for all sources: computed once, then read from the cache.
        kept = level_cache() if cache else None
        return [evaluate(data, source, split, **settings, cache=kept) for source in sources]


def _record_floors(data: Dataset, folder: Path, splits: Sequence[str], partition: int, again: bool) -> None:
    """Score the floors for all operators of a data set and keep their records below ``folder``/floors."""
    from rich.console import Console

    from slembench.harness.scoring import score_floors

    records = score_floors(data, folder, splits=splits, partition=partition, again=again)
    console = Console()
    for name, floors in records.items():
        console.print(score_table(data.card, name, floors))
    console.print(f"records in {folder / 'floors'}", highlight=False)


def _scf_table(data: Dataset, sources: Sequence[Path], split: str, structures: int | None, out: Path | None) -> None:
    """One-shot energies and self-consistent runs from the predictions of several runs, in one table."""
    from slembench.core.files import write_text
    from slembench.evaluation import level_cache
    from slembench.evaluation.scf import scf_summary, scf_table

    ids = data.split(split)[:structures]  # None takes all
    with ExitStack() as stack:
        opened = [stack.enter_context(_run_predictions(source, split)) for source in sources]
        names = [f"{reader.attrs.model} ({source.name})" for reader, source in zip(opened, sources)]
        molecules = progress(ids, "self-consistent runs")
        table = scf_table(data, dict(zip(names, opened)), molecules, level_cache() / "scf")
    text = _markdown(scf_summary(table), data.card.units.energy)
    typer.echo(text)
    if out is not None:
        for path, content in ((out / "scf.csv", table.to_csv(index=False)), (out / "scf.md", text + "\n")):
            typer.echo(f"wrote {write_text(path, content)}")


def _run_predictions(source: Path, split: str) -> Predictions:
    from slembench.predictions import read_predictions
    from slembench.predictions.format import PREDICTIONS_FILE

    file = source / split / PREDICTIONS_FILE if source.is_dir() else source
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; give the folder of a finished run, or a predictions file")
    return read_predictions(file)


def score_table(card: Card, split: str, records: Mapping[str, RunRecord]) -> Table:
    """Official scores of records beside each other.

    Args:
        card: of the data set.
        split: all records are of it.
        records: heading -> record, at least one; a score that a record lacks is a dash.
    """
    from rich.table import Table

    from slembench.evaluation import official_scores

    table = Table(title=f"{card.name}, split {split}", title_justify="left")
    table.add_column("score", overflow="fold")  # names differ at their ends
    for heading in records:
        table.add_column(heading, overflow="fold")
    # A dictionary in the place of a set: it keeps the order in which the scores come.
    names = {score: None for record in records.values() for score in record.scores}
    for score in official_scores(card, list(names)):
        values = [record.scores.get(score) for record in records.values()]
        table.add_row(score, *(format_score(v.value, v.unit) if v else "-" for v in values))
    return table


def _physics(data: Dataset, split: str, checkpoint: Path) -> dict[str, dict[str, Any]]:
    """Physics checks of a trained model, in float64, on the first structure of the split."""
    from slembench.inference.physics import model_physics
    from slembench.training.checkpoint import load_model

    # One structure is enough: a broken symmetry shows on every one, and float64 tells it from rounding.
    report = model_physics(load_model(checkpoint), data.sample(data.split(split)[0]).atoms)
    return {name: check.content() for name, check in report.items()}


def _show_physics(checks: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not checks:
        return
    table = Table("physics check", "largest", "mean", "limit", "passed", "what", title_justify="left")
    for name, check in checks.items():
        numbers = [f"{check[key]:.2g}" if check[key] is not None else "n/a" for key in ("value", "mean", "limit")]
        word = {True: "yes", False: "NO", None: "n/a"}[check["passed"]]
        table.add_row(name, *numbers, word, check["note"])
    Console().print(table)


def _write(results: Sequence[Evaluation], checks: dict[str, dict[str, Any]], out: Path) -> None:
    """Scores and tables of the predictions in ``out``, those of every floor in a folder of its own below."""
    from slembench.core.files import write_text
    from slembench.results.record import write_tables

    for result in results:
        # The first is what was asked about (the predictions where there are some); floors lie beside it.
        folder = out if result is results[0] else out / result.model
        folder.mkdir(parents=True, exist_ok=True)
        write_tables(result, folder)
        write_text(folder / "scores.json", json.dumps(_content(result), indent=1) + "\n")
    if checks:
        write_text(out / "physics.json", json.dumps(checks, indent=1) + "\n")


def _content(result: Evaluation) -> dict[str, object]:
    return {
        "dataset": result.dataset,
        "split": result.split,
        "model": result.model,
        "structures": len(result.per_structure),
        "scores": {name: score._asdict() for name, score in result.scores.items()},
        "unavailable": result.unavailable,
        "missing_structures": result.missing,
        "unknown_structures": result.unknown,
        "block_issues": result.block_issues.to_dict("records"),
    }


def _show(data: Dataset, results: list[Evaluation], everything: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from slembench.evaluation import main_scores, official_scores

    first, official = results[0], data.card.official
    names = list(first.scores) if everything else main_scores(data.card, list(first.scores))
    marked = official_scores(data.card, list(first.scores))
    table = Table(
        title=f"{data.name}, split {first.split}, {len(first.per_structure)} structures", title_justify="left"
    )
    table.add_column("score (* official)")
    for result in results:
        table.add_column(result.model, justify="right")
    for name in names:
        scores = [result.scores.get(name) for result in results]
        values = [format_score(score.value, score.unit) if score else "-" for score in scores]
        table.add_row(f"{name} *" if name in marked else name, *values)
    console = Console()
    console.print(table)
    console.print(f"Official: {', '.join(official.metrics)}; counting {official.counting}, average {official.average}.")
    for line in _problems(results):
        console.print(line, highlight=False)


def _problems(results: list[Evaluation]) -> list[str]:
    """What was missing, too much or not available, one line each."""
    lines = []
    for result in results:
        blocks = result.block_issues
        found = {
            "structures without a prediction, counted as zero": result.missing,
            "predicted structures that are not in the split, not scored": result.unknown,
        }
        for kind, text in (
            ("missing", "blocks missing, counted as zero"),
            ("extra", "extra blocks, counted against zero"),
        ):
            rows = blocks[blocks["kind"] == kind].itertuples()
            found[text] = [f"{r.id} {r.operator} ({r.i}, {r.j}, [{r.R1} {r.R2} {r.R3}])" for r in rows]
        lines += [f"{result.model}: {len(items)} {text}: {_few(items)}" for text, items in found.items() if items]
        # One reason often stands for a dozen metrics (no overlap predicted, say): one line for all of them.
        reasons: dict[str, list[str]] = {}
        for name, why in result.unavailable.items():
            reasons.setdefault(why, []).append(name)
        lines += [f"{result.model}: not available, {why}: {', '.join(names)}" for why, names in reasons.items()]
    return lines


def _few(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _markdown(summary: pd.DataFrame, unit: str) -> str:
    """Summary as a Markdown table, energies in the unit in which scores are shown."""
    word, factor = display_unit(unit)
    heads = (
        "from", "molecules", f"energy error, {word}", f"that of the guess, {word}", "iterations", "from the guess",
        "ratio", "lowest - highest ratio", "optimal ratio", "error level",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in summary.to_dict("records"):
        cells = (
            f"{row['model']}, {row['operator']}", f"{row['converged']} of {row['molecules']} converged",
            format_value(factor * row["energy_error"]), format_value(factor * row["energy_error_guess"]),
            f"{row['scf_iterations']:.2f}", f"{row['scf_iterations_guess']:.2f}", f"{row['scf_ratio']:.3f}",
            f"{row['lowest_ratio']:.3f} - {row['highest_ratio']:.3f}", f"{row['scf_ratio_optimal']:.3f}",
            f"{row['scf_error_level']:.3f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
