"""The engine for many machines: runs as tasks of Ray, on a cluster of its own or on one that is there already.

A run's folder is the study's own where the worker's machine sees the study's folder (one machine, or a file system that
the machines share), so that a run that was lost goes on from its last checkpoint. Elsewhere the worker keeps it in its
cache and sends what it found; a run that was lost there begins anew.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from dataclasses import replace
from typing import Any

from platformdirs import user_cache_path

from slembench.core.files import write_text
from slembench.core.ray import join, packed, unpack
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.studies.engines.local import LocalEngine, Outcome
from slembench.studies.engines.worker import RUNS, Task

TOKEN_FILE = ".engine"
"""File in the study's folder by which a worker knows that it sees the same folder."""

REPORT_S = 1.0
OWN_FILES = (PREDICTIONS_FILE,)
"""Files that are not sent: large, and made again from the best checkpoint."""


class RayEngine:
    """Tasks of Ray; one that is lost with its process or machine is reported as such, never begun again here.

    Args:
        address: cluster to join, ``HOST:PORT`` or ``auto``; by default one that was begun on this machine with
            ``ray start``, or else a new one on this machine.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(self, address: str | None = None) -> None:
        self._ray, self._own = join(address)
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node_id=self._ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = self._ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
        self._token = uuid.uuid4().hex
        self._running: dict[Any, Task] = {}
        self._threads = 1

    def free(self) -> int:
        """How many more tasks fit on the processors that the cluster has now; one at least, where none is running."""
        fit = int(self._ray.cluster_resources().get("CPU", 0)) // self._threads
        return max(fit - len(self._running), 0 if self._running else 1)

    def start(self, task: Task) -> None:
        """Hand a task to Ray."""
        self._threads = task.threads
        write_text(task.folder / TOKEN_FILE, self._token)
        first = b""
        if task.run.init_from:
            first = packed(task.folder / RUNS / task.run.init_from / "checkpoint" / "best")
        work = self._ray.remote(num_cpus=task.threads, max_retries=0)(work_on)
        self._running[work.remote(task, self._token, first, self._board)] = task

    def wait(self, seconds: float) -> list[Outcome]:
        """Tasks that ended."""
        if not self._running:
            return []
        ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=seconds)
        return [self._outcome(reference, self._running.pop(reference)) for reference in ended]

    def progress(self) -> dict[str, tuple[float, str]]:
        """What the workers reported last, of tasks in progress."""
        try:
            known = self._ray.get(self._board.all.remote(), timeout=5)
        except self._ray.exceptions.RayError:
            return {}
        return {task.key: known.get(task.key, (0.0, "waits for a worker")) for task in self._running.values()}

    def close(self) -> None:
        """Cancel what is in progress, and end the cluster if it was begun here."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._own:
            self._ray.shutdown()
        else:
            self._ray.kill(self._board)

    def _outcome(self, reference: Any, task: Task) -> Outcome:
        try:
            kind, text, content = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Outcome(task, "lost", f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        if content:
            unpack(content, task.run_folder)
        return Outcome(task, kind, text)


class Board:
    """What the workers reported: key of a run -> used part of its budget, and a few words."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, str]] = {}

    def put(self, progress: dict[str, tuple[float, str]]) -> None:
        """Take note of a worker's progress."""
        self.known.update(progress)

    def all(self) -> dict[str, tuple[float, str]]:
        """All that was reported."""
        return self.known


def work_on(task: Task, token: str, first: bytes, board: Any) -> tuple[str, str, bytes]:
    """What a worker does: the task in a process of its own, with a word on its progress every second.

    Args:
        task: the task.
        token: what the study's folder holds in `TOKEN_FILE`.
        first: packed checkpoint that the run starts from; empty where it starts from random weights.
        board: handle of a `Board`.

    Returns:
        Kind and text of the outcome, and the packed run where the study's folder is not seen from here.
    """
    mark = task.folder / TOKEN_FILE
    shared = mark.is_file() and mark.read_text(encoding="utf-8") == token
    if not shared:
        name = hashlib.sha256(f"{token} {task.folder}".encode()).hexdigest()[:16]
        task = replace(task, folder=user_cache_path("slembench") / "studies" / name)
        if first:
            unpack(first, task.folder / RUNS / task.run.init_from / "checkpoint" / "best")
    engine = LocalEngine()
    engine.start(task)
    while not (outcomes := engine.wait(REPORT_S)):
        board.put.remote(engine.progress())
    outcome = outcomes[0]
    content = packed(task.run_folder, OWN_FILES) if outcome.kind == "done" and not shared else b""
    if content:
        shutil.rmtree(task.run_folder)
    return outcome.kind, outcome.text, content
