"""Cells that say what an entry is and what it cost: training, inputs, evidence, hardware, physics checks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from slembench.leaderboard.runs import Entry
from slembench.metrics.catalogue import catalogue, heading
from slembench.results.record import PhysicsCheck
from slembench.tables.cells import Cell, Column, Number

COST_COLUMNS = (
    Column("n_train", "training structures"), Column("steps", "steps"), Column("budget", "budget", align="left"),
    Column("train_cpu", "training CPU time", "min"), Column("train_minutes", "training time", "min"),
    Column("inference", "prediction", "ms/atom"), Column("pairs", "pairs per atom"), Column("memory", "memory", "MB"),
    Column("parameters", "parameters"), Column("hardware", "hardware", align="left"),
)  # fmt: skip
"""Columns of the table of costs, behind those that name the row."""

_NOT_MEASURED = "not measured"


def identity(entry: Entry) -> dict[str, Cell]:
    """Cells that name a row: run, model, and the key under which a page of it is found."""
    return {"name": entry.record.name, "model": entry.record.model, "entry": entry.key}


def about(entry: Entry) -> dict[str, Cell]:
    """Training set, seeds, what the model is given, evidence, and how many structures it did not predict."""
    record, row = entry.record, dict[str, Cell]()
    partition = record.training.partition if record.training else record.config.get("partition")
    if partition is not None:
        row["partition"] = str(partition)
    # A record of our own training says it; a submission says it in its statement; a floor has none of it.
    if record.training:
        row |= {"n_train": str(record.training.n_train), "seeds": str(len(entry.runs))}
    elif "submission" in record.config:
        stated = {"n_train": record.config.get("n_train"), "seeds": len(record.config.get("seeds", ())) or None}
        row |= {key: str(value) for key, value in stated.items() if value is not None}
    if record.model_kind == "model":
        row |= {"inputs": inputs(entry), "evidence": entry.evidence}
    missing = sum(len(run.record.missing) for run in entry.runs)
    return row | ({"missing": str(missing)} if missing else {})


def inputs(entry: Entry) -> str:
    """What the model is given: the structure, and S or H0 where it reads them."""
    return " + ".join(["structure", *map(str, entry.record.config.get("inputs", ()))])


def cost(entry: Entry) -> dict[str, Cell]:
    """Cells of `COST_COLUMNS`: means over the seeds, with the reason where a cost is not known."""
    records = [run.record for run in entry.runs]
    first = records[0]
    row: dict[str, Cell] = {
        "parameters": f"{first.cost.parameters:,}" if first.cost.parameters is not None else _missing(),
        "train_minutes": _mean((r.cost.train_wall_s for r in records), 1 / 60),
        "train_cpu": _mean((r.cost.train_cpu_s for r in records), 1 / 60),
        "inference": _mean(r.cost.inference_ms_per_atom for r in records),
        "pairs": _mean(r.cost.pairs_per_atom for r in records),
        "memory": _mean((r.cost.peak_memory_bytes for r in records), 1e-6),
    }
    if first.training is not None:
        row |= {"n_train": str(first.training.n_train), "steps": f"{first.training.steps:,}"}
        row["budget"] = first.training.budget
    elif "budget" in first.config:
        row["budget"] = str(first.config["budget"])
    if first.hardware is not None:
        unit = first.hardware
        threads = f"{unit.threads} thread{'s' * (unit.threads != 1)}"
        row["hardware"] = ", ".join([unit.gpu or unit.cpu, threads, unit.dtype])
    return row


def physics_columns(entries: Sequence[Entry]) -> tuple[Column, ...]:
    """A column for each physics check that any of the entries has, in the order of the catalogue."""
    names = {name for entry in entries for run in entry.runs for name in run.record.physics}
    known = [name for name in catalogue() if name in names]
    return tuple(Column(name, heading(name)) for name in [*known, *sorted(names - set(known))])


def physics(entry: Entry, columns: Sequence[Column]) -> dict[str, Cell]:
    """Measured deviation of every check, the largest over the seeds; with the verdict where the check fails."""
    row: dict[str, Cell] = {}
    for column in columns:
        checks = [run.record.physics[column.key] for run in entry.runs if column.key in run.record.physics]
        row[column.key] = _check(checks) if checks else _missing("the record has no such check")
    return row


def _check(checks: Sequence[PhysicsCheck]) -> Cell:
    made = [check for check in checks if check.value is not None]
    if not made:
        return _missing(checks[0].note or _NOT_MEASURED)
    # The largest over the seeds: a symmetry that one training breaks is broken.
    worst = max(made, key=lambda check: check.value or 0.0)
    passed = all(check.passed for check in made)
    return Number(worst.value or 0.0, mark="" if passed else "above its limit")


def _mean(values: Iterable[float | int | None], factor: float = 1.0) -> Number:
    known = [value for value in values if value is not None]
    return Number(factor * sum(known) / len(known)) if known else _missing()


def _missing(reason: str = _NOT_MEASURED) -> Number:
    return Number(math.nan, reason=reason)
