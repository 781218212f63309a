"""What a model costs, and how the cost grows with size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slembench.metrics.scaling import PowerLaw, power_law

RUN_COSTS = (
    "parameters", "train_wall_s", "train_cpu_s", "train_steps", "structures_seen", "peak_memory_bytes",
    "inference_ms_per_atom", "pairs_per_atom",
)  # fmt: skip
"""Names of the costs of a run, as in the catalogue."""


def run_costs(cost: Mapping[str, float | None], training: Mapping[str, float | None]) -> dict[str, float]:
    """Costs of a run by the catalogue's names, those that were measured.

    Args:
        cost: fields of a record's cost.
        training: fields of a record's training summary; empty where there is none.

    Returns:
        Name -> value in the catalogue's unit.
    """
    found = {**cost, "train_steps": training.get("steps"), "structures_seen": training.get("structures_seen")}
    return {name: float(value) for name in RUN_COSTS if (value := found.get(name)) is not None}


def time_exponent(atoms: Sequence[int], seconds: Sequence[float]) -> PowerLaw:
    """`time_exponent`: fit of time = a N^b over structures of different size, with the 95 % interval of b.

    Args:
        atoms: number of atoms of each structure.
        seconds: prediction time of each, seconds.

    Raises:
        ValueError: fewer than two sizes, or a time that is not positive.
    """
    return power_law(atoms, seconds)
