"""``slembench study``: plan, run and report a table of runs, measure costs against size, and fit power laws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slembench.cli.options import Change, numbers, refuse_options
from slembench.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from slembench.studies import StudyPlan

BUDGET, EFFICIENCY, TRANSFER, LOCALITY, SEEDS, SCALING, OF_TABLE = (
    "Every run", "Design data-efficiency", "Design transfer", "Design locality", "Design seeds", "Design scaling",
    "Of a table of measurements",
)  # fmt: skip
"""Panels of the help page."""

OPTIONS_OF_DESIGNS = {
    "fractions": ("data-efficiency",),
    "by": ("transfer",),
    "shots": ("transfer",),
    "tune_steps": ("transfer",),
    "scratch": ("transfer",),
    "factors": ("locality", "scaling"),
    "layers": ("locality",),
    "partition": ("seeds",),
    "copies": ("scaling",),
    "lmax": ("scaling",),
    "split": ("data-efficiency", "locality", "seeds"),
    "seeds": ("data-efficiency", "transfer", "locality", "seeds"),
    "steps": ("data-efficiency", "transfer", "locality", "seeds"),
    "threads": ("data-efficiency", "transfer", "locality", "seeds"),
    "cpu_seconds": ("data-efficiency", "transfer", "locality", "seeds"),
    "wall_seconds": ("data-efficiency", "transfer", "locality", "seeds"),
    "change": ("data-efficiency", "transfer", "locality", "seeds"),
}
"""Option -> designs that take it; options that are not here belong to all."""

Design = Literal["data-efficiency", "transfer", "locality", "seeds", "scaling"]
Folder = Annotated[Path, typer.Argument(help="Folder of the study.")]


def new_command(
    context: typer.Context,
    design: Annotated[
        Design,
        typer.Argument(metavar="DESIGN", help="data-efficiency, transfer, locality, seeds or scaling; see above."),
    ],
    dataset: Annotated[
        list[str], typer.Option(help="Data set: a name or a folder; repeatable, but one for transfer and locality.")
    ],
    models: Annotated[str, typer.Option(help="Models, separated by commas: MODEL or MODEL@VARIANT of its recipe.")],
    out: Annotated[Path, typer.Option(help="Folder of the study.")],
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run, for the estimate of costs.")] = 1,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds, separated by commas. Default: 0; design seeds: 0,1,2.", rich_help_panel=BUDGET),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split to score; repeatable. Default: all but train and val.", rich_help_panel=BUDGET),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.", rich_help_panel=BUDGET)] = None,
    cpu_seconds: Annotated[float | None, typer.Option(help="CPU seconds of training.", rich_help_panel=BUDGET)] = None,
    wall_seconds: Annotated[float | None, typer.Option(help="Seconds of training.", rich_help_panel=BUDGET)] = None,
    change: Change = None,
    fractions: Annotated[
        str, typer.Option(help="Parts of the training split.", rich_help_panel=EFFICIENCY)
    ] = "1,.8,.6,.4,.2",
    by: Annotated[
        Literal["split", "size", "composition"], typer.Option(help="What makes a kind.", rich_help_panel=TRANSFER)
    ] = "split",
    shots: Annotated[
        str, typer.Option(help="Target structures to fine-tune with, separated by commas.", rich_help_panel=TRANSFER)
    ] = "0,1",
    tune_steps: Annotated[
        int,
        typer.Option(min=1, help="Steps of fine-tuning, and of training from scratch.", rich_help_panel=TRANSFER),
    ] = 200,
    scratch: Annotated[
        bool, typer.Option(help="Train on the few structures from random weights too.", rich_help_panel=TRANSFER)
    ] = True,
    layers: Annotated[
        str, typer.Option(help="Numbers of layers, separated by commas.", rich_help_panel=LOCALITY)
    ] = "1,2,3",
    factors: Annotated[
        str,
        typer.Option(help="Also of scaling: factors on the cutoffs, in (0, 1].", rich_help_panel=LOCALITY),
    ] = "1,.8,.6",
    partition: Annotated[
        int,
        typer.Option(help="Per cent of the training split: 100, 80, 60, 40 or 20.", rich_help_panel=SEEDS),
    ] = 100,
    copies: Annotated[
        str, typer.Option(help="Cells in each supercell of the crystal.", rich_help_panel=SCALING)
    ] = "1,2,4",
    lmax: Annotated[
        str,
        typer.Option(help="Largest angular momenta of the blocks: 2, 4, 6; or none.", rich_help_panel=SCALING),
    ] = "2,4,6",
) -> None:
    r"""Plan a study: write the table of its runs, and show what they will cost.

    A study is a folder with its plan (plan.yaml, an explicit table that may be edited), its runs under runs/KEY, and
    its report. `slembench study run FOLDER` works through it. A plan may grow: given again with more, the command keeps
    every finished run; a plan that would lose one is refused.

    data-efficiency: errors against the amount of training data, with fitted power laws. The parts of the training split
    are nested; every model gets the same budget on each.

        slembench study new data-efficiency --dataset mos2-mini \
            --models slem,deeph-e3@quickstart --cpu-seconds 100 --out s

    transfer: trained on one kind of structures, tested on another, with 0 to n of the other's own. `--by split` takes
    the training data as the one source and every further split (larger cells, a higher temperature) as a target, half
    of which is kept for testing; `--by size` and `--by composition` take the structures of one number of atoms or one
    formula.

        slembench study new transfer --dataset md17-mini --models lem \
            --by composition --shots 0,4,16 --out s

    locality: error against cutoff and layers: a strictly local model, and one whose receptive field grows with every
    layer.

        slembench study new locality --dataset mos2-mini --models slem,lem \
            --factors 1,.8,.6 --layers 1,2,3 --cpu-seconds 60 --out s

    seeds: how much of a difference is due to the seed: mean, deviation and range.

        slembench study new seeds --dataset mos2-mini --models slem --out s

    scaling: time and memory of training steps and predictions against atoms, cutoff and lmax, on this machine.

        slembench study new scaling --dataset mos2-mini \
            --models slem@quickstart,lem@quickstart --out s
    """
    from slembench.data import load_dataset
    from slembench.harness.recipe import parse_changes
    from slembench.studies import start_study
    from slembench.studies.designs import ModelSpec, Options, data_efficiency, locality
    from slembench.studies.designs import seeds as seeds_design
    from slembench.studies.transfer import transfer

    for option, designs in OPTIONS_OF_DESIGNS.items():
        if design not in designs:
            refuse_options(context, [option], f"belongs to {', '.join(designs)}, not to {design}; leave it out")
    if design in ("transfer", "locality") and len(dataset) > 1:
        raise ConfigError(f"--dataset: the design {design} takes one data set")
    if design == "scaling":
        lmaxs = () if lmax == "none" else numbers(lmax, "--lmax", int)
        _plan_scaling(
            dataset, models, out, numbers(copies, "--copies", int), numbers(factors, "--factors", float), lmaxs
        )
        return
    # Options are read and checked before a data set is opened: a slip of the pen is answered at once.
    options = Options(
        models=tuple(ModelSpec.parse(text) for text in models.split(",") if text.strip()),
        seeds=numbers(seeds or ("0,1,2" if design == "seeds" else "0"), "--seeds", int),
        changes=parse_changes(change or ()),
        steps=steps,
        cpu_s=cpu_seconds,
        wall_s=wall_seconds,
    )
    splits = split or ()
    if design == "data-efficiency":
        parts = numbers(fractions, "--fractions", float)
        plan = data_efficiency(map(load_dataset, dataset), options, parts, splits)
    elif design == "transfer":
        few = numbers(shots, "--shots", int)
        plan = transfer(load_dataset(dataset[0]), options, by=by, shots=few, tune_steps=tune_steps, scratch=scratch)
    elif design == "locality":
        scales, depths = numbers(factors, "--factors", float), numbers(layers, "--layers", int)
        plan = locality(load_dataset(dataset[0]), options, scales, depths, splits)
    else:
        plan = seeds_design(map(load_dataset, dataset), options, partition, splits)
    start_study(plan, out)  # refuses a plan that would lose finished runs of this folder
    _show_plan(plan, out, threads)


def run_command(
    context: typer.Context,
    folder: Folder,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time on this machine.")] = 1,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes of this machine, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, HOST:PORT or auto. Default: one of its own.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a run is begun again whose process or machine was lost.")
    ] = 2,
    keep: Annotated[
        bool, typer.Option(help="Keep predictions, last checkpoints and cached levels of every run.")
    ] = False,
) -> None:
    """Do every run of a study's plan that is not finished, then write the report.

        slembench study run runs/data-efficiency --jobs 2

        slembench study run runs/data-efficiency --engine ray --address auto

    Given again after any interruption it goes on where it was. The plan may have been edited; runs that are finished
    and still in it are not done again. Of a scaling study every measurement is made in a process of its own, one at a
    time, and kept as one row of measurements.csv.
    """
    from slembench.core.logging import configure
    from slembench.studies import local_backend, ray_backend, read_plan, run_study
    from slembench.studies.scaling_plan import SCALING_FILE

    if (folder / SCALING_FILE).is_file():
        # Two measurements at a time would share caches and memory bandwidth: neither time would mean anything.
        refuse_options(
            context,
            ["jobs", "engine", "address", "retries", "keep"],
            "has no meaning for a scaling study; leave it out",
        )
        _measure_scaling(folder, threads)
        return
    plan = read_plan(folder)
    configure(times=True)  # runs take minutes to hours
    backend = local_backend(jobs) if engine == "local" else ray_backend(address)
    result = run_study(plan, folder, backend, threads=threads, retries=retries, keep=keep)
    # The report first: failed runs must not hide those that are finished.
    _report(plan, folder)
    if result.failed:
        key, why = next(iter(result.failed.items()))
        raise ConfigError(f"{len(result.failed)} of {len(plan.runs)} runs failed; the first, {key}: {why}")


def report_command(
    context: typer.Context,
    folder: Folder,
    page: Annotated[
        Path | None, typer.Option(help="Page of a scaling study (Markdown). Default: FOLDER/scaling.md.")
    ] = None,
) -> None:
    """Write the report of the finished runs of a study: report.html, report.md, scores.csv, cost.csv.

        slembench study report runs/data-efficiency

    Of a scaling study: the page of its measurements with fitted exponents and intervals, and what they say about a
    million atoms (crystals) or about training on the whole of QH9 (qh9-mini).

        slembench study report runs/scaling --page docs/scaling.md
    """
    from slembench.studies import read_plan
    from slembench.studies.scaling import TABLE_FILE

    if (folder / TABLE_FILE).is_file():
        _write_scaling(folder, page)
        return
    refuse_options(context, ["page"], "belongs to a scaling study")
    _report(read_plan(folder), folder)


def _plan_scaling(
    dataset: list[str],
    models: str,
    out: Path,
    copies: tuple[int, ...],
    factors: tuple[float, ...],
    lmaxs: tuple[int, ...],
) -> None:
    """Write the plan of a scaling study and say how many sizes are to be measured."""
    from slembench.data import load_dataset
    from slembench.studies.designs import ModelSpec
    from slembench.studies.scaling import cases
    from slembench.studies.scaling_plan import ScalingPlan, write_scaling_plan

    names = tuple(text.strip() for text in models.split(",") if text.strip())
    plan = ScalingPlan(datasets=tuple(dataset), models=names, copies=copies, factors=factors, lmaxs=lmaxs)
    specs = [ModelSpec.parse(text) for text in names]
    # The sizes are made before anything is written, so that one that means nothing is refused here.
    count = sum(len(cases(load_dataset(name), specs, **plan.sizes)) for name in dataset)
    write_scaling_plan(plan, out)
    typer.echo(f"{count} measurements planned in {out}; make them with: slembench study run {out}")


def _measure_scaling(folder: Path, threads: int) -> None:
    """Measure what is not measured yet, then write the page."""
    from slembench.data import load_dataset
    from slembench.studies.designs import ModelSpec
    from slembench.studies.scaling import measure_all
    from slembench.studies.scaling_page import write_machine
    from slembench.studies.scaling_plan import read_scaling_plan

    plan = read_scaling_plan(folder)
    specs = [ModelSpec.parse(text) for text in plan.models]
    write_machine(folder, threads)
    for data in map(load_dataset, plan.datasets):
        measure_all(data, specs, folder, threads=threads, **plan.sizes)
    _write_scaling(folder, None)


def _write_scaling(folder: Path, page: Path | None) -> None:
    from slembench.studies.scaling_page import write_scaling

    for path in write_scaling(folder, page or folder / "scaling.md"):
        typer.echo(path)


def _report(plan: StudyPlan, folder: Path) -> None:
    from slembench.studies.report import write_report

    for path in write_report(plan, folder):
        if path.suffix != ".svg":  # a dozen pictures, which the report shows
            typer.echo(path)


def _show_plan(plan: StudyPlan, folder: Path, threads: int) -> None:
    """The table of runs with estimated training times, and their sum."""
    from rich.console import Console
    from rich.table import Table

    from slembench.studies.estimate import estimate

    console = Console()
    labels = list(dict.fromkeys(name for run in plan.runs for name in run.labels))
    table = Table()
    for heading in ("key", *labels, "seed", "starts from", "CPU s", "basis of the estimate"):
        table.add_column(heading, overflow="fold")  # keys and labels are copied from here: nothing may be cut off
    # From finished runs like these where there are some, else one step of each model is timed now.
    estimates = estimate(plan, folder, threads)
    for key, run in plan.keyed.items():
        cells = [str(run.labels.get(name, "")) for name in labels]
        guess = estimates[key]
        table.add_row(key, *cells, str(run.seed), run.init_from, f"{guess.seconds:.0f}", guess.basis)
    console.print(table)
    total = sum(guess.seconds for guess in estimates.values())
    console.print(f"{len(plan.runs)} runs, about {total:.0f} CPU s of training; plan in {folder}", highlight=False)
    console.print(f"go on with: slembench study run {folder}", highlight=False, soft_wrap=True)


def fit_command(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, searched with their subfolders.")] = None,
    score: Annotated[str | None, typer.Option(help="Score to fit. Default: mae_all of the first operator.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV file, in the place of runs.", rich_help_panel=OF_TABLE)
    ] = None,
    x: Annotated[str, typer.Option(help="Column of sizes.", rich_help_panel=OF_TABLE)] = "atoms",
    y: Annotated[
        list[str] | None,
        typer.Option(help="Column to fit; repeatable. Default: seconds.", rich_help_panel=OF_TABLE),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column that names what is fitted apart; repeatable.", rich_help_panel=OF_TABLE),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write.")] = None,
) -> None:
    r"""Fit power laws with 95 % intervals: error against training data, or time and memory against atoms.

    Of runs that differ in nothing but seed and training set, the score is fitted as a N^b over N training structures;
    test structures (by group) and seeds are resampled 10 000 times, the same structures for all training sets.

        slembench study fit runs/data-efficiency

        slembench study fit runs/a-100 runs/a-40 runs/a-20 \
            --score hamiltonian.band_mae_occ --out exponents.csv

    Of a table (CSV) every column `--y` is fitted against the column `--x`, for every value of `--by` apart; the
    interval comes from resampling the rows.

        slembench study fit --table sizes.csv --x atoms --y seconds --by system
    """
    import pandas as pd

    from slembench.core.files import write_text
    from slembench.results.exponents import data_exponents, power_laws

    if bool(runs) == (table is not None):
        raise ConfigError("give folders of runs, or --table FILE")
    if table is not None:
        # pandas raises ValueError of many kinds: not UTF-8, ragged rows, a column that is not there.
        try:
            found = power_laws(pd.read_csv(table), x, y or ["seconds"], by or ())
        except (OSError, ValueError) as error:
            raise DataError(f"{table}: not readable as CSV: {error}") from error
    else:
        fits = data_exponents(runs or (), score)
        if not fits:
            raise DataError("no two of these runs differ in nothing but seed and number of training structures")
        found = pd.DataFrame([fit.content() for fit in fits])
    _show_fits(found)
    if out is not None:
        typer.echo(f"wrote {write_text(out, found.to_csv(index=False))}")


def _show_fits(found: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = [name for name in found if name not in ("factor", "exponent", "low", "high")]
    shown = Table(*heads, "exponent", "95 % interval")
    for row in found.to_dict("records"):
        numbers = f"{row['exponent']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"
        shown.add_row(*(str(row[name]) for name in heads), *numbers)
    Console().print(shown)
