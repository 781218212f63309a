"""Ray: jobs on a cluster, and folders on their way between machines that share no file system."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slembench.core.errors import ConfigError
from slembench.core.files import atomic_folder
from slembench.core.jobs import Call, Job, LocalProcesses, Outcome, Status

REPORT_S = 1.0
"""Seconds between two reports of a worker on its job."""


def import_ray() -> Any:
    """The module ``ray`` with what is used of it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ImportError:
        raise ConfigError("Ray is not installed; `pip install 'slembench[ray]'`, or use --engine local") from None
    return ray


def join(address: str | None = None) -> tuple[Any, bool]:
    """Join a cluster, unless this process has joined one already.

    Args:
        address: ``HOST:PORT`` or ``auto``; by default a cluster that was begun on this machine with ``ray start``, or
            else a new one on this machine.

    Returns:
        The module ``ray``, and whether it was joined here (then ``ray.shutdown()`` is for the caller to do).

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at the address.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray, False
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"Ray: no cluster at {address or 'this machine'} ({error})") from None
    return ray, True


def packed(folder: Path, without: Sequence[str] = ()) -> bytes:
    """Files of a folder and its subfolders as a ZIP archive, without those of some names.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "record.yaml").write_text("name: a"), (folder / "predictions.h5").write_text("large")
        >>> unpack(packed(folder, without=["predictions.h5"]), folder / "copy")
        >>> [path.name for path in (folder / "copy").iterdir()]
        ['record.yaml']
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in without:
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Make a folder of what `packed` gave; one that is there already is replaced once the new one is complete."""
    with atomic_folder(folder, replace=True) as temporary, zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(temporary)


class RayTasks:
    """Backend of `slembench.core.jobs.run_jobs`: every job is a task of Ray.

    Ray itself begins nothing again; a job whose process or machine is gone is reported as lost.

    Args:
        address: see `join`.
        shared: further keyword arguments of every job, sent to each machine once.
        preload: see `slembench.core.jobs.LocalProcesses`, of the processes on the workers' machines.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at the address.
    """

    remote = True

    def __init__(
        self, address: str | None = None, shared: Mapping[str, Any] | None = None, preload: Sequence[str] = ()
    ) -> None:
        self._ray, self._own = join(address)
        # The board lives where this process does: it must outlast every machine that may be lost.
        here = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node_id=self._ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = self._ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()
        self._shared, self._preload = self._ray.put(dict(shared or {})), tuple(preload)
        self._running: dict[Any, str] = {}
        self._threads = 1

    def free(self) -> int:
        """How many more jobs fit on the processors that the cluster has now; one at least, where none is running."""
        fit = int(self._ray.cluster_resources().get("CPU", 0)) // self._threads
        return max(fit - len(self._running), 0 if self._running else 1)

    def start(self, job: Job) -> None:
        """Hand a job to Ray."""
        self._threads = job.threads
        # max_retries=0: a job that is begun again may need other late arguments, so that is for run_jobs to do
        task = self._ray.remote(num_cpus=job.threads, max_retries=0)(run_call)
        self._running[task.remote(job.id, job.call, self._shared, self._board, self._preload)] = job.id

    def wait(self, seconds: float) -> list[Outcome]:
        """Jobs that ended."""
        if not self._running:
            return []
        ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=seconds)
        return [self._outcome(reference, self._running.pop(reference)) for reference in ended]

    def status(self) -> dict[str, Status]:
        """What the workers reported last."""
        try:
            known = self._ray.get(self._board.all.remote(), timeout=5)
        except self._ray.exceptions.RayError:
            return {}
        return {name: known.get(name, (0.0, "waits for a worker")) for name in self._running.values()}

    def close(self) -> None:
        """Cancel what is running, and leave the cluster if it was joined here."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._own:
            self._ray.shutdown()
        else:
            self._ray.kill(self._board)

    def _outcome(self, reference: Any, name: str) -> Outcome:
        try:
            return Outcome(*self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            return Outcome(name, "lost", f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")


class Board:
    """What the workers reported: id of a job -> its status."""

    def __init__(self) -> None:
        self.known: dict[str, Status] = {}

    def put(self, status: dict[str, Status]) -> None:
        """Take note of a worker's status."""
        self.known.update(status)

    def all(self) -> dict[str, Status]:
        """All that was reported."""
        return self.known


def run_call(name: str, call: Call, shared: Mapping[str, Any], board: Any, preload: Sequence[str] = ()) -> Outcome:
    """What a worker of Ray does: the job in a process of its own, with a report on it every second.

    Args:
        name: id of the job.
        call: the job.
        shared: further keyword arguments.
        board: handle of a `Board`.
        preload: see `slembench.core.jobs.LocalProcesses`.
    """
    processes = LocalProcesses(preload=preload)
    arguments = {**call.arguments, **shared}
    try:
        processes.start(Job(name, call.function, arguments, status=call.status, threads=call.threads))
        while not (outcomes := processes.wait(REPORT_S)):
            board.put.remote(processes.status())
        return outcomes[0]
    finally:
        processes.close()
