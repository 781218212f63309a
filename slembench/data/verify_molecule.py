"""Checks of a stored molecule that crystals do not allow: its density from its own H and S, and orbital directions."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from slembench.data.sample import Sample
from slembench.orbitals import Basis

S_SHELL, P_SHELL = 0, 1
CANONICAL_P = (1, 2, 0)
"""Cartesian axis of each canonical p orbital: y, z, x."""
SMALLEST_OVERLAP = 0.01
"""Shell pairs whose overlap is smaller than this have no direction worth comparing."""


def electrons_error(sample: Sample) -> float:
    """|Tr(D S) - electrons| of a molecule, from the stored blocks."""
    density, overlap = (sample.operators[name].dense() for name in ("density", "overlap"))
    return abs(float(np.vdot(density, overlap)) - float(sample.info.electrons or 0.0))


def density_error(sample: Sample) -> float:
    """Largest element of D - 2 C_occ C_occ^T, with C from the stored H and S of a closed-shell molecule."""
    hamiltonian, overlap, density = (sample.operators[name].dense() for name in ("hamiltonian", "overlap", "density"))
    occupied = round(float(sample.info.electrons or 0.0) / 2)
    orbitals = scipy.linalg.eigh(hamiltonian, overlap)[1][:, :occupied]
    return float(np.abs(density - 2 * orbitals @ orbitals.T).max())


def direction_error(sample: Sample) -> float:
    """Worst 1 - cos between <s_i | p_j> as a vector and the direction from j to i, over pairs, outermost shells.

    A p orbital is positive on the side to which it points, so that its overlap with a positive s orbital is along the
    direction from its own atom to the other. Exactly zero in the right orbital order and sign; a swapped or flipped
    component gives 0.3 to 2. The last s and p shell of each element must be positive, as single Gaussians are (the core
    contractions of N, O and F in def2-SVP are negative).
    """
    overlap, basis, positions = sample.operators["overlap"].complete(), sample.basis, sample.atoms.positions
    worst = 0.0
    for first, second, pairs in overlap.pair_type_groups():
        pairs = pairs[~overlap.onsite[pairs]]
        if not len(pairs):
            continue
        i, j = overlap.pair_index[pairs].T
        direction = (positions[i] - positions[j])[:, CANONICAL_P]
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        blocks = overlap.gather(pairs)
        if S_SHELL not in basis.shells[first] or P_SHELL not in basis.shells[second]:
            continue
        row, column = _last(basis, first, S_SHELL), _last(basis, second, P_SHELL)
        vectors = blocks[:, row, column : column + 3]
        length = np.linalg.norm(vectors, axis=1)
        large = length > SMALLEST_OVERLAP
        cosine = (vectors[large] * direction[large]).sum(axis=1) / length[large]
        worst = max(worst, float((1 - cosine).max(initial=0.0)))
    return worst


def rounding_error(stored: Sample, exact: Sample) -> float:
    """Largest difference of the orbital energies of the stored H and S from those before rounding, in their unit."""
    before, after = (
        scipy.linalg.eigvalsh(*(sample.operators[name].dense() for name in ("hamiltonian", "overlap")))
        for sample in (exact, stored)
    )
    return float(np.abs(after - before).max())


def _last(basis: Basis, element: int, l: int) -> int:
    """First orbital of the outermost shell of this l."""
    return int(basis.shell_offsets(element)[:-1][np.array(basis.shells[element]) == l][-1])
