"""Engines: where the runs of a study are worked on. The local one has a process for each run on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from slembench.studies.engines.worker import Task, child, progress_of


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        task: the task.
        kind: "done"; "error": it will end so again; "lost": its process or machine is gone, or it crashed.
        text: why, if it is not done.
    """

    task: Task
    kind: Literal["done", "error", "lost"]
    text: str = ""


class Engine(Protocol):
    """What works on tasks. One that loses a task says so; it is not its business to begin it again."""

    def free(self) -> int:
        """How many more tasks may be started now."""

    def start(self, task: Task) -> None:
        """Begin a task."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Tasks that ended, after at most ``seconds``; empty where none did."""

    def progress(self) -> dict[str, tuple[float, str]]:
        """Key of every task in progress -> used part of its budget, and a few words."""

    def close(self) -> None:
        """End everything that is in progress."""


class LocalEngine:
    """Processes on this machine, forked from a clean one that has everything imported.

    Args:
        jobs: processes at a time; each computes with its task's number of threads.
    """

    def __init__(self, jobs: int = 1) -> None:
        self.jobs = jobs
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["slembench.harness.run", "slembench.studies.engines.worker"])
        self._running: dict[str, tuple[Task, BaseProcess, connection.Connection]] = {}

    def free(self) -> int:
        """How many more tasks may be started now."""
        return self.jobs - len(self._running)

    def start(self, task: Task) -> None:
        """Begin a task in a process of its own."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=child, args=(task, theirs), daemon=True)
        process.start()
        theirs.close()
        self._running[task.key] = (task, process, ours)

    def wait(self, seconds: float) -> list[Outcome]:
        """Tasks whose processes ended; a process that ended without a word was killed."""
        ended = set(connection.wait([process.sentinel for _, process, _ in self._running.values()], seconds))
        outcomes = []
        for key, (task, process, pipe) in list(self._running.items()):
            if process.sentinel in ended:
                process.join()
                del self._running[key]
                outcomes.append(_outcome(task, pipe, process.exitcode))
        return outcomes

    def progress(self) -> dict[str, tuple[float, str]]:
        """From the logs of the runs."""
        return {key: progress_of(task) for key, (task, _, _) in self._running.items()}

    def close(self) -> None:
        """Kill the processes."""
        for _, process, _ in self._running.values():
            process.kill()
            process.join()
        self._running.clear()


def _outcome(task: Task, pipe: connection.Connection, code: int | None) -> Outcome:
    with pipe:
        try:
            kind, text = pipe.recv() if pipe.poll() else ("crash", f"its process ended with code {code}")
        except EOFError:
            kind, text = "crash", f"its process was killed or died (code {code})"
    known: dict[str, Literal["done", "error", "lost"]] = {"done": "done", "error": "error"}
    return Outcome(task, known.get(kind, "lost"), text)
