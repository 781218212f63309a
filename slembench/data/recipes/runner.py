"""Runs the jobs of a recipe in processes of their own, resumable, one NPZ file a job.

A result is written beside its final name and renamed, so that a file that exists is complete. Killing a run
loses the jobs in flight and nothing else; the next call goes on. A job that fails leaves its reason in
``<id>.failed.txt`` and is tried again by the next call.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import ConfigError
from slembench.core.files import atomic_file, write_text
from slembench.core.progress import ProgressBar

logger = logging.getLogger(__name__)

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One file to make.

    Attributes:
        id: name of the result, relative to the work directory and without ``.npz``.
        compute: function of a module, ``compute(workdir, **arguments)`` -> name -> array.
        arguments: keyword arguments; small and picklable.
        needs: ids whose results it reads; they belong to earlier stages.
    """

    id: str
    compute: Callable[..., Mapping[str, NDArray[Any]]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()

    def path(self, workdir: Path) -> Path:
        """Where the result lies."""
        return result_path(workdir, self.id)

    def reason_path(self, workdir: Path) -> Path:
        """Where the reason of a failure lies."""
        return workdir / f"{self.id}.failed.txt"


def result_path(workdir: Path, job_id: str) -> Path:
    """Where the result of a job lies."""
    return workdir / f"{job_id}.npz"


@dataclass(frozen=True)
class Plan:
    """The jobs of a recipe.

    Attributes:
        name: of the data set.
        settings: everything that decides the results, as JSON; kept in the work directory, so that results of
            two different settings are never mixed.
        stages: jobs of a stage run side by side, one stage after the other.
        short: jobs take seconds, and one process does many of them; otherwise each has a process of its own.
    """

    name: str
    settings: Mapping[str, Any]
    stages: tuple[tuple[Job, ...], ...]
    short: bool = False


@dataclass(frozen=True)
class Summary:
    """Outcome of one call: ids that were there already, made now, and failed (with the reason)."""

    present: tuple[str, ...]
    made: tuple[str, ...]
    failed: Mapping[str, str]


def generate(plan: Plan, workdir: Path, jobs: int = 1) -> Summary:
    """Make what the work directory still lacks.

    Args:
        plan: the recipe.
        workdir: created if need be.
        jobs: processes at a time, one thread each.

    Returns:
        What was there, made and failed; a job whose needs have failed counts as failed.

    Raises:
        ConfigError: ``jobs < 1``, or the work directory holds results of other settings.
    """
    if jobs < 1:
        raise ConfigError(f"jobs must be at least 1, got {jobs}")
    workdir = Path(workdir)
    _claim(plan, workdir)
    every = [job for stage in plan.stages for job in stage]
    present = tuple(job.id for job in every if job.path(workdir).exists())
    made: list[str] = []
    failed: dict[str, str] = {}
    with ProgressBar(plan.name, len(every)) as bar:
        bar.update(len(present))
        run = _run_short_stage if plan.short else _run_stage
        for stage in plan.stages:
            for job, reason in run([job for job in stage if job.id not in present], workdir, jobs):
                if reason is None:
                    made.append(job.id)
                    logger.info("%s done", job.id)
                else:
                    failed[job.id] = reason
                    logger.warning("%s failed: %s", job.id, reason)
                bar.advance()
    return Summary(present, tuple(made), failed)


def _claim(plan: Plan, workdir: Path) -> None:
    """Write the settings, or compare them; clear what a killed run left half written."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "settings.json"
    settings = json.loads(json.dumps({"name": plan.name, **plan.settings}))
    if path.exists():
        before = json.loads(path.read_text())
        changed = [key for key in sorted({*before, *settings}) if before.get(key) != settings.get(key)]
        if changed:
            raise ConfigError(
                f"{workdir} holds results of other settings ({', '.join(changed)} differ); use another work directory"
            )
    else:
        write_text(path, json.dumps(settings, indent=1))
    for stale in workdir.rglob(".*.npz.*.part"):
        stale.unlink()


def _run_stage(stage: list[Job], workdir: Path, jobs: int) -> Iterator[tuple[Job, str | None]]:
    """Yield ``(job, None or reason)`` as jobs end, ``jobs`` processes at a time."""
    for name in ONE_THREAD:
        os.environ[name] = "1"
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(stage))
    running: list[tuple[SpawnProcess, Job]] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                job = waiting.pop()
                missing = [need for need in job.needs if not result_path(workdir, need).exists()]
                if missing:
                    yield job, f"needs {', '.join(missing)}"
                    continue
                job.reason_path(workdir).unlink(missing_ok=True)
                process = context.Process(target=_work, args=(job, workdir), daemon=True)
                process.start()
                running.append((process, job))
            wait([process.sentinel for process, _ in running])
            ended = [(process, job) for process, job in running if not process.is_alive()]
            running = [(process, job) for process, job in running if (process, job) not in ended]
            for process, job in ended:
                yield job, _outcome(process, job, workdir)
    finally:
        for process, _ in running:
            process.terminate()
            process.join()


def _run_short_stage(stage: list[Job], workdir: Path, jobs: int) -> Iterator[tuple[Job, str | None]]:
    """As `_run_stage`, with ``jobs`` processes in all; one that dies takes what is left of the stage with it."""
    for name in ONE_THREAD:
        os.environ[name] = "1"
    ready: list[Job] = []
    for job in stage:
        missing = [need for need in job.needs if not result_path(workdir, need).exists()]
        if missing:
            yield job, f"needs {', '.join(missing)}"
        else:
            job.reason_path(workdir).unlink(missing_ok=True)
            ready.append(job)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_attempt, job, workdir): job for job in ready}
        try:
            for future in as_completed(futures):
                error = future.exception()
                yield futures[future], future.result() if error is None else f"{type(error).__name__}: {error}"
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _attempt(job: Job, workdir: Path) -> str | None:
    """Do one of many jobs of a process; the reason of a failure, or None."""
    try:
        _work(job, workdir)
    except SystemExit:
        return job.reason_path(workdir).read_text().splitlines()[0]
    return None


def _outcome(process: SpawnProcess, job: Job, workdir: Path) -> str | None:
    if process.exitcode == 0:
        return None
    path = job.reason_path(workdir)
    if not path.exists():
        write_text(path, f"the process ended with exit code {process.exitcode}\n")
    return path.read_text().splitlines()[0]


def _work(job: Job, workdir: Path) -> None:
    """Body of a job's process."""
    try:
        arrays = job.compute(workdir, **job.arguments)
        with atomic_file(job.path(workdir)) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
    except Exception as error:  # a job may fail in any way; the reason is kept and the others go on
        write_text(job.reason_path(workdir), f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
        raise SystemExit(1) from error
