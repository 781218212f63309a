"""Predict the operators of one structure of any size, streamed into a predictions file, in one process or in many."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols

from slembench.core.errors import ConfigError, PredictionError
from slembench.core.files import sha256, write_text
from slembench.inference.chunked import block_portions, features
from slembench.inference.on_ray import predict_parts
from slembench.inference.partition import cut, halo, make_part
from slembench.inference.structure_job import StructureJob
from slembench.models.contract import OperatorModel
from slembench.nn.kernels.matmul import batch_invariant_matmul
from slembench.operators.orbitals import IntArray
from slembench.predictions import PredictionWriter, read_predictions
from slembench.training.checkpoint import find_checkpoint, load_model
from slembench.training.numerics import keep_freed_memory, numerics

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps an iteration whose length is the second argument (a progress bar)."""

PLAN_FILE = "plan.json"

PORTION = 1_000_000
"""Matrix elements, of one direction, that are turned from features into blocks together."""


@dataclass(frozen=True)
class StructureCost:
    """Measured cost of a prediction.

    Attributes:
        atoms: of the structure.
        pairs: blocks written, on-site ones included, one triangle.
        parts: parts predicted in this call (others were there already).
        halo_A: Angstrom | what a part reads around its own atoms.
        wall_s: seconds in all.
    """

    atoms: int
    pairs: int
    parts: int
    halo_A: float
    wall_s: float


def predict_structure(
    job: StructureJob,
    path: str | Path,
    *,
    parts: int = 1,
    workers: int = 1,
    on_ray: bool = False,
    address: str | None = None,
    progress: Progress = lambda it, n: it,
) -> StructureCost:
    """Predict one structure and write a predictions file with one triangle of its pairs.

    With more than one part every part is written to a file of its own in ``<path>.parts`` first; those that are
    finished stay there when a worker is killed, and the same call goes on with the rest.

    Args:
        job: model and structure.
        path: predictions file (HDF5); appears, whole, at the end. Its data set is named after the structure's source.
        parts: into how many the structure is cut; more need less memory and more time, for every halo is computed too.
        workers: processes that predict parts; 1 for this one alone.
        on_ray: let a Ray cluster predict the parts, as many at a time as it has processors for.
        address: of the cluster; see `slembench.core.ray.join`.
        progress: wraps the iteration over finished parts.

    Raises:
        ConfigError: no checkpoint, an element the model does not know, no energy unit, an impossible number of parts,
            or a ``.parts`` folder of another prediction.
        PredictionError: a worker was killed (on Ray: again and again).
    """
    path, started = Path(path), time.perf_counter()
    model = load_checked(job)
    if parts == 1 and workers == 1 and not on_ray:
        with _writer(job, model, path) as writer:
            pairs = _predict_part(job, model, np.arange(len(job.atoms)), writer)
        return StructureCost(len(job.atoms), pairs, 1, halo(model), time.perf_counter() - started)
    own = cut(job.atoms, max(parts, workers))
    folder = path.with_name(f"{path.name}.parts")
    _claim(folder, job, len(own))
    missing = [number for number in range(len(own)) if not _part_file(folder, number).is_file()]
    if on_ray:
        found = predict_parts(_predict_to_file, job, {_part_file(folder, n): own[n] for n in missing}, address)
        for _ in progress(found, len(missing)):
            pass
    else:
        _predict_missing(job, own, missing, folder, min(workers, max(1, len(missing))), progress)
    pairs = _join(job, model, folder, len(own), path)
    shutil.rmtree(folder)
    return StructureCost(len(job.atoms), pairs, len(missing), halo(model), time.perf_counter() - started)


def load_checked(job: StructureJob) -> OperatorModel:
    """The job's model, once it is clear that it can predict the structure.

    Raises:
        ConfigError: see `predict_structure`.
    """
    model = load_model(job.checkpoint)
    unknown = sorted(set(job.atoms.numbers.tolist()) - set(model.basis.elements))
    if unknown:
        known = ", ".join(chemical_symbols[z] for z in model.basis.elements)
        raise ConfigError(
            f"structure {job.name!r} has {chemical_symbols[unknown[0]]}; model {model.name} was trained on {known}"
        )
    if job.energy_unit is None and model.energy_unit is None:
        raise ConfigError(f"{job.checkpoint}: the checkpoint does not say its energy unit; give it (eV or Hartree)")
    if job.energy_unit is not None and model.energy_unit not in (None, job.energy_unit):
        raise ConfigError(f"{job.checkpoint}: was trained in {model.energy_unit}; {job.energy_unit} contradicts it")
    return model


def _predict_missing(
    job: StructureJob, own: list[IntArray], missing: list[int], folder: Path, workers: int, progress: Progress
) -> None:
    if workers == 1:
        for number in progress(missing, len(missing)):
            _predict_to_file(job, own[number], _part_file(folder, number))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        tasks = {pool.submit(_predict_to_file, job, own[n], _part_file(folder, n)): n for n in missing}
        try:
            for task in progress(as_completed(tasks), len(missing)):
                task.result()
        except BrokenProcessPool:
            done = sum(_part_file(folder, number).is_file() for number in range(len(own)))
            raise PredictionError(
                f"{folder}: a worker was killed, perhaps for want of memory; {done} of {len(own)} parts are finished "
                "and kept: the same command goes on from there (more parts or fewer workers need less memory)"
            ) from None


def _predict_to_file(job: StructureJob, own: IntArray, path: Path) -> None:
    """What a worker does: one part into one file."""
    keep_freed_memory()
    torch.set_num_threads(job.threads)
    model = load_checked(job)
    with _writer(job, model, path) as writer:
        _predict_part(job, model, own, writer)


def _predict_part(job: StructureJob, model: OperatorModel, own: IntArray, writer: PredictionWriter) -> int:
    """Blocks that begin at the own atoms; returns how many."""
    part = make_part(model, job.atoms, own)
    device = next(model.parameters()).device.type
    pairs = 0
    with torch.no_grad(), batch_invariant_matmul(), numerics(device, uses_native_kernels=model.uses_native_kernels):
        predicted = features(model, part.graph, job.max_pairs)
        rows = np.searchsorted(part.atoms, own)
        writer.begin(job.name, np.asarray(job.atoms.numbers), model.targets)
        size = int(model.basis.sizes(job.atoms.numbers).max()) ** 2
        portion = max(1, min(job.max_pairs, PORTION // size))
        for blocks in block_portions(model.layout, part.graph, predicted, rows, portion):
            first = next(iter(blocks.values()))
            index = part.atoms[first.pair_index]
            writer.extend(index, first.pair_shift, {name: matrix.values for name, matrix in blocks.items()})
            pairs += len(index)
        writer.end()
    return pairs


def _join(job: StructureJob, model: OperatorModel, folder: Path, parts: int, path: Path) -> int:
    """Parts end to end in one file; returns the number of pairs."""
    pairs = 0
    with _writer(job, model, path) as writer:
        writer.begin(job.name, np.asarray(job.atoms.numbers), model.targets)
        for number in range(parts):
            with read_predictions(_part_file(folder, number)) as part:
                blocks = part[job.name]
            first = next(iter(blocks.values()))
            writer.extend(first.pair_index, first.pair_shift, {name: matrix.values for name, matrix in blocks.items()})
            pairs += first.n_pairs
        writer.end()
    return pairs


def _writer(job: StructureJob, model: OperatorModel, path: Path) -> PredictionWriter:
    single = next(model.parameters()).dtype == torch.float32
    return PredictionWriter(
        path,
        dataset=job.name,
        dataset_fingerprint=job.source_hash,
        split="all",
        model=model.name,
        basis=model.basis,
        energy_unit=job.energy_unit or str(model.energy_unit),
        dtype="float32" if single else "float64",
    )


def _part_file(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.h5"


def _claim(folder: Path, job: StructureJob, parts: int) -> None:
    """Make the folder of the parts, or see that the one that is there belongs to the same prediction."""
    digest = hashlib.sha256()
    for array in (job.atoms.numbers, job.atoms.positions, job.atoms.cell.array, job.atoms.pbc):
        digest.update(np.ascontiguousarray(array).tobytes())
    checkpoint = find_checkpoint(job.checkpoint)
    assert checkpoint is not None
    weights = sha256(checkpoint / "model.safetensors")
    plan = {
        "structure": digest.hexdigest(),
        "weights": weights,
        "parts": parts,
        "name": job.name,
        "energy_unit": job.energy_unit,
    }
    file = folder / PLAN_FILE
    if not file.is_file() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is in the way of the parts and holds something else; write to another file")
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != plan:
        raise ConfigError(f"{folder}: holds parts of another prediction; remove it, or write to another file")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(plan, indent=1) + "\n")
