"""Recipe of `mos2-mini`: monolayer 2H-MoS2, PBE, GPAW LCAO, thermal displacements at 300 K.

Cells of 2x2 (12 atoms) and 3x3 (27 atoms) repeats of the relaxed primitive cell. Energies are relative to
the mean of the two vacuum levels.
"""

from __future__ import annotations

from ase import Atoms
from ase.build import mx2

from slembench.data.recipes.crystal import Crystal, Kind
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.runner import CalculationPlan

LATTICE = 3.176
"""In-plane lattice constant, Angstrom: minimum of a parabola through 3.15, 3.19, 3.23 at this level."""
THICKNESS = 3.169
"""Distance of the two sulfur planes, Angstrom, relaxed at this level."""
HEIGHT = 15.2
"""Cell height, Angstrom: 6 of vacuum on each side."""


def primitive_cell() -> Atoms:
    """Relaxed monolayer: Mo, S, S, centred in the cell; 14 x 14 x 76 grid points are 0.2 Angstrom apart."""
    cell: Atoms = mx2("MoS2", "2H", LATTICE, THICKNESS, vacuum=(HEIGHT - THICKNESS) / 2)
    cell.pbc = (True, True, False)
    return cell


CRYSTAL = Crystal(
    name="mos2-mini",
    prefix="mos2",
    unit_cell=primitive_cell,
    level=Level(
        basis=(
            ("Mo", ElementBasis(radius=7.0, polarization_l=1, single_zeta=("4s", "4p"))),
            ("S", ElementBasis(radius=6.5)),
        )
    ),
    kinds=(
        Kind("2x2", (2, 2, 1), (28, 28, 76), (3, 3, 1), (5, 5, 1), count=84, seed=20_000),
        Kind("3x3", (3, 3, 1), (42, 42, 76), (2, 2, 1), (3, 3, 1), count=4, seed=30_000),
    ),
    energy_zero="vacuum",
    check_kpoints=((0, 0, 0), (0.5, 0, 0), (1 / 3, 1 / 3, 0), (0.13, 0.29, 0), (-0.37, 0.21, 0)),
)


def plan() -> CalculationPlan:
    """Force sets and structures, small cells first."""
    return CRYSTAL.plan()
