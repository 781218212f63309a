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

    Example:
        >>> round(energy_factor("Hartree", "eV"), 6), energy_factor("eV", "meV")
        (27.211386, 1000.0)
    """
    for word in (source, target):
        if word not in ENERGY_UNITS:
            raise ValueError(f"unknown energy unit {word!r}; use one of {', '.join(ENERGY_UNITS)}")
    # exactly 1 for equal words, so that converting to the same unit leaves every bit of the data as it is
    return 1.0 if source == target else ENERGY_UNITS[source] / ENERGY_UNITS[target]
