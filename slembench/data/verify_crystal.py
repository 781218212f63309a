"""Checks of a stored crystal's density matrix from its own H and S."""

from __future__ import annotations

import numpy as np

from slembench.data.card import Mesh
from slembench.data.recipes.lcao_fourier import PairBlocks, contract, density_matrices, half_mesh, to_real_space
from slembench.data.sample import Sample


def electrons_error(sample: Sample) -> float:
    """|Tr(D S) - electrons a cell| from the stored triangle of blocks."""
    operators = sample.operators
    found = contract(operators["density"].values, operators["overlap"].values, _pairs(sample))
    return abs(found - float(sample.info.electrons or 0.0))


def density_error(sample: Sample, mesh: Mesh) -> float:
    """Largest element of D minus the density matrix of the stored H and S at the stored smearing.

    Args:
        sample: a crystal with H, S and D, one triangle of pairs.
        mesh: odd k mesh on which D was made.
    """
    points, weights = half_mesh(mesh)
    hamiltonian, overlap = (np.stack(list(sample.operators[name].at_k(points))) for name in ("hamiltonian", "overlap"))
    electrons, smearing = float(sample.info.electrons or 0.0), float(sample.info.smearing or 0.0)
    density, _ = density_matrices(hamiltonian, overlap, weights, electrons, smearing)
    rebuilt = to_real_space(density, points, weights, _pairs(sample), mesh)
    return float(np.abs(rebuilt - sample.operators["density"].values).max())


def _pairs(sample: Sample) -> PairBlocks:
    operator = sample.operators["overlap"]
    return PairBlocks(operator.pair_index, operator.pair_shift, sample.basis.sizes(sample.atoms.numbers))
