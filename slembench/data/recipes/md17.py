"""Recipe of `md17-mini`: water and ethanol from short molecular dynamics, PBE/def2-SVP from PySCF (MD17's level)."""

from __future__ import annotations

from slembench.data.pyscf import Theory
from slembench.data.recipes.runner import CalculationPlan
from slembench.data.recipes.trajectories import Dynamics, Species

DYNAMICS = Dynamics(
    name="md17-mini",
    theory=Theory("pbe"),
    basis=(("H", "2s1p"), ("C", "3s2p1d"), ("O", "3s2p1d")),
    species=(Species("water", "O", 20, 10), Species("ethanol", "CCO", 10, 4)),
)


def plan() -> CalculationPlan:
    """Trajectories, then the operators of their frames, of water and then of ethanol."""
    return DYNAMICS.plan()
