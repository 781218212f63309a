"""``slembench run``: one run from data to record, or its training alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slembench.cli.options import Change, DatasetName, Threads

if TYPE_CHECKING:
    from slembench.harness import Run
    from slembench.results.record import RunRecord

WHAT, WHERE = "What is trained", "Where it is kept, and how far it goes"
"""Panels of the help page."""


def run_command(
    dataset: DatasetName,
    model: Annotated[
        str,
        typer.Option(
            help="Model: a name from `models list`, a folder with model.py, or package.module:Class.",
            rich_help_panel=WHAT,
        ),
    ],
    variant: Annotated[
        str, typer.Option(help="Variant of the recipe, such as quickstart or board.", rich_help_panel=WHAT)
    ] = "",
    change: Change = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe file instead of the model's own.", rich_help_panel=WHAT)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of initial weights and order of batches.", rich_help_panel=WHAT)
    ] = None,
    partition: Annotated[
        int,
        typer.Option(help="Per cent of the training split: 100, 80, 60, 40 or 20, nested.", rich_help_panel=WHAT),
    ] = 100,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Run or checkpoint with the initial weights. Default: random weights.", rich_help_panel=WHAT),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Split to predict and score; repeatable. Default: all but train and val.", rich_help_panel=WHERE
        ),
    ] = None,
    floors: Annotated[
        bool, typer.Option(help="Score the floors on the same splits too.", rich_help_panel=WHERE)
    ] = True,
    stop_after: Annotated[
        Literal["train"] | None,
        typer.Option(help="Stop after this stage; the same command without it goes on.", rich_help_panel=WHERE),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: runs/DATASET/NAME.", rich_help_panel=WHERE)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the run. Default: model, variant and a hash of all settings.", rich_help_panel=WHERE
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh/--resume", help="Begin again, or go on from what is there.", rich_help_panel=WHERE),
    ] = False,
    threads: Threads = None,
) -> None:
    r"""Train a model on a data set, predict the test splits, score them, and write the records.

    A run that was stopped, however hard, goes on where it stood when the same command is given again. Its folder holds
    config.yaml, log.jsonl, checkpoint/ and, for each test split, record.yaml with its tables and predictions.

        slembench run --dataset mos2-mini --model slem --variant quickstart

        slembench run --dataset mos2-mini --model slem --set model.n_layers=2

        slembench run --dataset mos2-mini --model my-model --partition 20

    Settings come from the model's recipe.yaml, then the variant, then `--set`. An unknown key is refused with the list
    of known ones. Only train, and start another training from those weights:

        slembench run --dataset mos2-mini --model slem --stop-after train --out a

        slembench run --dataset my-strained-mos2 --model slem --init-from a

    In several processes, on one machine or many; each has a part of every batch, so give a batch of that many
    structures:

        torchrun --nproc-per-node=2 -m slembench run --dataset qh9-mini \
            --model lem --set training.batch_size=8
    """
    from slembench.harness import RunConfig, open_run
    from slembench.training.distributed import current_process_group

    config = RunConfig(
        dataset,
        model,
        recipe=recipe,
        variant=variant,
        changes=change or (),
        seed=seed,
        partition=partition,
        splits=split or (),
        floors=floors,
        init_from=init_from,
        out=out,
        name=name,
        fresh=fresh,
        threads=threads,
        stop_after=stop_after,
    )
    # Joins the process group where torchrun started several processes; they stay joined until they end.
    with open_run(config) as run:
        records = run.execute()
        is_main = current_process_group().is_main
    # Every process of torchrun comes here; the main one alone prints.
    if is_main and stop_after == "train":
        typer.echo(run.checkpoint)
    elif is_main:
        _show(run, records)


def _show(run: Run, records: dict[str, RunRecord]) -> None:
    """Official scores of every split beside the floors', and where everything lies."""
    from rich.console import Console

    from slembench.cli.evaluate import score_table

    console = Console()
    for split, record in records.items():
        # Floors that were left out (--no-floors) but lie there from an earlier call are shown all the same.
        floors = run.scoring.floor_records(split)
        console.print(score_table(run.data.card, split, {run.name: record, **floors}))
    console.print(f"records in {run.folder}; rank them with: slembench board --runs {run.folder}", highlight=False)
