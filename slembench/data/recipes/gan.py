"""Recipe of `gan-mini`: wurtzite GaN, PBE, GPAW LCAO, displaced as at 300 K.

Cells of 2x2x1 (16 atoms) repeats of the wurtzite cell at the lattice constant of this level. H, S and D; energies are
relative to the cell average of the electrostatic potential.
"""

from __future__ import annotations

from ase import Atoms
from ase.build import bulk

from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.runner import CalculationPlan

LATTICE = 3.257
"""Hexagonal lattice constant, Angstrom: minimum of a parabola through 3.18, 3.22, 3.26 at this level."""
AXIAL_RATIO = 1.628
INTERNAL = 0.3765
"""c / a and the internal coordinate u, as measured."""


def wurtzite_cell() -> Atoms:
    """Two formula units."""
    cell: Atoms = bulk("GaN", "wurtzite", a=LATTICE, c=AXIAL_RATIO * LATTICE, u=INTERNAL)
    return cell


CRYSTAL = Crystal(
    name="gan-mini",
    prefix="gan",
    unit_cell=wurtzite_cell,
    level=Level(basis=(("Ga", ElementBasis(radius=7.0)), ("N", ElementBasis(radius=6.0)))),
    kinds=(Kind("300k", (2, 2, 1), (28, 28, 28), (2, 2, 2), (3, 3, 3), count=8, seed=20_000),),
    energy_zero="cell average of the electrostatic potential",
    density=True,
    debye=(("Ga", 400.0), ("N", 850.0)),
)


def plan() -> CalculationPlan:
    """Structures; displacements are drawn, no forces are needed."""
    return CRYSTAL.plan()
