"""Plausibility of a file's numbers: units inferred from bond lengths and on-site levels, and S positive definite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from ase.data import chemical_symbols, covalent_radii
from scipy.spatial.distance import cdist

from slembench.core.errors import DataError
from slembench.data.sample import Sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.units import HARTREE_EV

GENERAL_K = (0.31, 0.17, 0.44)
"""A k point without symmetry, checked beside Gamma in crystals."""

LARGEST = 2500
"""Most orbitals of a structure whose overlap is checked as a dense matrix."""

NEGATIVE = 1e-4
"""How far below zero an eigenvalue of S may lie (single precision, and pairs that were left out)."""


@dataclass(frozen=True)
class UnitEvidence:
    """A unit that was inferred, with the reason.

    Attributes:
        unit: the unit; None where the numbers allow more than one.
        reason: one line for people.
    """

    unit: str | None
    reason: str


def length_evidence(numbers: IntArray, positions: FloatArray) -> UnitEvidence:
    """Angstrom or Bohr, by the shortest bond against the covalent radii.

    Args:
        numbers: (N,) atomic numbers of a molecule.
        positions: (N, 3) in the unit that is asked for.

    Example:
        >>> h2 = np.array([1, 1])
        >>> length_evidence(h2, np.array([[0, 0, 0], [0, 0, 0.74]])).unit
        'Angstrom'
        >>> length_evidence(h2, np.array([[0, 0, 0], [0, 0, 1.40]])).unit
        'Bohr'
    """
    if len(numbers) < 2:
        return UnitEvidence(None, "one atom has no bonds")
    # a bond is about as long as the sum of the covalent radii; read in Angstrom, lengths in Bohr are 1.89 times that
    radii = covalent_radii[numbers]
    distance = cdist(positions, positions) + np.diag(np.full(len(numbers), np.inf))
    ratio = distance / (radii[:, None] + radii)
    i, j = (int(k) for k in np.unravel_index(ratio.argmin(), ratio.shape))
    pair = "-".join(chemical_symbols[int(numbers[k])] for k in sorted((i, j)))
    reason = f"the shortest bond, {pair}, is {distance[i, j]:.3f} long, {ratio[i, j]:.2f} times its covalent radii"
    if 0.6 < ratio[i, j] <= 1.35:
        return UnitEvidence("Angstrom", reason)
    return UnitEvidence("Bohr" if 1.35 < ratio[i, j] < 2.5 else None, reason)


def energy_evidence(hamiltonian: BlockMatrix, overlap: BlockMatrix | None) -> UnitEvidence:
    """Hartree or eV, by the distance between the two lowest levels of each atom's own block.

    An all-electron 1s level lies 0.29 Z^2 Hartree below the next one, which in turn has others close above it; valence
    levels s and p lie 0.1 to 1.2 Hartree apart. Differences do not depend on where energies are measured from.

    Args:
        hamiltonian: H with its on-site blocks.
        overlap: S; None for an orthonormal basis.
    """
    units: list[str | None] = []
    reasons: list[str] = []
    # H and He have a single occupied level and nothing to compare it with
    for z in sorted(set(hamiltonian.numbers.tolist()) - {1, 2}):
        levels = _onsite_levels(hamiltonian, overlap, z)
        steps = levels - levels[0]
        # crystal fields split degenerate levels a little: what lies within 2 % of the whole range counts as one level
        higher = steps[steps > 0.02 * steps[-1]]
        if not len(higher):
            continue
        gap, symbol = float(higher[0]), chemical_symbols[z]
        # one level far below four others close together: a 1s core, so that the basis is all-electron
        if len(levels) > 4 and steps[1] > 5 * (levels[4] - levels[1]):
            core = 0.29 * z**2
            kind, sizes = f"the 1s level of {symbol}", {"Hartree": gap / core, "eV": gap / core / HARTREE_EV}
            units += [unit for unit, ratio in sizes.items() if 0.6 < ratio < 1.6] or [None]
        else:
            kind = f"the lowest level of {symbol}"
            units.append("Hartree" if gap < 1.2 else "eV" if 1.6 < gap < 100 else None)
        reasons.append(f"{kind} lies {gap:.3g} below the next")
    unit = units[0] if units and len(set(units)) == 1 else None
    return UnitEvidence(unit, "; ".join(reasons) or "no element heavier than helium")


def _onsite_levels(hamiltonian: BlockMatrix, overlap: BlockMatrix | None, z: int) -> FloatArray:
    """(n,) generalised eigenvalues of the own block of the first atom of an element, ascending."""
    atom = int(np.flatnonzero(hamiltonian.numbers == z)[0])
    blocks = [_onsite_block(matrix, atom) for matrix in (hamiltonian, overlap) if matrix is not None]
    return np.asarray(scipy.linalg.eigh(*blocks, eigvals_only=True))


def _onsite_block(matrix: BlockMatrix, atom: int) -> FloatArray:
    pair = np.flatnonzero(matrix.onsite & (matrix.pair_index[:, 0] == atom))
    return np.asarray(matrix.gather(pair[:1])[0])


def check_physical(sample: Sample, where: str) -> Sample:
    """Check that a sample's overlap is positive definite; returns the sample itself.

    Args:
        sample: what a reader made.
        where: path that was read, named in errors.

    Raises:
        DataError: S(k) at Gamma, or in crystals at `GENERAL_K`, has an eigenvalue below -`NEGATIVE`.
    """
    overlap = sample.operators.get("overlap")
    if overlap is None or overlap.n_orbitals > LARGEST:
        return sample
    for matrix in overlap_matrices(overlap):
        try:
            # a Cholesky factor exists if and only if all eigenvalues are positive, at a tenth of their cost
            scipy.linalg.cholesky(matrix + NEGATIVE * np.eye(len(matrix)), overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError as error:
            lowest = float(np.linalg.eigvalsh(matrix).min())
            raise DataError(
                f"{where}: structure {sample.id!r}: key 'overlap': S(k) has the eigenvalue {lowest:.3g}, so that this"
                " is no overlap of orbitals; the file is damaged"
            ) from error
    return sample


def overlap_matrices(overlap: BlockMatrix) -> list[FloatArray]:
    """S at Gamma and, in crystals, at `GENERAL_K`: (n, n) each."""
    matrices = [overlap.dense()]
    if overlap.pair_shift.any():
        matrices.append(overlap.at_k(np.array(GENERAL_K))[0])
    return matrices
