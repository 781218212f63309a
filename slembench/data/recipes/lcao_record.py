"""Real-space blocks of one crystal from a program's Bloch matrices, checked before they are stored.

Input: Bloch matrices on an odd k mesh and, at other k points, the program's own eigenvalues. Output: the arrays of one
NPZ file, or `InconsistentOperators` where the blocks do not reproduce the program's results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from slembench.core.errors import DataError
from slembench.data.recipes.lcao_fourier import (
    ComplexArray,
    PairBlocks,
    contract,
    density_matrices,
    pairs_within,
    to_bloch,
    to_real_space,
)
from slembench.operators.blocks import pair_vectors
from slembench.operators.orbitals import FloatArray


class InconsistentOperators(DataError):
    """The rebuilt operators do not reproduce what the code itself computed."""


@dataclass(frozen=True)
class Tolerances:
    """Largest errors with which a structure is accepted.

    Attributes:
        eigenvalue_mev: occupied bands and the ``empty_bands`` above them, at the check k points, meV.
        electrons: trace of D S over the stored pairs against the number of electrons.
        hermiticity: relative asymmetry of the code's H(k), S(k).
        far_overlap: largest overlap in the outer fifth of the cutoff against the largest of all.
        empty_bands: empty bands that count.
    """

    eigenvalue_mev: float = 1.0
    electrons: float = 1e-3
    hermiticity: float = 1e-10
    far_overlap: float = 5e-3
    empty_bands: int = 4


@dataclass(frozen=True)
class MeshOperators:
    """Bloch matrices and eigenvalues of one structure from an LCAO program.

    Attributes:
        kpoints: (nk, 3) points of the half mesh, then the check points; fractional.
        weights: (n_mesh,) weights of the half mesh.
        mesh: points of the full mesh along each axis.
        hamiltonian: (nk, nao, nao) eV, canonical orbital order.
        overlap: (nk, nao, nao).
        eigenvalues: (nk, nao) eV, the code's own.
        electrons: a cell.
        width: Fermi-Dirac width, eV.
    """

    kpoints: FloatArray
    weights: FloatArray
    mesh: Sequence[int]
    hamiltonian: ComplexArray
    overlap: ComplexArray
    eigenvalues: FloatArray
    electrons: float
    width: float


def structure_record(
    atoms: Atoms,
    basis: Mapping[str, str],
    sizes: NDArray[np.int64],
    radii: Mapping[str, float],
    operators: MeshOperators,
    tolerances: Tolerances = Tolerances(),
    density: bool = False,
) -> dict[str, NDArray[Any]]:
    """Arrays of one structure: geometry, one triangle of H and S blocks, check points and errors.

    Args:
        atoms: structure, periodic coordinates in [0, 1).
        basis: symbol -> shell string such as ``2s2p1d``.
        sizes: (N,) orbitals of each atom.
        radii: symbol -> radius in Angstrom; pairs closer than the mean of two radii are kept.
        operators: Bloch matrices and eigenvalues.
        tolerances: what is accepted.
        density: keep the density matrix on the mesh beside H and S.

    Returns:
        Name -> array; energies in eV, lengths in Angstrom.

    Raises:
        InconsistentOperators: a check failed.
    """
    per_atom = np.array([radii[symbol] for symbol in atoms.symbols])
    pairs = pairs_within(atoms.positions, atoms.cell.array, atoms.pbc, sizes, per_atom, operators.mesh)
    n_mesh = len(operators.weights)
    mesh_points = operators.kpoints[:n_mesh]

    def transform(matrices: ComplexArray) -> FloatArray:
        """Blocks of (nk, nao, nao) Bloch matrices, flat in the order of the pairs."""
        return to_real_space(matrices[:n_mesh], mesh_points, operators.weights, pairs, operators.mesh)

    hamiltonian, overlap = transform(operators.hamiltonian), transform(operators.overlap)
    # D on the same mesh and pairs: Tr(D S) over the stored blocks is the electron count that the cutoff leaves
    filled = transform(mesh_density(operators))
    errors = {
        "check_hermiticity": max(map(_asymmetry, (operators.hamiltonian, operators.overlap))),
        "check_far_overlap": _far_overlap(overlap, pairs, atoms, per_atom),
        "check_electrons_error": abs(contract(filled, overlap, pairs) - operators.electrons),
        "check_max_error_meV": _band_error(hamiltonian, overlap, pairs, operators, tolerances.empty_bands),
    }
    limits = (tolerances.hermiticity, tolerances.far_overlap, tolerances.electrons, tolerances.eigenvalue_mev)
    failed = [
        f"{name} {value:.3g} > {limit:g}" for (name, value), limit in zip(errors.items(), limits) if not value <= limit
    ]
    if failed:
        raise InconsistentOperators("; ".join(failed))
    return {
        "numbers": atoms.numbers.astype(np.int64),
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "pbc": atoms.pbc,
        "basis": np.array(json.dumps(dict(basis))),
        "pair_i": pairs.index[:, 0],
        "pair_j": pairs.index[:, 1],
        "pair_shift": pairs.shift,
        "pair_radii": np.array(json.dumps(dict(radii))),
        "hamiltonian": hamiltonian,
        "overlap": overlap,
        **({"density": filled} if density else {}),
        "electrons": np.array(operators.electrons),
        "smearing_width": np.array(operators.width),
        "kmesh_ft": np.array(operators.mesh),
        "check_kpoints": operators.kpoints[n_mesh:],
        "check_eigenvalues": operators.eigenvalues[n_mesh:],
        **{name: np.array(value) for name, value in errors.items()},
    }


def mesh_density(operators: MeshOperators) -> ComplexArray:
    """Spin-summed density matrices (n_mesh, nao, nao) on the points of the half mesh."""
    n_mesh = len(operators.weights)
    density, _ = density_matrices(
        operators.hamiltonian[:n_mesh],
        operators.overlap[:n_mesh],
        operators.weights,
        operators.electrons,
        operators.width,
    )
    return density


def _asymmetry(matrices: ComplexArray) -> float:
    return float(np.abs(matrices - matrices.conj().transpose(0, 2, 1)).max() / np.abs(matrices).max())


def _far_overlap(overlap: FloatArray, pairs: PairBlocks, atoms: Atoms, radii: FloatArray) -> float:
    """Largest overlap in the outer fifth of the cutoff: near zero only if every R label is right."""
    start, end = pairs.index.T
    vectors = pair_vectors(atoms.positions, atoms.cell.array, pairs.index, pairs.shift)
    far = np.linalg.norm(vectors, axis=1) > 0.8 * (radii[start] + radii[end]) / 2
    largest = np.maximum.reduceat(np.abs(overlap), pairs.offsets[:-1])
    return float(largest[far].max(initial=0.0) / largest.max())


def _band_error(
    hamiltonian: FloatArray, overlap: FloatArray, pairs: PairBlocks, operators: MeshOperators, empty_bands: int
) -> float:
    """Largest error in meV of the bands rebuilt from the stored triangle, at the check points."""
    n_mesh = len(operators.weights)
    # points off the mesh: on it, phases agree modulo the mesh, so that a wrong R label would go unnoticed
    points, expected = operators.kpoints[n_mesh:], operators.eigenvalues[n_mesh:]
    bands = min(int(np.ceil(operators.electrons / 2)) + empty_bands, expected.shape[1])
    try:
        rebuilt = np.array(
            [eigvalsh(h, s) for h, s in zip(*(to_bloch(m, pairs, points) for m in (hamiltonian, overlap)))]
        )
    except np.linalg.LinAlgError as error:
        raise InconsistentOperators("S(k) rebuilt from the stored pairs is not positive definite") from error
    return float(np.abs(rebuilt - expected)[:, :bands].max() * 1e3)
