"""Work through the plan of a study: what is finished stays, what was lost is begun again, what fails is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slembench.core.errors import ConfigError
from slembench.core.files import write_text
from slembench.studies.engines.local import Engine, Outcome
from slembench.studies.engines.worker import RUNS, Task
from slembench.studies.plan import PLAN_FILE, Plan, read_plan, write_plan

POLL_S = 0.5


@dataclass(frozen=True)
class Progress:
    """Where a study stands.

    Attributes:
        total: runs in the plan.
        finished: runs that are finished.
        active: key of each run in progress -> used part of its budget, and a few words.
    """

    total: int
    finished: int
    active: dict[str, tuple[float, str]]


@dataclass
class StudyResult:
    """How a study ended.

    Attributes:
        finished: keys of finished runs, in the order of the plan.
        failed: key -> why.
        done_now: runs that were finished in this call.
    """

    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    done_now: int = 0


def tasks_of(plan: Plan, folder: Path, threads: int = 1, keep: bool = False) -> dict[str, Task]:
    """Key -> task, in the order of the plan."""
    return {
        key: Task(key, run, plan.derived.get(run.dataset), folder.resolve(), threads, keep)
        for key, run in plan.keyed.items()
    }


def begin_study(plan: Plan, folder: Path) -> Path:
    """Write a plan into a new folder, or into that of a study of which it keeps every finished run; returns its path.

    Args:
        plan: the table of runs.
        folder: of the study.

    Raises:
        ConfigError: the folder holds another kind of study, finished runs that the plan lacks, or something else;
            nothing is written then.
    """
    if (folder / PLAN_FILE).is_file():
        before = read_plan(folder)
        if before.study != plan.study:
            raise ConfigError(f"{folder}: holds a study of another kind, {before.study}; choose another --out")
        lost = [key for key, task in tasks_of(before, folder).items() if task.finished and key not in plan.keyed]
        if lost:
            number = f"{len(lost)} finished run{'s' * (len(lost) > 1)}"
            raise ConfigError(
                f"{folder}: {number} of the plan there would be lost, this plan lacks them; choose another --out, go "
                f"on with the plan there (`slembench study run {folder}`), or remove the folder"
            )
    elif folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{folder}: exists and is not a study (no {PLAN_FILE}); choose another --out")
    return write_plan(plan, folder)


def run_study(
    plan: Plan,
    folder: Path,
    engine: Engine,
    *,
    threads: int = 1,
    retries: int = 2,
    keep: bool = False,
    tell: Callable[[str], None] = lambda text: None,
    show: Callable[[Progress], None] = lambda progress: None,
) -> StudyResult:
    """Do every run that is not finished; call again after any interruption.

    Args:
        plan: the table of runs.
        folder: of the study; runs go to ``runs/<key>``.
        engine: works on them; closed at the end.
        threads: of each run.
        retries: how often a run that was lost is begun again in this call; it goes on from its last checkpoint where
            that is still there.
        keep: leave predictions, last checkpoints and cached levels in the runs' folders.
        tell: gets a line of text whenever a run begins or ends.
        show: gets the progress, about twice a second.
    """
    tasks = tasks_of(plan, folder, threads, keep)
    (folder / RUNS).mkdir(parents=True, exist_ok=True)
    waiting = [key for key, task in tasks.items() if not task.finished]
    finished = set(tasks) - set(waiting)
    tell(f"{len(tasks)} runs, {len(finished)} of them finished already")
    result, lost, active = StudyResult(), Counter[str](), set[str]()
    try:
        while waiting or active:
            for key in _ready(waiting, tasks, finished)[: engine.free()]:
                waiting.remove(key)
                active.add(key)
                engine.start(tasks[key])
                tell(f"{key} begins: {describe(tasks[key])}")
            for outcome in engine.wait(POLL_S):
                key = outcome.task.key
                active.discard(key)
                if outcome.kind == "done":
                    finished.add(key)
                    result.done_now += 1
                    tell(f"{key} is finished ({len(finished)} of {len(tasks)})")
                elif outcome.kind == "lost" and lost[key] < retries:
                    lost[key] += 1
                    waiting.insert(0, key)
                    tell(f"{key} was lost ({outcome.text}); begun again, {lost[key]} of {retries}")
                else:
                    _fail(result, tasks[key], outcome)
                    tell(f"{key} failed: {result.failed[key]}")
            _skip_dependants(waiting, tasks, result)
            show(Progress(len(tasks), len(finished), engine.progress()))
    finally:
        engine.close()
    for key in finished:
        _error_file(tasks[key]).unlink(missing_ok=True)
    result.finished = [key for key in tasks if key in finished]
    return result


def describe(task: Task) -> str:
    """Labels and seed of a run, in words."""
    return ", ".join([*(f"{name} {value}" for name, value in task.run.labels.items()), f"seed {task.run.seed}"])


def _ready(waiting: list[str], tasks: dict[str, Task], finished: set[str]) -> list[str]:
    """Runs that can begin: what they start from is finished."""
    return [key for key in waiting if not tasks[key].run.init_from or tasks[key].run.init_from in finished]


def _fail(result: StudyResult, task: Task, outcome: Outcome) -> None:
    result.failed[task.key] = outcome.text
    write_text(_error_file(task), outcome.text + "\n")


def _skip_dependants(waiting: list[str], tasks: dict[str, Task], result: StudyResult) -> None:
    """Runs that start from a failed one fail with it."""
    for key in list(waiting):
        start = tasks[key].run.init_from
        if start in result.failed:
            waiting.remove(key)
            _fail(result, tasks[key], Outcome(tasks[key], "error", f"starts from {start}, which failed"))


def _error_file(task: Task) -> Path:
    return task.run_folder.with_suffix(".error")
