"""Work through the plan of a study: what is finished stays, what was lost is begun again, what fails is named."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

from slembench.core.errors import ConfigError
from slembench.core.files import write_text
from slembench.core.jobs import Backend, Job, JobsResult, LocalProcesses, run_jobs
from slembench.core.ray import RayTasks, packed, unpack
from slembench.studies.plan import PLAN_FILE, StudyPlan, read_plan, write_plan
from slembench.studies.task import (
    BEST,
    RUNS,
    TOKEN_FILE,
    Task,
    run_task,
    run_task_anywhere,
    task_status,
    task_status_anywhere,
)

PRELOAD = ("slembench.harness.run", "slembench.studies.task")
"""Modules that the processes of runs are forked with: importing them takes seconds."""


def tasks_of(plan: StudyPlan, folder: Path, threads: int = 1, keep: bool = False) -> dict[str, Task]:
    """Key -> task, in the order of the plan."""
    return {
        key: Task(key, run, plan.derived.get(run.dataset), folder.resolve(), threads, keep)
        for key, run in plan.keyed.items()
    }


def start_study(plan: StudyPlan, folder: Path) -> Path:
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
        # unfinished runs may go: their checkpoints are worth minutes, finished records are results
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
    plan: StudyPlan, folder: Path, backend: Backend, *, threads: int = 1, retries: int = 2, keep: bool = False
) -> JobsResult:
    """Do every run that is not finished; call again after any interruption.

    Args:
        plan: the table of runs.
        folder: of the study; runs go to ``runs/<key>``.
        backend: where they run (`local_backend`, `ray_backend`); closed at the end.
        threads: of each run.
        retries: how often a run that was lost is begun again in this call; it goes on from its last checkpoint where
            that is still there.
        keep: leave predictions, last checkpoints and cached levels in the runs' folders.
    """
    tasks = tasks_of(plan, folder, threads, keep)
    (folder / RUNS).mkdir(parents=True, exist_ok=True)
    # A file system seen under the same path may still be another one; only a word that was just written there tells.
    token = uuid.uuid4().hex if backend.remote else ""
    if token:
        write_text(folder / TOKEN_FILE, token)
    return run_jobs((_job(task, token) for task in tasks.values()), backend, what="runs", retries=retries)


def local_backend(jobs: int = 1) -> LocalProcesses:
    """Processes on this machine, forked from a clean one that has everything imported; ``jobs`` at a time."""
    return LocalProcesses(jobs, PRELOAD)


def ray_backend(address: str | None = None) -> RayTasks:
    """Tasks on a Ray cluster; see `slembench.core.ray.join`."""
    return RayTasks(address, preload=PRELOAD)


def describe(task: Task) -> str:
    """Labels and seed of a run, in words."""
    return ", ".join([*(f"{name} {value}" for name, value in task.run.labels.items()), f"seed {task.run.seed}"])


def _job(task: Task, token: str) -> Job:
    """The task as a job; with a token for workers that may not see the study's folder."""
    start = task.run.init_from
    common = Job(
        task.key,
        run_task,
        {"task": task},
        needs=(start,) if start else (),
        is_done=lambda: task.finished,
        status=task_status,
        title=describe(task),
        threads=task.threads,
        error_file=task.run_folder.with_suffix(".error"),
    )
    if not token:
        return common

    def late() -> dict[str, bytes]:  # the run that this one starts from is finished only when the job begins
        return {"start": packed(task.folder / RUNS / start / BEST)} if start else {}

    def receive(content: bytes) -> None:
        if content:
            unpack(content, task.run_folder)

    return replace(
        common,
        function=run_task_anywhere,
        arguments={"task": task, "token": token},
        late_arguments=late,
        receive=receive,
        status=task_status_anywhere,
    )
