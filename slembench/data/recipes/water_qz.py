"""Recipe of `water-qz-mini`: water from short molecular dynamics, PBE/def2-QZVP from PySCF: f and g orbitals."""

from __future__ import annotations

from slembench.data.pyscf import Theory
from slembench.data.recipes.runner import CalculationPlan
from slembench.data.recipes.trajectories import Dynamics, Species

DYNAMICS = Dynamics(
    name="water-qz-mini",
    theory=Theory("pbe", basis="def2-qzvp"),
    basis=(("H", "4s3p2d1f"), ("O", "7s4p3d2f1g")),
    species=(Species("water", "O", 10, 4),),
)


def plan() -> CalculationPlan:
    """Trajectories, then the operators of their frames."""
    return DYNAMICS.plan()
