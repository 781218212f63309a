"""One run of a study, in a process of its own that may be killed at any moment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path

from slembench.core.errors import ConfigError
from slembench.core.jobs import output_to
from slembench.core.ray import packed, unpack
from slembench.results.record import RECORD_FILE
from slembench.studies.plan import Derived, PlannedRun
from slembench.training.log import JsonLog
from slembench.training.numerics import keep_freed_memory

RUNS, DATA = "runs", "data"
"""Folders of a study."""

BEST = "checkpoint/best"
"""Checkpoint of a run that others start from."""

TOKEN_FILE = ".engine"
"""File in the study's folder by which a worker knows that it sees the same folder."""

OWN_FILES = ("predictions.h5",)
"""Files that are not sent between machines: large, and made again from the best checkpoint."""

PATIENCE_S = 30.0
"""How long a process waits for another one that works on the same run."""


@dataclass(frozen=True)
class Task:
    """What an engine is given.

    Attributes:
        key: of the run.
        run: the run.
        derived: how its data set is made, where it is a derived one.
        folder: of the study.
        threads: to compute with.
        keep: leave predictions, last checkpoint and cached levels in the run's folder.
    """

    key: str
    run: PlannedRun
    derived: Derived | None
    folder: Path
    threads: int = 1
    keep: bool = False

    @property
    def run_folder(self) -> Path:
        """Folder of the run."""
        return self.folder / RUNS / self.key

    @property
    def finished(self) -> bool:
        """Whether the records of all splits are there."""
        return all((self.run_folder / split / RECORD_FILE).is_file() for split in self.run.splits)


def execute(task: Task) -> None:
    """Do the run, or what is left of it; the same as `slembench.harness.run` in the run's folder.

    Raises:
        ConfigError: the recipe or the data are not those of the plan, or another process works on the run.
        DataError: broken data.
    """
    from slembench.data import load_dataset
    from slembench.harness import RunConfig, open_run
    from slembench.studies.designs import resolved

    run = task.run
    task.run_folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(task.run_folder.with_suffix(".lock")):
        source = load_dataset(task.derived.source if task.derived else run.dataset)
        _check_unchanged(task, "the data", source.fingerprint, run.fingerprint)
        # the harness refuses a folder with another run's settings and goes on from its last checkpoint otherwise
        config = RunConfig(
            derived_dataset(task, task.derived) if task.derived else source.root,
            run.model,
            variant=run.variant,
            changes=run.changes,
            seed=run.seed,
            partition=run.partition,
            splits=run.splits,
            floors=False,
            init_from=task.folder / RUNS / run.init_from if run.init_from else None,
            out=task.run_folder,
            name=task.key,
            threads=task.threads,
        )
        _check_unchanged(task, f"recipe and settings of {run.model}", resolved(config.settings), run.settings)
        with open_run(config) as opened:
            opened.execute()
        if not task.keep:
            _drop_large(task)


def _check_unchanged(task: Task, what: str, found: str, planned: str) -> None:
    if found != planned:
        raise ConfigError(f"run {task.key}: {what} changed since the plan was made; make it again")


def derived_dataset(task: Task, derived: Derived) -> Path:
    """Folder of the task's derived data set, made where it is not there yet."""
    from slembench.data import load_dataset
    from slembench.data.derive import derive

    # the folder's name holds all that decides the content, so a plan that was edited never reads stale data
    digest = hashlib.sha256(json.dumps(derived.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]
    folder = task.folder / DATA / digest / task.run.dataset
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_suffix(".lock")):
        factor = derived.cutoff_factor
        derive(load_dataset(derived.source), folder, derived.splits, cutoff_factor=factor, rule="made for a study")
    return folder


def run_task(task: Task) -> None:
    """Function of a study's job: `execute`, with all that is printed in ``<key>.log`` beside the run's folder."""
    with output_to(task.run_folder.with_suffix(".log")):
        keep_freed_memory()
        execute(task)


def run_task_anywhere(task: Task, token: str, start: bytes = b"") -> bytes:
    """`run_task` on a machine that may not see the study's folder.

    A run's folder is the study's own where this machine sees it (one machine, or a file system that the machines
    share), so that a run that was lost goes on from its last checkpoint. Elsewhere it lies in the user's cache.

    Args:
        task: the run.
        token: what the study's folder holds in `TOKEN_FILE`.
        start: packed checkpoint that the run starts from; empty where it starts from random weights.

    Returns:
        The packed run, where the study's folder is not seen from here; it is removed here then.
    """
    here = task_here(task, token)
    shared = here is task
    if start and not shared:
        unpack(start, here.folder / RUNS / here.run.init_from / BEST)
    run_task(here)
    if shared:
        return b""
    content = packed(here.run_folder, OWN_FILES)
    shutil.rmtree(here.run_folder)
    return content


def task_here(task: Task, token: str) -> Task:
    """The task itself where this machine sees the study's folder, or else the same one in the user's cache."""
    # the path alone is no proof: another machine may have a folder of the same name
    mark = task.folder / TOKEN_FILE
    if mark.is_file() and mark.read_text(encoding="utf-8") == token:
        return task
    name = hashlib.sha256(f"{token} {task.folder}".encode()).hexdigest()[:16]
    return replace(task, folder=user_cache_path("slembench") / "studies" / name)


def task_status_anywhere(task: Task, token: str, start: bytes = b"") -> tuple[float, str]:
    """`task_status` of `run_task_anywhere`."""
    return task_status(task_here(task, token))


def task_status(task: Task) -> tuple[float, str]:
    """Used part of the budget and a few words, from the log of a run in progress; (0, "") before it begins."""
    rows = JsonLog(task.run_folder / "log.jsonl").rows()
    # a budget of time has no fraction in steps; the bar stays at 0 then and the words count
    limit = task.run.changes.get("training.max_steps")
    steps = max((row["step"] for row in rows), default=0)
    maes: dict[str, float] = next((row["mae"] for row in reversed(rows) if row["event"] == "validation"), {})
    words = [f"step {steps}", *(f"{name} MAE {value:.3g}" for name, value in maes.items())]
    return (min(1.0, steps / limit) if limit else 0.0), ", ".join(words) if steps else ""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends.

    Raises:
        ConfigError: another process holds it for longer than `PATIENCE_S`.
    """
    # flock and no file that says "busy": the system releases it with the process, even after SIGKILL
    with path.open("w") as stream:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ConfigError(f"{path}: another process works on this; wait for it or end it") from None
                time.sleep(0.2)
        yield


def _drop_large(task: Task) -> None:
    """Remove what can be made again from the best checkpoint, which stays."""
    from slembench.predictions.format import PREDICTIONS_FILE

    for split in task.run.splits:
        (task.run_folder / split / PREDICTIONS_FILE).unlink(missing_ok=True)
    for folder in ("checkpoint/last", "levels"):
        shutil.rmtree(task.run_folder / folder, ignore_errors=True)
