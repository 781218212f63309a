"""Self-consistent runs of molecules with PySCF under a card's protocol: energies, Fock matrices and iteration counts.

Iterations are counted from one; QH9's script prints the number of the last one counted from zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np

from slembench.data.card import ScfProtocol
from slembench.data.recipes.molecule_scf import Theory, canonical, mean_field, pyscf_molecule, shell_momenta
from slembench.orbitals import FloatArray, canonical_index


@dataclass(frozen=True)
class ScfRun:
    """A self-consistent run.

    Attributes:
        iterations: Fock diagonalisations until convergence.
        converged: False where the protocol's number of cycles did not suffice.
        energy: Hartree, of the last iteration.
        first_energy: Hartree, of the starting density.
        fock_errors: mean |F - H_ref| over all elements after each iteration, Hartree.
    """

    iterations: int
    converged: bool
    energy: float
    first_energy: float
    fock_errors: tuple[float, ...]


def one_shot_energy(atoms: ase.Atoms, protocol: ScfProtocol, density: FloatArray) -> tuple[float, FloatArray]:
    """Energy and Fock matrix of a density: a single Fock build, nothing is diagonalised.

    Args:
        atoms: neutral closed-shell molecule, Angstrom.
        protocol: level of theory.
        density: (n, n) D in canonical orbital order, the factor 2 of spin inside.

    Returns:
        Energy in Hartree, and (n, n) F in canonical order, Hartree.
    """
    molecule, solver = _solver(atoms, protocol)
    start = _to_pyscf(density, molecule)
    potential = solver.get_veff(molecule, start)
    energy = float(solver.energy_tot(start, vhf=potential))
    return energy, canonical(solver.get_fock(dm=start, vhf=potential), molecule)


def guess_density(atoms: ase.Atoms, protocol: ScfProtocol) -> FloatArray:
    """(n, n) D of the protocol's initial guess in canonical order, the factor 2 of spin inside."""
    molecule, solver = _solver(atoms, protocol)
    return canonical(np.asarray(solver.get_init_guess(molecule, protocol.guess)), molecule)


def converge(
    atoms: ase.Atoms, protocol: ScfProtocol, reference: FloatArray, density: FloatArray | None = None
) -> ScfRun:
    """Run to self-consistency from a density, or from the protocol's guess.

    Args:
        atoms: neutral closed-shell molecule, Angstrom.
        protocol: level of theory, thresholds, DIIS and guess.
        reference: (n, n) reference H in canonical order, Hartree.
        density: (n, n) starting D in canonical order; the guess where not given.
    """
    molecule, solver = _solver(atoms, protocol)
    start = solver.get_init_guess(molecule, protocol.guess) if density is None else _to_pyscf(density, molecule)
    errors: dict[int, float] = {}
    first: list[float] = []

    def watch(state: dict[str, Any]) -> None:
        if not first:
            first.append(float(state["last_hf_e"]))
        errors.setdefault(int(state["cycle"]), float(np.abs(canonical(state["fock"], molecule) - reference).mean()))

    solver.callback = watch
    energy = float(solver.kernel(dm0=start))
    return ScfRun(len(errors), bool(solver.converged), energy, first[0], tuple(errors.values()))


def _solver(atoms: ase.Atoms, protocol: ScfProtocol) -> tuple[Any, Any]:
    """PySCF's molecule and its unconverged RKS object."""
    molecule = pyscf_molecule(atoms, protocol.basis)
    gradient = protocol.gradient_tolerance or protocol.energy_tolerance**0.5
    theory = Theory(protocol.functional, protocol.basis, protocol.grid_level, protocol.energy_tolerance, gradient)
    solver = mean_field(molecule, theory)
    solver.max_cycle, solver.diis_space = protocol.max_cycles, protocol.diis_space
    return molecule, solver


def _to_pyscf(matrix: FloatArray, molecule: Any) -> FloatArray:
    """Matrix in PySCF's orbital order from the canonical one."""
    numbers = molecule.atom_charges().astype(np.int64)
    index, sign = canonical_index(numbers, shell_momenta(molecule), "pyscf")
    result = np.empty_like(matrix)
    result[np.ix_(index, index)] = sign[:, None] * matrix * sign
    return result
