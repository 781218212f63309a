"""What the numbers themselves say about the units of a file that does not record them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from scipy.spatial.distance import cdist

from slembench.orbitals import FloatArray, IntArray


@dataclass(frozen=True)
class Evidence:
    """A unit and what speaks for it.

    Attributes:
        unit: the unit; None where the numbers allow more than one.
        reason: one line for people.
    """

    unit: str | None
    reason: str


def length_evidence(numbers: IntArray, positions: FloatArray) -> Evidence:
    """Angstrom or Bohr, by the shortest bond against the covalent radii.

    Args:
        numbers: (N,) atomic numbers of a molecule.
        positions: (N, 3) in the unit that is asked for.
    """
    if len(numbers) < 2:
        return Evidence(None, "one atom has no bonds")
    radii = covalent_radii[numbers]
    distance = cdist(positions, positions) + np.diag(np.full(len(numbers), np.inf))
    ratio = distance / (radii[:, None] + radii)
    i, j = (int(k) for k in np.unravel_index(ratio.argmin(), ratio.shape))
    pair = "-".join(chemical_symbols[int(numbers[k])] for k in sorted((i, j)))
    reason = f"the shortest bond, {pair}, is {distance[i, j]:.3f} long, {ratio[i, j]:.2f} times its covalent radii"
    if 0.6 < ratio[i, j] <= 1.35:
        return Evidence("Angstrom", reason)
    return Evidence("Bohr" if 1.35 < ratio[i, j] < 2.5 else None, reason)
