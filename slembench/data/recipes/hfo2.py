"""Recipe of `hfo2-mini`: monoclinic HfO2, PBE, GPAW LCAO with f orbitals on Hf, displaced as at 300 K.

The monoclinic cell of 12 atoms at its measured lattice constants. H, S and D; energies are relative to the cell average
of the electrostatic potential.
"""

from __future__ import annotations

from ase import Atoms
from ase.spacegroup import crystal

from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.runner import CalculationPlan

CELL = (5.1170, 5.1754, 5.2915, 90.0, 99.220, 90.0)
"""Angstrom and degrees; Hann, Suitch and Pentecost, J. Am. Ceram. Soc. 68, C-285 (1985)."""
SITES = (
    ("Hf", (0.2759, 0.0396, 0.2080)),
    ("O", (0.0711, 0.3318, 0.3447)),
    ("O", (0.4496, 0.7569, 0.4792)),
)
"""Fractional coordinates of the inequivalent atoms, space group P2_1/c, near those measured."""


def monoclinic_cell() -> Atoms:
    """Baddeleyite structure: 4 Hf and 8 O."""
    symbols, positions = zip(*SITES, strict=True)
    cell: Atoms = crystal(symbols, positions, spacegroup=14, cellpar=CELL)
    return cell


CRYSTAL = Crystal(
    name="hfo2-mini",
    prefix="hfo2",
    unit_cell=monoclinic_cell,
    level=Level(
        basis=(("Hf", ElementBasis(radius=7.5, polarization_l=3)), ("O", ElementBasis(radius=5.4))),
    ),
    kinds=(Kind("300k", (1, 1, 1), (28, 28, 28), (2, 2, 2), (5, 5, 5), count=10, seed=20_000),),
    energy_zero="cell average of the electrostatic potential",
    density=True,
    debye=(("Hf", 300.0), ("O", 700.0)),
)


def plan() -> CalculationPlan:
    """Structures; displacements are drawn, no forces are needed."""
    return CRYSTAL.plan()
