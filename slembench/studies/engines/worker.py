"""One run of a study, in a process of its own that may be killed at any moment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from pathlib import Path

from slembench.core.errors import ConfigError, SlembenchError
from slembench.results.record import RECORD_FILE
from slembench.studies.plan import Derived, PlannedRun
from slembench.training.log import JsonLog

RUNS, DATA = "runs", "data"
"""Folders of a study."""

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

    digest = hashlib.sha256(json.dumps(derived.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]
    folder = task.folder / DATA / digest / task.run.dataset
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.with_suffix(".lock")):
        factor = derived.cutoff_factor
        derive(load_dataset(derived.source), folder, derived.splits, cutoff_factor=factor, rule="made for a study")
    return folder


def child(task: Task, pipe: connection.Connection) -> None:
    """Entry of a child process: does the task, tells ("done", ""), ("error", why) or ("crash", why), and ends.

    It ends at once when its parent does. What it prints goes to ``<key>.log`` beside the run's folder.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from slembench.training.numerics import keep_freed_memory

    _end_with_parent()
    task.run_folder.parent.mkdir(parents=True, exist_ok=True)
    with task.run_folder.with_suffix(".log").open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
        keep_freed_memory()
        torch.set_num_threads(task.threads)
        try:
            with threadpool_limits(task.threads):
                execute(task)
            pipe.send(("done", ""))
        except SlembenchError as error:
            pipe.send(("error", str(error)))
        except Exception as error:
            traceback.print_exc()
            pipe.send(("crash", f"{type(error).__name__}: {error}; see {log.name}"))


def progress_of(task: Task) -> tuple[float, str]:
    """Used part of the budget and a few words, from the log of a run in progress; (0, "") before it begins."""
    rows = JsonLog(task.run_folder / "log.jsonl").rows()
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


def _end_with_parent() -> None:
    """Leave at once when the parent process is gone, so that nothing goes on that nobody waits for."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _drop_large(task: Task) -> None:
    """Remove what can be made again from the best checkpoint, which stays."""
    from slembench.predictions.format import PREDICTIONS_FILE

    for split in task.run.splits:
        (task.run_folder / split / PREDICTIONS_FILE).unlink(missing_ok=True)
    for folder in ("checkpoint/last", "levels"):
        shutil.rmtree(task.run_folder / folder, ignore_errors=True)
