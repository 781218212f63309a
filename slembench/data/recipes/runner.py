"""Runs the calculations of a recipe in processes of their own, resumable, one NPZ file each.

A result is written beside its final name and renamed, so that a file that exists is complete. Killing a run loses the
calculations in flight and nothing else; the next call goes on. One that fails leaves its reason in ``<id>.failed.txt``
and is tried again by the next call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import ConfigError
from slembench.core.files import atomic_file, write_text
from slembench.core.jobs import Job, JobsResult, LocalProcesses, run_jobs


@dataclass(frozen=True)
class Calculation:
    """One file to make.

    Attributes:
        id: name of the result, relative to the work directory and without ``.npz``.
        compute: function of a module, ``compute(workdir, **arguments)`` -> name -> array.
        arguments: keyword arguments; small and picklable.
        needs: ids whose results it reads; they belong to earlier stages.
    """

    id: str
    compute: Callable[..., Mapping[str, NDArray[Any]]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


def result_path(workdir: Path, calculation: str) -> Path:
    """Where the result of a calculation lies."""
    return workdir / f"{calculation}.npz"


@dataclass(frozen=True)
class CalculationPlan:
    """The calculations of a recipe.

    Attributes:
        name: of the data set.
        settings: everything that decides the results, as JSON; kept in the work directory, so that results of
            two different settings are never mixed.
        stages: in the order in which they begin; what a calculation needs stands in an earlier stage.
        short: calculations take seconds, and one process does many of them; otherwise each has a process of its own.
    """

    name: str
    settings: Mapping[str, Any]
    stages: tuple[tuple[Calculation, ...], ...]
    short: bool = False


def generate(plan: CalculationPlan, workdir: Path, jobs: int = 1) -> JobsResult:
    """Make what the work directory still lacks.

    Args:
        plan: the recipe.
        workdir: created if need be.
        jobs: processes at a time, one thread each.

    Returns:
        What was there, made and failed; a calculation whose needs have failed counts as failed.

    Raises:
        ConfigError: ``jobs < 1``, or the work directory holds results of other settings.
    """
    workdir, backend = Path(workdir), LocalProcesses(jobs, reuse=plan.short)
    _claim(plan, workdir)
    table = [
        Job(
            calculation.id,
            make_file,
            {"workdir": workdir, "calculation": calculation},
            needs=calculation.needs,
            is_done=result_path(workdir, calculation.id).is_file,
            error_file=workdir / f"{calculation.id}.failed.txt",
        )
        for stage in plan.stages
        for calculation in stage
    ]
    return run_jobs(table, backend, what="calculations")


def make_file(workdir: Path, calculation: Calculation) -> None:
    """Body of a calculation's process."""
    arrays = calculation.compute(workdir, **calculation.arguments)
    with atomic_file(result_path(workdir, calculation.id)) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def _claim(plan: CalculationPlan, workdir: Path) -> None:
    """Write the settings, or compare them; clear what a killed run left half written."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "settings.json"
    settings = json.loads(json.dumps({"name": plan.name, **plan.settings}))
    if path.exists():
        before = json.loads(path.read_text())
        changed = [key for key in sorted({*before, *settings}) if before.get(key) != settings.get(key)]
        if changed:
            raise ConfigError(
                f"{workdir} holds results of other settings ({', '.join(changed)} differ); use another work directory"
            )
    else:
        write_text(path, json.dumps(settings, indent=1))
    for stale in workdir.rglob(".*.npz.*.part"):
        stale.unlink()
