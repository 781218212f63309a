"""Recipe of `graphene-mini`: graphene, PBE, GPAW LCAO, thermal displacements at 300 K.

Cells of 2x2 (8 atoms) and 3x3 (18 atoms) repeats of the relaxed primitive cell. Energies are relative to
the mean of the two vacuum levels.
"""

from __future__ import annotations

from ase import Atoms
from ase.build import graphene

from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.runner import CalculationPlan

LATTICE = 2.4755
"""In-plane lattice constant, Angstrom: minimum of a parabola through 2.44, 2.47, 2.50 at this level."""
VACUUM = 6.0
"""Angstrom on each side."""


def primitive_cell() -> Atoms:
    """Flat sheet of two atoms, centred in the cell; 12 x 12 x 64 grid points are 0.18 to 0.19 Angstrom apart."""
    cell: Atoms = graphene("C2", a=LATTICE, vacuum=VACUUM)
    cell.pbc = (True, True, False)
    return cell


CRYSTAL = Crystal(
    name="graphene-mini",
    prefix="graphene",
    unit_cell=primitive_cell,
    level=Level(basis=(("C", ElementBasis(radius=6.5)),)),
    kinds=(
        Kind("2x2", (2, 2, 1), (24, 24, 64), (5, 5, 1), (5, 5, 1), count=24, seed=20_000),
        Kind("3x3", (3, 3, 1), (36, 36, 64), (3, 3, 1), (5, 5, 1), count=2, seed=30_000),
    ),
    energy_zero="vacuum",
    check_kpoints=((0, 0, 0), (0.5, 0, 0), (1 / 3, 1 / 3, 0), (0.13, 0.29, 0), (-0.37, 0.21, 0)),
)


def plan() -> CalculationPlan:
    """Force sets and structures, small cells first."""
    return CRYSTAL.plan()
