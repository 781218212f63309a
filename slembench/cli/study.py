"""``slembench study``: plan, run and report tables of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from slembench.cli import study_work
from slembench.cli.study_work import Work

if TYPE_CHECKING:
    from slembench.studies.designs import Options

AREA_HELP = """Plan, run and report tables of runs: data efficiency, transfer, locality, seeds; and cost against size.

A study is a folder with its plan (plan.yaml, an explicit table that may be edited), its runs under runs/KEY, and its
report. A command writes the plan, shows it with its estimated cost, works through it and writes the report; given again
after any interruption it goes on where it was. A finished run is never done twice, also when the plan grows; a
plan without the finished runs of its folder is refused.
"""

EFFICIENCY_HELP = """Errors against the amount of training data, with fitted power laws.

    slembench study data-efficiency --dataset mos2-mini --models slem@0.7M-mini,deeph-e3@quickstart
    --fractions 1,.8,.6,.4,.2 --cpu-seconds 100 --out runs/data-efficiency

    slembench study data-efficiency --dataset mos2-mini --models slem --steps 500 --seeds 0,1 --jobs 2 --plan-only

The parts of the training split are nested; every model gets the same budget on each.
"""

TRANSFER_HELP = """Trained on one kind of structures, tested on another, with 0 to n of the other's own.

    slembench study transfer --dataset mos2-mini --models slem@0.7M-mini --shots 0,1 --cpu-seconds 100 --out runs/cells

    slembench study transfer --dataset md17-mini --models lem --by composition --shots 0,4,16 --out runs/composition

Kinds: `--by split` takes the training data as the one source and every further split (larger cells, a higher
temperature) as a target, half of which is kept for testing; `--by size` and `--by composition` take the structures of
one number of atoms or one formula. The report holds the matrix of transfers and the errors after fine-tuning, beside
those of models that saw nothing but the few structures.
"""

LOCALITY_HELP = """Error against cutoff and layers: a strictly local model, and one that sees further with every layer.

    slembench study locality --dataset mos2-mini --models slem@0.7M-mini,lem@quickstart --factors 1,.8,.6 --layers 1,2,3
    --cpu-seconds 60 --out runs/locality
"""

SEEDS_HELP = """How much of a difference is luck: mean, deviation and range over seeds.

    slembench study seeds --dataset mos2-mini --models slem@0.7M-mini,deeph-e3@quickstart --seeds 0,1,2 --out runs/seeds
"""

SCALING_HELP = """Time and memory of training steps and predictions against atoms, cutoff and lmax, on this machine.

    slembench study scaling --dataset mos2-mini --models slem@quickstart,lem@quickstart --out runs/scaling

Every measurement is one row of OUT/measurements.csv, made in a process of its own; given again, the command makes
those that are missing. The page OUT/scaling.md holds them, fitted exponents with intervals, and what they say about a
million atoms (crystals) or about training on the whole of QH9 (qh9-mini).
"""

Datasets = Annotated[list[str], typer.Option("--dataset", help="Data set: a name or a folder; repeatable.")]
OneDataset = Annotated[str, typer.Option("--dataset", help="Data set: a name or a folder.")]
Models = Annotated[str, typer.Option(help="Models, separated by commas: MODEL or MODEL@VARIANT of its recipe.")]
Seeds = Annotated[str, typer.Option(help="Seeds, separated by commas.")]
Splits = Annotated[
    list[str] | None, typer.Option("--split", help="Split to score; repeatable. Default: all but train and val.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps of every run.")]
CpuSeconds = Annotated[float | None, typer.Option(help="CPU seconds of training of every run.")]
WallSeconds = Annotated[float | None, typer.Option(help="Seconds of training of every run.")]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of every run; repeatable.")
]
Out = Annotated[Path, typer.Option(help="Folder of the study.")]
PlanOnly = Annotated[bool, typer.Option("--plan-only", help="Write and show the plan, and stop.")]
Jobs = Annotated[int, typer.Option(min=1, help="Runs at a time on this machine.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of each run.")]
EngineName = Annotated[Literal["local", "ray"], typer.Option(help="Processes of this machine, or a Ray cluster.")]
Address = Annotated[str | None, typer.Option(help="Ray cluster to join, HOST:PORT or auto. Default: one of its own.")]
Retries = Annotated[int, typer.Option(min=0, help="How often a run is begun again whose process or machine was lost.")]
Keep = Annotated[bool, typer.Option(help="Keep predictions, last checkpoints and cached levels of every run.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    area = typer.Typer(help=AREA_HELP, no_args_is_help=True, rich_markup_mode="markdown")
    area.command("data-efficiency", help=EFFICIENCY_HELP)(efficiency_command)
    area.command("transfer", help=TRANSFER_HELP)(transfer_command)
    area.command("locality", help=LOCALITY_HELP)(locality_command)
    area.command("seeds", help=SEEDS_HELP)(seeds_command)
    area.command("scaling", help=SCALING_HELP)(scaling_command)
    study_work.register(area)
    app.add_typer(area, name="study")


def efficiency_command(
    dataset: Datasets,
    models: Models,
    out: Out,
    fractions: Annotated[str, typer.Option(help="Parts of the training split: 1, .8, .6, .4, .2.")] = "1,.8,.6,.4,.2",
    seeds: Seeds = "0",
    split: Splits = None,
    steps: Steps = None,
    cpu_seconds: CpuSeconds = None,
    wall_seconds: WallSeconds = None,
    change: Change = None,
    plan_only: PlanOnly = False,
    jobs: Jobs = 1,
    threads: Threads = 1,
    engine: EngineName = "local",
    address: Address = None,
    retries: Retries = 2,
    keep: Keep = False,
) -> None:
    """Plan, run and report a data-efficiency study."""
    from slembench.data import load_dataset
    from slembench.studies.designs import data_efficiency

    options = _options(models, seeds, change, steps, cpu_seconds, wall_seconds)
    parts = study_work.numbers(fractions, "--fractions", float)
    plan = data_efficiency(map(load_dataset, dataset), options, parts, split or ())
    study_work.begin(plan, out, Work(plan_only, jobs, threads, engine, address, retries, keep))


def transfer_command(
    dataset: OneDataset,
    models: Models,
    out: Out,
    by: Annotated[Literal["split", "size", "composition"], typer.Option(help="What makes a kind.")] = "split",
    shots: Annotated[str, typer.Option(help="Target structures to fine-tune with, separated by commas.")] = "0,1",
    tune_steps: Annotated[int, typer.Option(min=1, help="Steps of fine-tuning, and of training from scratch.")] = 200,
    scratch: Annotated[bool, typer.Option(help="Train on the few structures from random weights too.")] = True,
    seeds: Seeds = "0",
    steps: Steps = None,
    cpu_seconds: CpuSeconds = None,
    wall_seconds: WallSeconds = None,
    change: Change = None,
    plan_only: PlanOnly = False,
    jobs: Jobs = 1,
    threads: Threads = 1,
    engine: EngineName = "local",
    address: Address = None,
    retries: Retries = 2,
    keep: Keep = False,
) -> None:
    """Plan, run and report a transfer study."""
    from slembench.data import load_dataset
    from slembench.studies.transfer import transfer

    options = _options(models, seeds, change, steps, cpu_seconds, wall_seconds)
    numbers = study_work.numbers(shots, "--shots", int)
    plan = transfer(load_dataset(dataset), options, by=by, shots=numbers, tune_steps=tune_steps, scratch=scratch)
    study_work.begin(plan, out, Work(plan_only, jobs, threads, engine, address, retries, keep))


def locality_command(
    dataset: OneDataset,
    out: Out,
    models: Models = "slem,lem",
    factors: Annotated[str, typer.Option(help="Factors on the cutoffs, in (0, 1], separated by commas.")] = "1,.8,.6",
    layers: Annotated[str, typer.Option(help="Numbers of layers, separated by commas.")] = "1,2,3",
    seeds: Seeds = "0",
    split: Splits = None,
    steps: Steps = None,
    cpu_seconds: CpuSeconds = None,
    wall_seconds: WallSeconds = None,
    change: Change = None,
    plan_only: PlanOnly = False,
    jobs: Jobs = 1,
    threads: Threads = 1,
    engine: EngineName = "local",
    address: Address = None,
    retries: Retries = 2,
    keep: Keep = False,
) -> None:
    """Plan, run and report a locality study."""
    from slembench.data import load_dataset
    from slembench.studies.designs import locality

    options = _options(models, seeds, change, steps, cpu_seconds, wall_seconds)
    scales = study_work.numbers(factors, "--factors", float)
    depths = study_work.numbers(layers, "--layers", int)
    plan = locality(load_dataset(dataset), options, scales, depths, split or ())
    study_work.begin(plan, out, Work(plan_only, jobs, threads, engine, address, retries, keep))


def seeds_command(
    dataset: Datasets,
    models: Models,
    out: Out,
    partition: Annotated[int, typer.Option(help="Per cent of the training split: 100, 80, 60, 40 or 20.")] = 100,
    seeds: Seeds = "0,1,2",
    split: Splits = None,
    steps: Steps = None,
    cpu_seconds: CpuSeconds = None,
    wall_seconds: WallSeconds = None,
    change: Change = None,
    plan_only: PlanOnly = False,
    jobs: Jobs = 1,
    threads: Threads = 1,
    engine: EngineName = "local",
    address: Address = None,
    retries: Retries = 2,
    keep: Keep = False,
) -> None:
    """Plan, run and report a study of seeds."""
    from slembench.data import load_dataset
    from slembench.studies.designs import seeds as design

    options = _options(models, seeds, change, steps, cpu_seconds, wall_seconds)
    plan = design(map(load_dataset, dataset), options, partition, split or ())
    study_work.begin(plan, out, Work(plan_only, jobs, threads, engine, address, retries, keep))


def scaling_command(
    dataset: Datasets,
    models: Models,
    out: Out,
    copies: Annotated[str, typer.Option(help="Cells in each supercell of the crystal, separated by commas.")] = "1,2,4",
    factors: Annotated[str, typer.Option(help="Factors on the cutoffs, in (0, 1], separated by commas.")] = "1,.8,.6",
    lmax: Annotated[str, typer.Option(help="Largest angular momenta of the blocks: 2, 4, 6; or none.")] = "2,4,6",
    threads: Threads = 1,
    page: Annotated[Path | None, typer.Option(help="Page to write. Default: OUT/scaling.md.")] = None,
) -> None:
    """Measure, fit and write the page of a scaling study."""
    from functools import partial

    from slembench.core.progress import bar
    from slembench.data import load_dataset
    from slembench.studies.designs import Choice
    from slembench.studies.scaling import check_sizes, measure_all
    from slembench.studies.scaling_page import write_machine, write_scaling

    choices = [Choice.parse(text) for text in models.split(",") if text.strip()]
    sizes: dict[str, Any] = {
        "copies": study_work.numbers(copies, "--copies", int),
        "factors": study_work.numbers(factors, "--factors", float),
        "lmaxs": () if lmax == "none" else study_work.numbers(lmax, "--lmax", int),
    }
    check_sizes(**sizes)
    sets = [load_dataset(name) for name in dataset]
    write_machine(out, threads)
    for data in sets:
        progress, tell = partial(bar, text=f"measure {data.name}"), partial(typer.echo, err=True)
        measure_all(data, choices, out, threads=threads, progress=progress, tell=tell, **sizes)
    for path in write_scaling(out, page or out / "scaling.md"):
        typer.echo(path)


def _options(
    models: str,
    seeds: str,
    change: list[str] | None,
    steps: int | None,
    cpu_seconds: float | None,
    wall_seconds: float | None,
) -> Options:
    from slembench.harness.recipe import parse_changes
    from slembench.studies.designs import Choice, Options

    return Options(
        models=tuple(Choice.parse(text) for text in models.split(",") if text.strip()),
        seeds=study_work.numbers(seeds, "--seeds", int),
        changes=parse_changes(change or ()),
        steps=steps,
        cpu_s=cpu_seconds,
        wall_s=wall_seconds,
    )
