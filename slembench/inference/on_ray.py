"""Parts of a large structure predicted by the workers of a Ray cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from slembench.core.errors import PredictionError
from slembench.core.files import atomic_file
from slembench.core.ray import join, packed, unpack
from slembench.inference.structure_job import StructureJob
from slembench.operators.orbitals import IntArray
from slembench.training.checkpoint import find_checkpoint

ATTEMPTS = 4
"""How often a part is given to a worker before its losses count as the part's own fault."""

Worker = Callable[[StructureJob, IntArray, Path], None]


def predict_parts(
    work: Worker, job: StructureJob, parts: dict[Path, IntArray], address: str | None = None
) -> Iterator[Path]:
    """Predict parts, each as a task; the files are written here, so the machines need share nothing.

    Args:
        work: predicts one part into one file.
        job: model and structure; the checkpoint travels with it.
        parts: file -> the part's own atoms.
        address: of the cluster; see `slembench.core.ray.join`.

    Yields:
        Files as they are finished.

    Raises:
        ConfigError: no Ray, or no cluster; PredictionError: a part whose worker was lost again and again.
    """
    ray, own = join(address)
    checkpoint = find_checkpoint(job.checkpoint)
    assert checkpoint is not None
    sent = ray.put((replace(job, checkpoint=Path("checkpoint")), packed(checkpoint)))
    task = ray.remote(num_cpus=job.threads, max_retries=ATTEMPTS - 1)(_predict)
    running = {task.remote(work, sent, atoms): path for path, atoms in parts.items()}
    try:
        while running:
            (reference,), _ = ray.wait(list(running), num_returns=1)
            path = running.pop(reference)
            with atomic_file(path) as temporary:
                temporary.write_bytes(_result(ray, reference, path, len(parts) - len(running) - 1, len(parts)))
            yield path
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if own:
            ray.shutdown()


def _result(ray: Any, reference: Any, path: Path, done: int, total: int) -> bytes:
    try:
        content: bytes = ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise PredictionError(
            f"{path.parent}: {path.name} was not predicted ({type(error).__name__}: {reason}); {done} of {total} parts "
            "are finished and kept: the same command goes on from there"
        ) from None
    return content


def _predict(work: Worker, sent: tuple[StructureJob, bytes], own: IntArray) -> bytes:
    """What a worker of Ray does: one part, given back as the content of its file."""
    job, content = sent
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / "checkpoint", Path(folder) / "part.h5"
        unpack(content, checkpoint)
        work(replace(job, checkpoint=checkpoint), own, file)
        return file.read_bytes()
