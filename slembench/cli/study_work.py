"""What the commands of ``slembench study`` have in common, and those that take a study's folder: run, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from slembench.studies import Plan, Progress
    from slembench.studies.engines.local import Engine

RUN_HELP = """Go on with a study: do every run of its plan that is not finished, then write the report.

    slembench study run runs/data-efficiency --jobs 2

    slembench study run runs/data-efficiency --engine ray --address auto

The plan may have been edited; runs that are finished and still in it are not done again.
"""

REPORT_HELP = """Write the report of the finished runs of a study: report.html, report.md, scores.csv, cost.csv.

    slembench study report runs/data-efficiency
"""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Work:
    """How a plan is worked through; see the options of the commands."""

    plan_only: bool = False
    jobs: int = 1
    threads: int = 1
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    retries: int = 2
    keep: bool = False


def register(area: typer.Typer) -> None:
    """Add the commands to the area ``study``."""
    area.command("run", help=RUN_HELP)(run_command)
    area.command("report", help=REPORT_HELP)(report_command)


def run_command(
    folder: Annotated[Path, typer.Argument(help="Folder of the study.")],
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time on this machine.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Ray cluster to join, HOST:PORT or auto.")] = None,
    retries: Annotated[int, typer.Option(min=0, help="How often a lost run is begun again.")] = 2,
    keep: Annotated[bool, typer.Option(help="Keep predictions, last checkpoints and cached levels.")] = False,
) -> None:
    """Go on with a study."""
    from slembench.studies import read_plan

    work_through(read_plan(folder), folder, Work(False, jobs, threads, engine, address, retries, keep))


def report_command(folder: Annotated[Path, typer.Argument(help="Folder of the study.")]) -> None:
    """Write the report."""
    from slembench.studies import read_plan

    _report(read_plan(folder), folder)


def begin(plan: Plan, folder: Path, work: Work) -> None:
    """Write and show a plan, then work through it unless only the plan is wanted.

    Raises:
        ConfigError: the folder holds another kind of study, finished runs that the plan lacks, or something else.
    """
    from slembench.studies import begin_study

    begin_study(plan, folder)
    _show_plan(plan, folder, work.threads)
    if not work.plan_only:
        work_through(plan, folder, work)


def work_through(plan: Plan, folder: Path, work: Work) -> None:
    """Run what is not finished, with a line for every event and a bar on a terminal; then write the report."""
    from rich.console import Console
    from rich.live import Live

    from slembench.studies import run_study

    console = Console(stderr=True, highlight=False)
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(progress: Progress) -> None:
            if console.is_terminal:
                live.update(_bars(progress), refresh=True)

        def tell(text: str) -> None:
            console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True)

        result = run_study(
            plan,
            folder,
            _engine(work),
            threads=work.threads,
            retries=work.retries,
            keep=work.keep,
            tell=tell,
            show=show,
        )
    _report(plan, folder)
    if result.failed:
        key, why = next(iter(result.failed.items()))
        raise ConfigError(f"{len(result.failed)} of {len(plan.runs)} runs failed; the first, {key}: {why}")


def numbers(text: str, option: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """Numbers separated by commas.

    Raises:
        ConfigError: something that is no number; names the option.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}: give numbers separated by commas") from None


def _engine(work: Work) -> Engine:
    from slembench.studies.engines.local import LocalEngine

    if work.engine == "local":
        return LocalEngine(work.jobs)
    from slembench.studies.engines.ray import RayEngine

    return RayEngine(work.address)


def _report(plan: Plan, folder: Path) -> None:
    from slembench.studies.report import write_report

    for path in write_report(plan, folder):
        if path.suffix != ".svg":
            typer.echo(path)


def _show_plan(plan: Plan, folder: Path, threads: int) -> None:
    """The table of runs with estimated training times, and their sum."""
    from rich.console import Console
    from rich.table import Table

    from slembench.studies.estimate import estimate

    console = Console()
    labels = list(dict.fromkeys(name for run in plan.runs for name in run.labels))
    table = Table()
    for heading in ("key", *labels, "seed", "starts from", "CPU s", "basis of the estimate"):
        table.add_column(heading, overflow="fold")
    estimates = estimate(plan, folder, threads)
    for key, run in plan.keyed.items():
        cells = [str(run.labels.get(name, "")) for name in labels]
        guess = estimates[key]
        table.add_row(key, *cells, str(run.seed), run.init_from, f"{guess.seconds:.0f}", guess.basis)
    console.print(table)
    total = sum(guess.seconds for guess in estimates.values())
    console.print(f"{len(plan.runs)} runs, about {total:.0f} CPU s of training; plan in {folder}", highlight=False)


def _bars(progress: Progress) -> Table:
    """One line for the study and one for each run in progress."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        "study", ProgressBar(progress.total, progress.finished, 30), f"{progress.finished} of {progress.total}"
    )
    for key, (used, words) in sorted(progress.active.items()):
        grid.add_row(key, ProgressBar(1.0, used, 30), words)
    return grid
