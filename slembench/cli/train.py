"""``slembench run`` and ``train``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from slembench.harness import Job
    from slembench.results.record import RunRecord
    from slembench.training.distributed import World

RUN_HELP = """Train a model on a data set, predict the test splits, score them, and write the records.

A run that was stopped, however hard, goes on where it stood when the same command is given again. Its folder
holds config.yaml, log.jsonl, checkpoint/ and, for each test split, record.yaml with its tables and predictions.

    slembench run --dataset mos2-mini --model slem --variant quickstart

    slembench run --dataset mos2-mini --model slem --set training.max_steps=500 --set model.n_layers=2

    slembench run --dataset mos2-mini --model path/to/my-model --partition 20 --seed 1 --out runs/mine-20

    slembench run --dataset my-strained-mos2 --model slem --init-from runs/mine --out runs/fine-tuned

Settings come from the model's recipe.yaml, then the variant, then `--set`. An unknown key is refused with the list of
known ones.
"""

TRAIN_HELP = """Train a model on a data set; the same as the first stage of `slembench run`.

    slembench train --dataset mos2-mini --model slem --out runs/mine

    slembench predict --checkpoint runs/mine --dataset mos2-mini --split test --out mine.h5

In several processes, on one machine or many; each has a part of every batch, so give a batch of that many structures:

    torchrun --nproc-per-node=2 -m slembench train --dataset qh9-mini --model lem --variant quickstart
    --set training.batch_size=8 --out runs/two

The best weights by validation loss stand in OUT/checkpoint/best (safetensors and JSON), the log in OUT/log.jsonl.
"""

Data = Annotated[str, typer.Option(help="Data set: a name from `slembench data list`, or a folder.")]
ModelName = Annotated[
    str, typer.Option(help="Model: a shipped name such as slem, a folder with model.py, or package.module:Class.")
]
Recipe = Annotated[Path | None, typer.Option(help="Recipe file to use instead of the model's own.")]
Variant = Annotated[str, typer.Option(help="Variant of the recipe, such as quickstart or reference.")]
Change = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; repeatable.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of initial weights and data order.")]
Partition = Annotated[int, typer.Option(help="Per cent of the training split: 100, 80, 60, 40 or 20, nested.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with. Default: torch's choice.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the run. Default: runs/DATASET/NAME.")]
Name = Annotated[str | None, typer.Option(help="Name of the run. Default: model, variant and a hash of all settings.")]
InitFrom = Annotated[
    Path | None, typer.Option(help="Run or checkpoint whose weights the training starts from. Default: random weights.")
]
Fresh = Annotated[bool, typer.Option("--fresh/--resume", help="Begin again, or go on from what is there.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("run", help=RUN_HELP)(run_command)
    app.command("train", help=TRAIN_HELP)(train_command)


def run_command(
    dataset: Data,
    model: ModelName,
    variant: Variant = "",
    change: Change = None,
    recipe: Recipe = None,
    seed: Seed = None,
    partition: Partition = 100,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to predict; repeatable. Default: all but train and val.")
    ] = None,
    threads: Threads = None,
    out: Out = None,
    name: Name = None,
    fresh: Fresh = False,
    init_from: InitFrom = None,
    floors: Annotated[bool, typer.Option(help="Score the floors on the same splits too.")] = True,
) -> None:
    """Train, predict, score and record."""
    with _prepared(dataset, model, variant, change, recipe, seed, partition, threads, out, name, fresh, init_from) as (
        job,
        world,
    ):
        records = job.run(split, floors)
    if world.first:
        _show(job, records)


def train_command(
    dataset: Data,
    model: ModelName,
    variant: Variant = "",
    change: Change = None,
    recipe: Recipe = None,
    seed: Seed = None,
    partition: Partition = 100,
    threads: Threads = None,
    out: Out = None,
    name: Name = None,
    fresh: Fresh = False,
    init_from: InitFrom = None,
) -> None:
    """Train only."""
    with _prepared(dataset, model, variant, change, recipe, seed, partition, threads, out, name, fresh, init_from) as (
        job,
        world,
    ):
        _, result = job.train()
    if world.first:
        typer.echo(result.checkpoint)


@contextmanager
def _prepared(
    dataset: str,
    model: str,
    variant: str,
    change: list[str] | None,
    recipe: Path | None,
    seed: int | None,
    partition: int,
    threads: int | None,
    out: Path | None,
    name: str | None,
    fresh: bool,
    init_from: Path | None,
) -> Iterator[tuple[Job, World]]:
    """The run that the options ask for, and the processes that share it; they part at the end of the block."""
    from slembench.harness import load_settings, prepare
    from slembench.training.distributed import together
    from slembench.training.numerics import keep_freed_memory

    keep_freed_memory()
    settings = load_settings(model, recipe=recipe, variant=variant, changes=change or (), seed=seed)
    with together(settings.training.device) as world:
        job = prepare(
            dataset,
            settings,
            partition=partition,
            out=out,
            name=name,
            fresh=fresh,
            threads=threads,
            init_from=init_from,
            tell=_tell if world.first else lambda text: None,
        )
        yield job, world


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _show(job: Job, records: dict[str, RunRecord]) -> None:
    """Official scores of every split beside the floors', and where everything lies."""
    from rich.console import Console

    from slembench.cli.score_table import score_table

    console = Console()
    for split, record in records.items():
        floors = job.scoring.floor_records(split)
        console.print(score_table(job.data.card, split, {job.name: record, **floors}))
    console.print(
        f"records in {job.folder}; rank them with: slembench leaderboard --runs {job.folder}", highlight=False
    )
