"""``slembench evaluate``: score a predictions file, or the floors, on a split of a data set."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.data import Dataset
    from slembench.evaluation import Evaluation
    from slembench.metrics.scores import Score
    from slembench.predictions import PredictionSource

HELP = """Score predictions on a split of a data set.

Any program may write the predictions file; `PredictionWriter` in Python writes it structure by structure
(`python -c "import slembench.predictions; help(slembench.predictions)"` describes the layout). The pairs that count,
the k mesh and the official numbers stand on the data set's card. What is not predicted counts as zero, and is listed.

    slembench evaluate --dataset mos2-mini --predictions mine.h5

    slembench evaluate --dataset mos2-mini --predictions mine.h5 --floors --out scores/

    slembench evaluate --dataset mos2-mini --floors --split test_3x3

Cheap metrics are always computed; dear ones on request: bands along a k path, self-consistent runs of molecules from
the predictions (PySCF, resumable), the spread of an ensemble, and physics checks of a trained model.

    slembench evaluate --dataset qh9-mini --predictions mine.h5 --scf

    slembench evaluate --dataset mos2-mini --predictions seed0.h5 --ensemble seed1.h5 --ensemble seed2.h5

    slembench evaluate --dataset mos2-mini --predictions mine.h5 --physics runs/mine
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("evaluate", help=HELP)(evaluate_command)


def evaluate_command(
    dataset: Annotated[str, typer.Option(help="Data set: a name from `slembench data list`, or a folder.")],
    predictions: Annotated[Path | None, typer.Option(help="Predictions file (HDF5) to score.")] = None,
    split: Annotated[str, typer.Option(help="Split to score.")] = "test",
    floors: Annotated[bool, typer.Option("--floors", help="Score the floors too.")] = False,
    bands: Annotated[bool, typer.Option(help="Compute energy levels as well as matrix errors.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for scores.json and the tables (Parquet).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all scores as JSON instead of the table.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all scores, not only the main ones.")] = False,
    cache: Annotated[bool, typer.Option(help="Keep the reference levels in the user's cache folder.")] = True,
    path: Annotated[bool, typer.Option("--path", help="Score crystals along a k path, too.")] = False,
    scf: Annotated[bool, typer.Option("--scf", help="One-shot energies and self-consistent runs (PySCF).")] = False,
    ensemble: Annotated[
        list[Path] | None, typer.Option(help="Predictions of another member; the mean is scored. Repeatable.")
    ] = None,
    physics: Annotated[
        Path | None, typer.Option(help="Run or checkpoint whose model is checked on the first structure.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Structures solved at once.")] = None,
) -> None:
    """Score a predictions file, or the floors."""
    from slembench.core.files import write_text
    from slembench.data import load_dataset
    from slembench.evaluation.sources import EnsembleSource
    from slembench.predictions import read_predictions

    if predictions is None and not floors:
        raise ConfigError("nothing to score: give --predictions FILE, or --floors")
    data = load_dataset(dataset)
    with ExitStack() as stack:
        sources: list[PredictionSource] = []
        if predictions is not None:
            members = [stack.enter_context(read_predictions(file)) for file in (predictions, *(ensemble or ()))]
            sources.append(EnsembleSource(members) if ensemble else members[0])
        if floors:
            sources += _floors(data, split, sources, scf)
        settings: dict[str, Any] = {"bands": bands, "path": path, "scf": scf, "threads": threads}
        results = [_evaluate(data, source, split, cache, settings) for source in sources]
    checks = _physics(data, split, physics) if physics is not None else {}
    if out is not None:
        for result in results:
            _write(result, out if result is results[0] else out / result.model)
        if checks:
            write_text(out / "physics.json", json.dumps(checks, indent=1) + "\n")
    if as_json:
        contents = [_content(result) for result in results]
        typer.echo(json.dumps([*contents, {"physics": checks}] if checks else contents, indent=1))
    else:
        _show(data, results, everything)
        _show_physics(checks)


def _floors(data: Dataset, split: str, sources: list[PredictionSource], scf: bool) -> list[PredictionSource]:
    from slembench.evaluation.floors import FLOORS, floor_predictions

    operators = [op for op in data.card.operators if not sources or op in sources[0].operators]
    names = [*FLOORS, "atoms"] if scf and data.card.scf and set(operators) != {"overlap"} else FLOORS
    return [floor_predictions(data, name, split, operators) for name in names]


def _physics(data: Dataset, split: str, checkpoint: Path) -> dict[str, dict[str, Any]]:
    """Physics checks of a trained model, in float64, on the first structure of the split."""
    from slembench.inference.physics import model_physics
    from slembench.training.checkpoint import load_model

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


def _evaluate(data: Dataset, source: PredictionSource, split: str, cache: bool, settings: dict[str, Any]) -> Evaluation:
    from slembench.evaluation import evaluate, level_cache

    return evaluate(
        data,
        source,
        split,
        **settings,
        cache=level_cache() if cache else None,
    )


def _write(result: Evaluation, folder: Path) -> None:
    from slembench.core.files import write_text
    from slembench.results.record import write_tables

    folder.mkdir(parents=True, exist_ok=True)
    write_tables(result, folder)
    write_text(folder / "scores.json", json.dumps(_content(result), indent=1) + "\n")


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
        values = [_text(result.scores[name]) if name in result.scores else "-" for result in results]
        table.add_row(f"{name} *" if name in marked else name, *values)
    console = Console()
    console.print(table)
    console.print(f"Official: {', '.join(official.metrics)}; counting {official.counting}, average {official.average}.")
    for line in _problems(results):
        console.print(line, highlight=False)


def _text(score: Score) -> str:
    """Value with its unit; energies in eV are shown in meV."""
    if score.unit == "eV":
        return f"{1000 * score.value:.4g} meV"
    return f"{score.value:.4g}" if score.unit == "1" else f"{score.value:.4g} {score.unit}"


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
        reasons: dict[str, list[str]] = {}
        for name, why in result.unavailable.items():
            reasons.setdefault(why, []).append(name)
        lines += [f"{result.model}: not available, {why}: {', '.join(names)}" for why, names in reasons.items()]
    return lines


def _few(items: list[str]) -> str:
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
