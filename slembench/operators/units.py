"""Physical constants and unit factors, in one place.

CODATA 2022 values; constants that a first-principles code fixes for itself stand beside them with
the code's name, because its files can only be read back exactly with its own value.
"""

from __future__ import annotations

HARTREE_EV = 27.211386245981
"""Hartree energy in eV (CODATA 2022)."""

RYDBERG_EV = HARTREE_EV / 2
"""Rydberg energy in eV (CODATA 2022)."""

BOHR_ANGSTROM = 0.529177210544
"""Bohr radius in Angstrom (CODATA 2022)."""

BOLTZMANN_EV = 8.617333262e-5
"""Boltzmann constant in eV / K (exact in the SI of 2019)."""

ABACUS_RYDBERG_EV = 13.605698
"""Rydberg energy in eV as ABACUS defines it; its matrices are in Ry of this size."""

ENERGY_UNITS: dict[str, float] = {"eV": 1.0, "Hartree": HARTREE_EV, "Ry": RYDBERG_EV, "meV": 1e-3}
"""Energy unit word -> size in eV."""

LENGTH_UNITS: dict[str, float] = {"Angstrom": 1.0, "Bohr": BOHR_ANGSTROM}
"""Length unit word -> size in Angstrom."""


def energy_factor(source: str, target: str) -> float:
    """Factor that turns an energy in ``source`` units into ``target`` units.

    Args:
        source: one of `ENERGY_UNITS`.
        target: one of `ENERGY_UNITS`.

    Returns:
        Dimensionless factor.

    Raises:
        ValueError: an unknown unit word; the message names it and the known ones.
    """
    return _factor(source, target, ENERGY_UNITS, "energy")


def length_factor(source: str, target: str) -> float:
    """Factor that turns a length in ``source`` units into ``target`` units.

    Args:
        source: one of `LENGTH_UNITS`.
        target: one of `LENGTH_UNITS`.

    Returns:
        Dimensionless factor.

    Raises:
        ValueError: an unknown unit word; the message names it and the known ones.
    """
    return _factor(source, target, LENGTH_UNITS, "length")


def _factor(source: str, target: str, table: dict[str, float], kind: str) -> float:
    for word in (source, target):
        if word not in table:
            raise ValueError(f"unknown {kind} unit {word!r}; use one of {', '.join(table)}")
    return 1.0 if source == target else table[source] / table[target]
