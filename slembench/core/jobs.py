"""One way to work through a table of jobs: calculations of a recipe, runs of a study, parts of a large structure.

A job is a function of a module with its arguments, called in a process of its own. Its result is a file or folder that
appears whole or not at all, so "is it there" says what is left to do after any interruption, SIGKILL included. A job
that fails does not stop the others. Where the processes run is the backend's business: `LocalProcesses` on this
machine, `slembench.core.ray.RayTasks` on a cluster.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from slembench.core.errors import ConfigError, SlembenchError
from slembench.core.files import write_text
from slembench.core.logging import configure
from slembench.core.progress import ProgressBar

logger = logging.getLogger(__name__)

POLL_S = 0.5
"""Seconds between two looks at how far the running jobs are."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Status = tuple[float, str]
"""Fraction of a running job that is done, and a few words."""

Kind = Literal["done", "error", "crash", "lost"]
"""How a job ended. error: a `SlembenchError`, which it would raise again; crash: any other exception; lost: its process
or machine is gone."""


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        id: name of the job, also in messages.
        function: defined at the top of a module that a worker process can import.
        arguments: keyword arguments; picklable.
        late_arguments: gives further ones when the job begins, such as what it reads of the jobs it needs.
        needs: ids of jobs that must be finished first.
        is_done: whether the result is there; by default never.
        receive: called here, in the process that waits, with what the function returned.
        status: function of a module; called with the job's arguments while it runs.
        title: a few words, for the message that it begins.
        threads: to compute with.
        error_file: why the job failed is written there; it goes when the job is begun again.
    """

    id: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    late_arguments: Callable[[], Mapping[str, Any]] | None = None
    needs: tuple[str, ...] = ()
    is_done: Callable[[], bool] = lambda: False
    receive: Callable[[Any], object] = lambda value: None
    status: Callable[..., Status] | None = None
    title: str = ""
    threads: int = 1
    error_file: Path | None = None

    @property
    def call(self) -> Call:
        """What a worker gets of it."""
        late = self.late_arguments() if self.late_arguments is not None else {}
        return Call(self.function, {**self.arguments, **late}, self.status, self.threads)


class Call(NamedTuple):
    """The part of a job that travels to a worker; the fields are those of `Job`."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    status: Callable[..., Status] | None
    threads: int


class Outcome(NamedTuple):
    """How an attempt at a job ended.

    Attributes:
        id: of the job.
        kind: see `Kind`.
        text: why, in one line, if it is not done.
        details: the traceback, where there is one.
        value: what the function returned.
    """

    id: str
    kind: Kind
    text: str = ""
    details: str = ""
    value: Any = None


class Backend(Protocol):
    """Where jobs run. One that loses a job says so; `run_jobs` decides whether it is begun again."""

    remote: bool
    """Whether workers may be on machines that do not see the files of this one."""

    def free(self) -> int:
        """How many more jobs may be started now."""

    def start(self, job: Job) -> None:
        """Begin a job."""

    def wait(self, seconds: float) -> list[Outcome]:
        """Jobs that ended, after at most ``seconds``; empty where none did."""

    def status(self) -> dict[str, Status]:
        """Id of every running job that has a status -> the status."""

    def close(self) -> None:
        """End everything that is running."""


@dataclass
class JobsResult:
    """How the table stands at the end.

    Attributes:
        finished: ids of all jobs whose results are there, in the order of the table.
        made: those of them that were made in this call, in the order in which they ended.
        failed: id -> why, in one line.
    """

    finished: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def present(self) -> list[str]:
        """Those whose results had been there before."""
        return [name for name in self.finished if name not in self.made]


def run_jobs(
    jobs: Iterable[Job], backend: Backend, *, what: str = "jobs", retries: int = 0, stop_at_failure: bool = False
) -> JobsResult:
    """Do every job whose result is not there yet; call again after any interruption.

    Args:
        jobs: the table; of those that may begin, the first ones do.
        backend: where they run; closed at the end.
        what: what they are, in messages and before the bar: "runs", "parts".
        retries: how often a job that was lost or crashed is begun again in this call.
        stop_at_failure: begin no further job once one has failed.

    Returns:
        What is finished and what failed; a job fails with those that it needs.

    Raises:
        ConfigError: two jobs of one id, or one that needs a job which is not in the table.

    Example:
        >>> import statistics, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> def table():
        ...     for name, data in (("a", [1, 2, 6]), ("b", []), ("c", [4])):
        ...         file = folder / f"{name}.txt"
        ...         yield Job(
        ...             name, statistics.mean, {"data": data}, is_done=file.is_file,
        ...             receive=lambda mean, file=file: write_text(file, str(mean)),
        ...         )
        >>> first = run_jobs(table(), LocalProcesses(reuse=True))
        >>> first.made, first.failed
        (['a', 'c'], {'b': 'StatisticsError: mean requires at least one data point'})
        >>> (folder / "a.txt").read_text()
        '3'
        >>> run_jobs(table(), LocalProcesses(reuse=True)).present
        ['a', 'c']
    """
    table = _checked_table(jobs)
    finished = {name for name, job in table.items() if job.is_done()}
    waiting = [name for name in table if name not in finished]
    result, losses, active = JobsResult(), Counter[str](), set[str]()
    logger.info("%d %s, %d of them finished already", len(table), what, len(finished))

    def fail(name: str, text: str, details: str = "") -> None:
        result.failed[name] = text
        logger.warning("%s failed: %s", name, text)
        if (file := table[name].error_file) is not None:
            write_text(file, f"{text}\n" + (f"\n{details}" if details else ""))

    with ExitStack() as stack:
        stack.callback(backend.close)
        bars = stack.enter_context(_Bars(what, len(table)))
        while waiting or active:
            # A job that needs a failed one can never begin. It fails once all that it needs have ended, so that the
            # reason names all of them.
            for name in list(waiting):
                hopeless = [need for need in table[name].needs if need in result.failed]
                if hopeless and {*finished, *result.failed}.issuperset(table[name].needs):
                    waiting.remove(name)
                    fail(name, f"needs {', '.join(hopeless)}, which failed")
            if stop_at_failure and result.failed:
                waiting.clear()
            ready = [name for name in waiting if finished.issuperset(table[name].needs)]
            for name in ready[: max(0, backend.free())]:
                job = table[name]
                waiting.remove(name)
                active.add(name)
                if job.error_file is not None:
                    job.error_file.unlink(missing_ok=True)
                backend.start(job)
                logger.log(logging.INFO if job.title else logging.DEBUG, "%s begins: %s", name, job.title or "")
            for outcome in backend.wait(POLL_S) if active else ():
                name = outcome.id
                active.discard(name)
                if outcome.kind == "done":
                    table[name].receive(outcome.value)
                    finished.add(name)
                    result.made.append(name)
                    logger.info("%s is finished (%d of %d)", name, len(finished), len(table))
                elif outcome.kind != "error" and losses[name] < retries:
                    losses[name] += 1
                    waiting.insert(0, name)
                    logger.info("%s was lost (%s); begun again, %d of %d", name, outcome.text, losses[name], retries)
                else:
                    fail(name, outcome.text, outcome.details)
            bars.update(len(finished) + len(result.failed), backend)
    result.finished = [name for name in table if name in finished]
    return result


def _checked_table(jobs: Iterable[Job]) -> dict[str, Job]:
    """Id -> job, where the table can be worked through at all."""
    table: dict[str, Job] = {}
    for job in jobs:
        if job.id in table:
            raise ConfigError(f"job {job.id!r} stands twice in the table")
        table[job.id] = job
    for job in table.values():
        unknown = [need for need in job.needs if need not in table]
        if unknown:
            raise ConfigError(f"job {job.id!r} needs {unknown[0]!r}, which is not in the table")
    try:
        TopologicalSorter({job.id: job.needs for job in table.values()}).prepare()
    except CycleError as error:
        raise ConfigError(f"jobs need each other in a circle: {' <- '.join(error.args[1])}") from error
    return table


class _Bars:
    """A bar for the table, and one below it for each running job that has a status."""

    def __init__(self, what: str, total: int) -> None:
        self.whole = ProgressBar(what, total)
        self.parts: dict[str, ProgressBar] = {}

    def __enter__(self) -> _Bars:
        self.whole.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for bar in (*self.parts.values(), self.whole):
            bar.__exit__()

    def update(self, ended: int, backend: Backend) -> None:
        """Draw anew; asks the backend only where somebody sees it, because a status reads files."""
        self.whole.update(ended)
        if not self.whole.shown:
            return
        status = backend.status()
        for name in [name for name in self.parts if name not in status]:
            self.parts.pop(name).__exit__()
        for name, (fraction, words) in status.items():
            if name not in self.parts:
                self.parts[name] = ProgressBar(name, 1.0, "fraction").__enter__()
            self.parts[name].update(fraction, f"{name}: {words}" if words else name)


class LocalProcesses:
    """Processes on this machine.

    They end when this process does, however it ends, so nothing goes on that nobody waits for.

    Args:
        jobs: processes at a time.
        preload: modules that take long to import; the processes are forked from a clean one that has imported them.
            Without any, each process is a fresh interpreter.
        reuse: a process does one job after the other, for jobs that are short beside the start of a process.

    Raises:
        ConfigError: ``jobs < 1``.
    """

    remote = False

    def __init__(self, jobs: int = 1, preload: Sequence[str] = (), reuse: bool = False) -> None:
        if jobs < 1:
            raise ConfigError(f"jobs must be at least 1, got {jobs}")
        self.jobs, self.reuse = jobs, reuse
        self.processes: dict[str, BaseProcess] = {}  # id of each running job -> its process
        self._context = get_context("forkserver" if preload else "spawn")
        if preload:
            self._context.set_forkserver_preload([*preload, __name__])
        self._running: dict[str, tuple[Call, _Worker]] = {}
        self._idle: list[_Worker] = []

    def free(self) -> int:
        """How many more jobs may be started now."""
        return self.jobs - len(self._running)

    def start(self, job: Job) -> None:
        """Begin a job in a process of its own, or in one that is idle."""
        worker = self._idle.pop() if self._idle else _Worker(self._context)
        call = job.call
        worker.send(call)
        self._running[job.id] = (call, worker)
        self.processes[job.id] = worker.process

    def wait(self, seconds: float) -> list[Outcome]:
        """Jobs that ended; a process that ended without an answer was killed."""
        workers = [worker for _, worker in self._running.values()]
        connection.wait([x for w in workers for x in (w.pipe, w.process.sentinel)], seconds)
        outcomes = []
        for name, (_, worker) in list(self._running.items()):
            outcome = worker.outcome(name)
            if outcome is None:
                continue
            del self._running[name], self.processes[name]
            outcomes.append(outcome)
            if self.reuse and outcome.kind != "lost":
                self._idle.append(worker)
            else:
                worker.end()
        return outcomes

    def status(self) -> dict[str, Status]:
        """Asked for in this process, from the files that the jobs write."""
        running = ((name, call) for name, (call, _) in self._running.items())
        return {name: call.status(**call.arguments) for name, call in running if call.status is not None}

    def close(self) -> None:
        """Kill the processes."""
        for worker in (*self._idle, *(worker for _, worker in self._running.values())):
            worker.process.kill()
            worker.end()
        self._idle.clear()
        self._running.clear()
        self.processes.clear()


class _Worker:
    """This side of a worker process."""

    def __init__(self, context: Any) -> None:
        self.pipe, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(other,), daemon=True)
        self.process.start()
        other.close()  # the worker has the only copy then, and its death closes the pipe

    def send(self, call: Call) -> None:
        """Give it a job; one that is dead already is found by `outcome`."""
        try:
            self.pipe.send(call)
        except (BrokenPipeError, ConnectionResetError):
            logger.debug("a worker process died before it got a job")

    def outcome(self, name: str) -> Outcome | None:
        """How its job ended; None while it is at it."""
        alive = self.process.is_alive()  # asked first: an answer may arrive between the two questions
        try:
            if self.pipe.poll():
                kind, text, details, value = self.pipe.recv()
                return Outcome(name, kind, text, details, value)
        except (EOFError, OSError):
            alive = False
        if alive:
            return None
        self.process.join()
        return Outcome(name, "lost", f"its process was killed or died (exit code {self.process.exitcode})")

    def end(self) -> None:
        """Let it go: a worker whose pipe is closed ends."""
        self.pipe.close()
        self.process.join()


def _work(pipe: connection.Connection) -> None:
    """Life of a worker process: calls come in, outcomes go out, until the pipe is closed."""
    _end_with_parent()
    while True:
        try:
            call: Call = pipe.recv()  # imports the function's module
        except EOFError:
            return
        except Exception as error:
            pipe.send(_failure(error))
            continue
        pipe.send(_attempt(call))


def _attempt(call: Call) -> tuple[Kind, str, str, Any]:
    """Call the function: kind, text, details and value of the outcome."""
    from threadpoolctl import threadpool_limits

    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(call.threads)  # for libraries that are loaded from now on ...
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(call.threads)
    try:
        with threadpool_limits(call.threads):  # ... and for those that are loaded already
            return "done", "", "", call.function(**call.arguments)
    except Exception as error:  # a job may fail in any way; the reason is kept and the others go on
        return _failure(error)


def _failure(error: Exception) -> tuple[Kind, str, str, Any]:
    known = isinstance(error, SlembenchError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    notes = getattr(error, "__notes__", ())
    details = "".join(traceback.format_exception(error))
    return "error" if known else "crash", "; ".join([text, *notes]), details, None


def _end_with_parent() -> None:
    """Leave at once when the parent process is gone."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)  # sys.exit would end this thread alone

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Append all that this process prints and logs to a file, C libraries included, and the traceback of an error.

    For the function of a job; the streams stay redirected afterwards.

    Args:
        path: the job's log; an error that leaves the block gets a note that names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
            # Files are buffered in blocks: lines would stand behind a traceback, a killed job would lose its last ones.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        configure()
        try:
            yield
        except SlembenchError:
            raise
        except Exception as error:
            traceback.print_exc()
            error.add_note(f"see {path}")
            raise
