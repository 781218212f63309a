"""Recipe of `si-mini`: silicon, PBE, GPAW LCAO, thermal displacements at 300 K and at 600 K.

The conventional cubic cell of 8 atoms at the lattice constant of this level. H, S and D; energies are relative to the
cell average of the electrostatic potential.
"""

from __future__ import annotations

from ase import Atoms
from ase.build import bulk

from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.runner import CalculationPlan

LATTICE = 5.479
"""Cubic lattice constant, Angstrom: minimum of a parabola through 5.42, 5.48, 5.54 at this level."""
GRID = (28, 28, 28)
"""Grid points of the cubic cell: 0.196 Angstrom apart."""


def cubic_cell() -> Atoms:
    """Diamond structure, 8 atoms."""
    cell: Atoms = bulk("Si", "diamond", LATTICE, cubic=True)
    return cell


CRYSTAL = Crystal(
    name="si-mini",
    prefix="si",
    unit_cell=cubic_cell,
    level=Level(basis=(("Si", ElementBasis(radius=7.0)),)),
    kinds=(
        Kind("300k", (1, 1, 1), GRID, (3, 3, 3), (3, 3, 3), count=24, seed=20_000),
        Kind("600k", (1, 1, 1), GRID, (3, 3, 3), (3, 3, 3), count=4, seed=30_000, temperature=600.0),
    ),
    energy_zero="cell average of the electrostatic potential",
    density=True,
)


def plan() -> CalculationPlan:
    """Force sets and structures, 300 K first."""
    return CRYSTAL.plan()
