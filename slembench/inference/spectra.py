"""Levels of structures in the form that pictures take: aligned, counted, broadened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slembench.core.errors import DataError
from slembench.data import Card
from slembench.figures.levels import DensityOfStates
from slembench.metrics.dos import BROADENING_EV, states_below
from slembench.metrics.spectrum import Filling, fill, k_mesh, levels
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray
from slembench.operators.units import energy_factor

INSULATOR_EV = 0.1
"""Smallest gap at which energies are measured from the valence-band maximum, not from the Fermi level."""

LEVELS_EV = (30.0, 10.0)
"""How deep below the highest occupied level and how high above it (or the LUMO) levels are drawn."""

DOS_RANGE_EV = (-20.0, 8.0)
_STEP = 0.25
"""Step of the energies over the broadening."""


@dataclass(frozen=True)
class Spectrum:
    """Levels of one structure.

    Attributes:
        eps: (n_k, n) | unit of the data set | ascending.
        weights: (n_k,) sum to 1.
        filling: of the levels.
        n_atoms: atoms in the cell.
    """

    eps: FloatArray
    weights: FloatArray
    filling: Filling
    n_atoms: int


def mesh_of(card: Card) -> tuple[FloatArray, FloatArray]:
    """Points k (n_k, 3) and weights (n_k,) of the card's mesh; Gamma for molecules and where there is no mesh."""
    return k_mesh(card.bands.kmesh if card.periodic and card.bands else (1, 1, 1))


def spectrum(card: Card, hamiltonian: BlockMatrix, overlap: BlockMatrix, electrons: float | None) -> Spectrum:
    """Levels of one structure on the card's mesh.

    Args:
        card: of its data set.
        hamiltonian: H, reference or predicted.
        overlap: reference S.
        electrons: electrons in the cell.

    Raises:
        DataError: no number of electrons, or one that the basis cannot hold.
    """
    kpoints, weights = mesh_of(card)
    if electrons is None:
        raise DataError(f"data set {card.name}: a structure has no number of electrons, so no level is the highest")
    eps = levels(hamiltonian.hermitise(), overlap, kpoints)
    try:
        return Spectrum(eps, weights, fill(eps, weights, electrons), len(hamiltonian.numbers))
    except ValueError as error:
        raise DataError(f"data set {card.name}: {error}") from error


def insulating(spectra: Sequence[Spectrum], unit: str) -> bool:
    """Whether every one of them has a gap."""
    return min(s.filling.gap for s in spectra) > INSULATOR_EV * energy_factor("eV", unit)


def density_of_states(spectra: Sequence[Spectrum], unit: str, insulator: bool) -> DensityOfStates:
    """Mean density of states of some structures, each from its own highest occupied (or Fermi) level.

    Args:
        spectra: of the structures.
        unit: of their levels.
        insulator: measure from the valence-band maximum, else from the Fermi level.

    Returns:
        Energies from that level, states (both spins) per unit of energy and atom, Gaussian width
        `slembench.metrics.dos.BROADENING_EV`; the edges are zero and the mean gap of insulators.
    """
    factor = energy_factor("eV", unit)
    width = BROADENING_EV * factor
    low, high = (end * factor for end in DOS_RANGE_EV)
    energy = np.arange(low, high, _STEP * width)
    total = np.zeros(len(energy))
    for s in spectra:
        zero = s.filling.valence_top if insulator else s.filling.fermi
        total += 2 * np.gradient(states_below(s.eps - zero, s.weights, energy, width), energy) / s.n_atoms
    gap = float(np.mean([s.filling.gap for s in spectra])) if insulator else 0.0
    used = np.flatnonzero(total > 1e-6)
    shown = slice(max(0, used[0] - 1), used[-1] + 2) if len(used) else slice(None)
    return DensityOfStates(energy[shown], total[shown] / len(spectra), (0.0, gap))
