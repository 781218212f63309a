"""Cost against size: time and memory of a training step and of a prediction, each measured in a process of its own.

Three series for every model: against atoms (supercells of a crystal, or molecules of a data set), against the cutoff,
and against lmax, the largest angular momentum of the blocks, at 8 channels of every irrep. The rows go to a CSV file
one by one, so a series that was stopped goes on.
"""

from __future__ import annotations

import gc
import logging
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import ase
import numpy as np
import pandas as pd
import psutil
import torch

from slembench.core.errors import ConfigError, DataError
from slembench.core.files import write_text
from slembench.core.jobs import Job, LocalProcesses, run_jobs
from slembench.data import Dataset
from slembench.data.graph import OperatorGraph, build_graph
from slembench.harness import load_recipe
from slembench.inference.predict import predict_blocks
from slembench.models.contract import OperatorModel
from slembench.models.graphs import attach_frames
from slembench.operators.orbitals import Basis
from slembench.studies.designs import ModelSpec, check_factors
from slembench.studies.probe import training_step_cost
from slembench.training.numerics import numerics

logger = logging.getLogger(__name__)

TABLE_FILE = "measurements.csv"
SHELLS = {2: "1s1p", 4: "1s1p1d", 6: "1s1p1d1f"}
"""lmax -> shells of every element, whose products reach it."""

Axis = Literal["atoms", "cutoff", "lmax"]


@dataclass(frozen=True)
class Size:
    """What one measurement is made at.

    Attributes:
        dataset: name of the data set.
        model: ``MODEL`` or ``MODEL@VARIANT``.
        axis: what the series varies.
        atoms: number of atoms.
        cutoff: Angstrom | largest pair cutoff.
        lmax: of the blocks.
    """

    dataset: str
    model: str
    axis: Axis
    atoms: int
    cutoff: float
    lmax: int

    @property
    def title(self) -> str:
        """Model and size in words."""
        return f"{self.model}, {self.atoms} atoms, lmax {self.lmax}"


@dataclass(frozen=True)
class Case:
    """A size with the structure, basis and settings that are measured there."""

    size: Size
    structure: ase.Atoms
    basis: dict[str, str]
    cutoffs: dict[int, float]
    changes: dict[str, Any]


def cases(
    data: Dataset,
    specs: Sequence[ModelSpec],
    copies: Sequence[int] = (1, 2, 4),
    factors: Sequence[float] = (1.0, 0.8, 0.6),
    lmaxs: Sequence[int] = (2, 4, 6),
) -> list[Case]:
    """What is to be measured.

    Args:
        data: gives structures, basis and cutoffs.
        specs: the models.
        copies: supercells of its first training structure; of molecules as many sizes from smallest to largest.
        factors: on the cutoffs.
        lmaxs: among the keys of `SHELLS`; models that have no known setting for it are left out of the series.

    Raises:
        ConfigError: see `check_sizes`.
    """
    check_sizes(copies, factors, lmaxs)
    structures = _structures(data, len(copies) if not data.card.periodic else 0, copies)
    basis, found = data.basis.to_dict(), []
    own = 2 * max(l for z in data.basis.elements for l in data.basis.shells[z])
    for spec in specs:
        found += [_case(data, spec, "atoms", atoms, basis, 1.0, own, {}) for atoms in structures]
        shorter = [factor for factor in factors if factor != 1]  # the full cutoff is in the first series
        found += [_case(data, spec, "cutoff", structures[0], basis, factor, own, {}) for factor in shorter]
        for lmax in lmaxs:
            changes = lmax_changes(spec.model, lmax)
            if changes is not None:
                shells = dict.fromkeys(basis, SHELLS[lmax])
                found.append(_case(data, spec, "lmax", structures[0], shells, min(factors), lmax, changes))
    return found


def check_sizes(copies: Sequence[int], factors: Sequence[float], lmaxs: Sequence[int]) -> None:
    """Refuse what `cases` makes nothing of.

    Raises:
        ConfigError: a number of copies below 1, a factor outside (0, 1], or an lmax without shells.
    """
    check_factors(factors)
    for number in copies:
        if number < 1:
            raise ConfigError(f"copies {number}: give positive integers, such as --copies 1,2,4")
    for lmax in lmaxs:
        if lmax not in SHELLS:
            raise ConfigError(f"lmax {lmax}: choose among {', '.join(map(str, SHELLS))}")


def _case(
    data: Dataset,
    spec: ModelSpec,
    axis: Axis,
    atoms: ase.Atoms,
    shells: dict[str, str],
    factor: float,
    lmax: int,
    changes: dict[str, Any],
) -> Case:
    cutoffs = {z: factor * radius for z, radius in data.cutoffs.items()}
    size = Size(data.name, spec.text, axis, len(atoms), round(max(cutoffs.values()), 4), lmax)
    return Case(size, atoms, shells, cutoffs, changes)


def lmax_changes(model: str, lmax: int) -> dict[str, Any] | None:
    """Settings of a model with 8 channels of every irrep up to ``lmax``; None for a model that is not known here."""
    irreps = "+".join(f"8x{l}{parity}" for l in range(lmax + 1) for parity in "eo")
    known: dict[str, dict[str, Any]] = {
        "slem": {"model.irreps_hidden": irreps, "model.init_multiplicity": 8},
        "lem": {"model.irreps_hidden": irreps, "model.init_multiplicity": 8},
        "deeph-e3": {"model.irreps_mid": irreps, "model.harmonics_lmax": lmax},
        "hamgnn": {"model.irreps": irreps, "model.harmonics_lmax": lmax},
        "qhnet": {"model.lmax": lmax, "model.width": 16, "model.bottleneck": 8},
    }
    return known.get(model)


def measure_all(
    data: Dataset,
    specs: Sequence[ModelSpec],
    folder: Path,
    *,
    threads: int = 1,
    **sizes: Any,
) -> pd.DataFrame:
    """Measure what is not measured yet; returns the whole table of the folder.

    Args:
        data: see `cases`.
        specs: see `cases`.
        folder: of the study; its table grows row by row.
        threads: to compute with.
        sizes: further arguments of `cases`.

    Raises:
        ConfigError: a model that cannot be built at a size, or a process that was killed.
        DataError: a table that is not readable.
    """
    path = folder / TABLE_FILE
    table = read_measurements(path) if path.is_file() else pd.DataFrame()
    keys = list(Size.__dataclass_fields__)
    done = {tuple(row) for row in table[keys].itertuples(index=False)} if len(table) else set()

    def keep(case: Case, found: dict[str, float]) -> None:
        nonlocal table
        row = {**asdict(case.size), "threads": threads, **found}
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        write_text(path, table.to_csv(index=False))
        times = f"prediction {row['predict_cpu_s']:.3g}, training step {row['train_cpu_s']:.3g} CPU s"
        logger.info("%s: %s", case.size.title, times)

    jobs = [
        Job(
            f"{case.size.title}, {case.size.axis} {case.size.cutoff:g} Angstrom",
            measure,
            {"case": case},
            is_done=partial(done.__contains__, tuple(asdict(case.size).values())),
            receive=partial(keep, case),
            threads=threads,
        )
        for case in cases(data, specs, **sizes)
    ]
    # One at a time: two measurements would share caches and memory bandwidth, and neither time would mean anything.
    processes = LocalProcesses(preload=("slembench.studies.scaling",))
    result = run_jobs(jobs, processes, what=f"measurements on {data.name}", stop_at_failure=True)
    for name, why in result.failed.items():
        raise ConfigError(f"{name}: {why}; a process that was killed may have been short of memory")
    return table


def read_measurements(path: Path) -> pd.DataFrame:
    """Table that `measure_all` wrote.

    Raises:
        DataError: not readable, or columns are missing.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as CSV: {error}") from error
    missing = [name for name in (*Size.__dataclass_fields__, "predict_cpu_s") if name not in table]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing")
    return table


def measure(case: Case) -> dict[str, float]:
    """Pairs, parameters, CPU seconds and peak memory beyond what the process had before, of one case.

    Times are CPU seconds of all threads: of a training step on one structure with random targets (forward, backward,
    update), and of a prediction from positions to blocks (the faster one of two).
    """
    spec = ModelSpec.parse(case.size.model)
    changes = {"training.max_steps": 1, "training.max_wall_s": None, "training.max_cpu_s": None, **case.changes}
    settings = load_recipe(spec.model, variant=spec.variant, changes=changes)
    # weights are random: costs do not depend on their values
    torch.manual_seed(0)
    model = settings.kind(settings.model, Basis.parse(case.basis), case.cutoffs, ("hamiltonian",))
    # a model that is trained in stages costs what it costs with all of them
    model.activate_all_parts()
    model.eval()
    # libraries and weights: what is reported is what the structure adds to them
    before = psutil.Process().memory_info().rss
    with torch.no_grad(), numerics("cpu", uses_native_kernels=model.uses_native_kernels):
        # the first call also compiles and fills caches; the faster one counts
        times = [_predict(model, case.structure) for _ in range(2)]
    predicted = _peak() - before
    gc.collect()
    graph = _training_graph(model, case.structure)
    cost = training_step_cost(model, [graph], settings.training, steps=2)
    return {
        "pairs": float(len(graph.pair_type)),
        "parameters": float(model.n_parameters),
        "predict_cpu_s": min(times),
        "train_cpu_s": cost.cpu_s,
        "predict_bytes": float(predicted),
        "train_bytes": float(_peak() - before),
    }


def _predict(model: OperatorModel, atoms: ase.Atoms) -> float:
    begun = time.process_time()
    predict_blocks(model, build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64))
    return time.process_time() - begun


def _training_graph(model: OperatorModel, atoms: ase.Atoms) -> OperatorGraph:
    """Graph with random targets of unit size in float32."""
    graph = attach_frames(build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float32), model.frame_lmax)
    onsite, pair = (torch.as_tensor(mask).float() for mask in (model.layout.onsite_mask, model.layout.pair_mask))
    graph.hamiltonian_onsite = onsite[graph.species] * torch.randn(len(graph.species), onsite.shape[1])
    graph.hamiltonian_pair = pair[graph.pair_type] * torch.randn(len(graph.pair_type), pair.shape[1])
    return graph


def _structures(data: Dataset, molecules: int, copies: Sequence[int]) -> list[ase.Atoms]:
    train = data.split("train")
    if not molecules:
        first = data.sample(sorted(train)[0]).atoms
        return [first.repeat(_repeat(number, first.pbc)) for number in copies]
    by_size = {len(atoms): atoms for atoms in (data.sample(structure).atoms for structure in train)}
    sizes = sorted(by_size)
    chosen = np.linspace(0, len(sizes) - 1, molecules).round().astype(int)
    return [by_size[sizes[k]] for k in dict.fromkeys(chosen.tolist())]


def _repeat(copies: int, periodic: Sequence[bool]) -> tuple[int, int, int]:
    """Repetitions along the periodic axes, as even as their product allows."""
    repeat, left, factor = [1, 1, 1], copies, 2
    while left > 1:
        while left % factor:
            factor += 1
        # prime factors one by one, each along the axis that is shortest so far
        axis = min((k for k in range(3) if periodic[k]), key=lambda k: repeat[k])
        repeat[axis] *= factor
        left //= factor
    return repeat[0], repeat[1], repeat[2]


def _peak() -> int:
    # Linux counts ru_maxrss in KiB; the peak never falls, so the prediction is measured before the training step
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
