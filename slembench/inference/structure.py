"""Predict the operators of one structure of any size, streamed into a predictions file, in one process or in many."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import ase
import numpy as np
import torch
from ase.data import chemical_symbols

from slembench.core.errors import ConfigError, PredictionError
from slembench.core.files import sha256, write_bytes, write_text
from slembench.core.jobs import Backend, Job, LocalProcesses, run_jobs
from slembench.core.progress import progress
from slembench.core.ray import RayTasks, packed, unpack
from slembench.inference.chunked import MAX_PAIRS, block_portions, features
from slembench.inference.partition import cut, halo, make_part
from slembench.models.contract import OperatorModel
from slembench.nn.kernels.matmul import batch_invariant_matmul
from slembench.operators.orbitals import IntArray
from slembench.predictions import PredictionWriter, read_predictions
from slembench.training.checkpoint import find_checkpoint, load_model
from slembench.training.numerics import keep_freed_memory, numerics

PLAN_FILE = "plan.json"

ATTEMPTS = 4
"""How often a part is given to a worker of a cluster before its losses count as the part's own fault."""

PORTION = 1_000_000
"""Matrix elements, of one direction, that are turned from features into blocks together."""


@dataclass(frozen=True)
class StructureRequest:
    """One structure to be predicted, and the model; every worker gets one.

    Attributes:
        checkpoint: folder of the model.
        name: id of the structure in the predictions file.
        atoms: the structure; positions and cell in Angstrom.
        source_hash: identifies what the structure was read from, kept in the file's header.
        energy_unit: unit of the model's Hamiltonians, where its checkpoint does not say.
        max_pairs: pairs worked on at a time.
        threads: of each process.
    """

    checkpoint: Path
    name: str
    atoms: ase.Atoms
    source_hash: str
    energy_unit: str | None = None
    max_pairs: int = MAX_PAIRS
    threads: int = 1


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
    request: StructureRequest,
    path: str | Path,
    *,
    parts: int = 1,
    workers: int = 1,
    on_ray: bool = False,
    address: str | None = None,
) -> StructureCost:
    """Predict one structure and write a predictions file with one triangle of its pairs.

    With more than one part every part is written to a file of its own in ``<path>.parts`` first; those that are
    finished stay there when a worker is killed, and the same call goes on with the rest.

    Args:
        request: model and structure.
        path: predictions file (HDF5); appears, whole, at the end. Its data set is named after the structure's source.
        parts: into how many the structure is cut; more need less memory and more time, for every halo is computed too.
        workers: processes that predict parts; 1 for this one alone.
        on_ray: let a Ray cluster predict the parts, as many at a time as it has processors for.
        address: of the cluster; see `slembench.core.ray.join`.

    Raises:
        ConfigError: no checkpoint, an element the model does not know, no energy unit, an impossible number of parts,
            or a ``.parts`` folder of another prediction.
        PredictionError: a part was not predicted; on Ray, its worker was lost again and again.
    """
    path, started = Path(path), time.perf_counter()
    model = load_checked(request)
    if parts == 1 and workers == 1 and not on_ray:
        with _writer(request, model, path) as writer:
            pairs = _predict_part(request, model, np.arange(len(request.atoms)), writer)
        return StructureCost(len(request.atoms), pairs, 1, halo(model), time.perf_counter() - started)
    own = cut(request.atoms, max(parts, workers))
    folder = path.with_name(f"{path.name}.parts")
    _claim(folder, request, len(own))
    files = [_part_file(folder, number) for number in range(len(own))]
    missing = [number for number, file in enumerate(files) if not file.is_file()]
    if workers == 1 and not on_ray:
        for number in progress(missing, "parts"):
            predict_to_file(request, own[number], files[number])
    else:
        _run_parts(request, own, files, workers, on_ray, address)
    pairs = _join(request, model, folder, len(own), path)
    shutil.rmtree(folder)
    return StructureCost(len(request.atoms), pairs, len(missing), halo(model), time.perf_counter() - started)


def _run_parts(
    request: StructureRequest, own: list[IntArray], files: list[Path], workers: int, on_ray: bool, address: str | None
) -> None:
    """Have the missing parts predicted by processes, here or on a cluster whose machines need share nothing.

    Raises:
        PredictionError: some part was not predicted; says how many are there.
    """
    backend: Backend
    if on_ray:
        checkpoint = find_checkpoint(request.checkpoint)
        assert checkpoint is not None
        backend = RayTasks(
            address, {"request": replace(request, checkpoint=Path()), "packed_model": packed(checkpoint)}, (__name__,)
        )
        jobs = [
            Job(
                file.name,
                predict_to_bytes,
                {"own": atoms},
                is_done=file.is_file,
                receive=partial(write_bytes, file),
                threads=request.threads,
            )
            for atoms, file in zip(own, files)
        ]
    else:
        backend = LocalProcesses(min(workers, len(own)), reuse=True)
        jobs = [
            Job(
                file.name,
                predict_to_file,
                {"request": request, "own": atoms, "path": file},
                is_done=file.is_file,
                threads=request.threads,
            )
            for atoms, file in zip(own, files)
        ]
    # Too little memory kills one worker after the other: the first loss ends the prediction, so that the user can
    # choose more parts. A machine of a cluster may be lost for any reason, and another one takes its part.
    result = run_jobs(jobs, backend, what="parts", retries=ATTEMPTS - 1 if on_ray else 0, stop_at_failure=True)
    if result.failed:
        name, why = next(iter(result.failed.items()))
        raise PredictionError(
            f"{files[0].parent}: {name} was not predicted ({why}); {len(result.finished)} of {len(own)} parts are "
            "finished and kept: the same command goes on from there (a worker that was killed may have been short of "
            "memory: more parts or fewer workers need less)"
        )


def load_checked(request: StructureRequest) -> OperatorModel:
    """The requested model, once it is clear that it can predict the structure.

    Raises:
        ConfigError: see `predict_structure`.
    """
    model = load_model(request.checkpoint)
    unknown = sorted(set(request.atoms.numbers.tolist()) - set(model.basis.elements))
    if unknown:
        known = ", ".join(chemical_symbols[z] for z in model.basis.elements)
        raise ConfigError(
            f"structure {request.name!r} has {chemical_symbols[unknown[0]]}; model {model.name} was trained on {known}"
        )
    if request.energy_unit is None and model.energy_unit is None:
        raise ConfigError(f"{request.checkpoint}: the checkpoint does not say its energy unit; give it (eV or Hartree)")
    if request.energy_unit is not None and model.energy_unit not in (None, request.energy_unit):
        raise ConfigError(
            f"{request.checkpoint}: was trained in {model.energy_unit}; {request.energy_unit} contradicts it"
        )
    return model


def predict_to_file(request: StructureRequest, own: IntArray, path: Path) -> None:
    """Predict one part into a predictions file of its own.

    Args:
        request: model and structure.
        own: atoms at which the part's pairs begin.
        path: of the file; appears whole at the end.
    """
    keep_freed_memory()
    torch.set_num_threads(request.threads)
    model = load_checked(request)
    with _writer(request, model, path) as writer:
        _predict_part(request, model, own, writer)


def predict_to_bytes(request: StructureRequest, packed_model: bytes, own: IntArray) -> bytes:
    """The content of the file that `predict_to_file` writes, on a machine that has neither folder nor checkpoint.

    Args:
        request: structure; its checkpoint is not looked at.
        packed_model: the checkpoint, as `slembench.core.ray.packed` gives it.
        own: atoms at which the part's pairs begin.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / "checkpoint", Path(folder) / "part.h5"
        unpack(packed_model, checkpoint)
        predict_to_file(replace(request, checkpoint=checkpoint), own, file)
        return file.read_bytes()


def _predict_part(request: StructureRequest, model: OperatorModel, own: IntArray, writer: PredictionWriter) -> int:
    """Blocks that begin at the own atoms; returns how many."""
    part = make_part(model, request.atoms, own)
    device = next(model.parameters()).device.type
    pairs = 0
    with torch.no_grad(), batch_invariant_matmul(), numerics(device, uses_native_kernels=model.uses_native_kernels):
        predicted = features(model, part.graph, request.max_pairs)
        rows = np.searchsorted(part.atoms, own)
        writer.begin(request.name, np.asarray(request.atoms.numbers), model.targets)
        # elements of the largest block: a portion holds about PORTION numbers whatever the basis
        size = int(model.basis.sizes(request.atoms.numbers).max()) ** 2
        portion = max(1, min(request.max_pairs, PORTION // size))
        for blocks in block_portions(model.layout, part.graph, predicted, rows, portion):
            first = next(iter(blocks.values()))
            index = part.atoms[first.pair_index]
            writer.extend(index, first.pair_shift, {name: matrix.values for name, matrix in blocks.items()})
            pairs += len(index)
        writer.end()
    return pairs


def _join(request: StructureRequest, model: OperatorModel, folder: Path, parts: int, path: Path) -> int:
    """Parts end to end in one file; returns the number of pairs."""
    pairs = 0
    with _writer(request, model, path) as writer:
        writer.begin(request.name, np.asarray(request.atoms.numbers), model.targets)
        for number in range(parts):
            with read_predictions(_part_file(folder, number)) as part:
                blocks = part[request.name]
            first = next(iter(blocks.values()))
            writer.extend(first.pair_index, first.pair_shift, {name: matrix.values for name, matrix in blocks.items()})
            pairs += first.n_pairs
        writer.end()
    return pairs


def _writer(request: StructureRequest, model: OperatorModel, path: Path) -> PredictionWriter:
    single = next(model.parameters()).dtype == torch.float32
    return PredictionWriter(
        path,
        dataset=request.name,
        dataset_fingerprint=request.source_hash,
        split="all",
        model=model.name,
        basis=model.basis,
        energy_unit=request.energy_unit or str(model.energy_unit),
        dtype="float32" if single else "float64",
    )


def _part_file(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.h5"


def _claim(folder: Path, request: StructureRequest, parts: int) -> None:
    """Make the folder of the parts, or see that the one that is there belongs to the same prediction."""
    digest = hashlib.sha256()
    # bytes, not rounded text: parts of a structure that moved by any amount are not joined with the old ones
    for array in (request.atoms.numbers, request.atoms.positions, request.atoms.cell.array, request.atoms.pbc):
        digest.update(np.ascontiguousarray(array).tobytes())
    checkpoint = find_checkpoint(request.checkpoint)
    assert checkpoint is not None
    weights = sha256(checkpoint / "model.safetensors")
    plan = {
        "structure": digest.hexdigest(),
        "weights": weights,
        "parts": parts,
        "name": request.name,
        "energy_unit": request.energy_unit,
    }
    file = folder / PLAN_FILE
    if not file.is_file() and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is in the way of the parts and holds something else; write to another file")
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != plan:
        raise ConfigError(f"{folder}: holds parts of another prediction; remove it, or write to another file")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(plan, indent=1) + "\n")
