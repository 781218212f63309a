"""Closed-shell Kohn-Sham calculations of molecules with PySCF: operators of recipes, and runs from predicted densities.

`compute_molecule` gives the arrays of a recipe's NPZ file. `one_shot_energy`, `guess_density` and `converge` follow the
protocol of a card (`ScfProtocol`) and give energies, Fock matrices and iteration counts; iterations are counted from
one, where QH9's script prints the number of the last one counted from zero.

PySCF (https://pyscf.org, Apache 2.0) is imported only when a function here runs. Positions are passed in Bohr, so that
its own value of the Bohr radius plays no part.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import ConfigError
from slembench.data.card import ScfProtocol
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray, canonical_index
from slembench.operators.units import BOHR_ANGSTROM

ALL_PAIRS = 25.0
"""Radius of every element, Angstrom: longer than any molecule here, so that every pair of atoms is scored."""


@dataclass(frozen=True)
class Theory:
    """Level of theory of a molecular calculation.

    Attributes:
        functional: PySCF's name; QH9's B3LYP is today's ``b3lyp5``.
        basis: orbital basis set.
        grid_level: PySCF's integration grid.
        energy_tolerance: change of the energy between the last two cycles, Hartree.
        gradient_tolerance: norm of the orbital gradient, Hartree.
    """

    functional: str
    basis: str = "def2-svp"
    grid_level: int = 3
    energy_tolerance: float = 1e-10
    gradient_tolerance: float = 1e-6


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


def pyscf_molecule(atoms: ase.Atoms, basis: str) -> Any:
    """PySCF ``Mole`` of a structure with positions in Angstrom.

    Raises:
        ConfigError: PySCF is missing.
    """
    try:
        from pyscf import gto
    except ModuleNotFoundError as error:
        raise ConfigError("this recipe needs PySCF: `pip install slembench[recipes]`") from error
    geometry = list(zip(atoms.get_chemical_symbols(), (atoms.positions / BOHR_ANGSTROM).tolist(), strict=True))
    return gto.M(atom=geometry, basis=basis, unit="Bohr", verbose=0)


def mean_field(molecule: Any, theory: Theory) -> Any:
    """Unconverged PySCF ``RKS`` object of a ``Mole``, grid and thresholds set."""
    from pyscf import dft

    solver = dft.RKS(molecule)
    solver.xc = theory.functional
    solver.grids.level = theory.grid_level
    solver.conv_tol = theory.energy_tolerance
    solver.conv_tol_grad = theory.gradient_tolerance
    solver.max_cycle = 100
    solver.chkfile = None  # else PySCF writes a temporary file a run
    return solver


def shell_momenta(molecule: Any) -> dict[int, list[int]]:
    """Atomic number -> l of each contracted function, in PySCF's order."""
    shells: dict[int, list[int]] = {}
    for atom in range(molecule.natm):
        own = [b for b in range(molecule.nbas) if molecule.bas_atom(b) == atom]
        shells[int(molecule.atom_charge(atom))] = [
            int(molecule.bas_angular(b)) for b in own for _ in range(molecule.bas_nctr(b))
        ]
    return shells


def canonical(matrix: FloatArray, molecule: Any) -> FloatArray:
    """Matrix (nao, nao) in this project's orbital order from PySCF's."""
    numbers = molecule.atom_charges().astype(np.int64)
    index, sign = canonical_index(numbers, shell_momenta(molecule), "pyscf")
    return np.asarray(sign[:, None] * matrix[np.ix_(index, index)] * sign)


def _to_pyscf(matrix: FloatArray, molecule: Any) -> FloatArray:
    """Matrix in PySCF's orbital order from the canonical one."""
    numbers = molecule.atom_charges().astype(np.int64)
    index, sign = canonical_index(numbers, shell_momenta(molecule), "pyscf")
    result = np.empty_like(matrix)
    # inverse of `canonical`: what came from place index[k] with sign[k] goes back there
    result[np.ix_(index, index)] = sign[:, None] * matrix * sign
    return result


def compute_molecule(atoms: ase.Atoms, theory: Theory, start: FloatArray | None = None) -> dict[str, NDArray[Any]]:
    """Self-consistent operators of one neutral closed-shell molecule.

    Args:
        atoms: positions in Angstrom, no cell.
        theory: level of theory.
        start: (nao, nao) density matrix in PySCF's order to start from; PySCF's own guess where not given.

    Returns:
        The arrays that `slembench.data.recipes.records.read_record` reads, but for ``id`` and ``group``.

    Raises:
        ArithmeticError: no self-consistency within 100 cycles.
    """
    began = time.perf_counter()
    molecule = pyscf_molecule(atoms, theory.basis)
    solver = mean_field(molecule, theory)
    energy = solver.kernel(dm0=start)
    if not solver.converged:
        raise ArithmeticError(f"{atoms.get_chemical_formula()}: not self-consistent after {solver.max_cycle} cycles")
    density, overlap = solver.make_rdm1(), solver.get_ovlp()
    operators = {"hamiltonian": solver.get_fock(dm=density), "overlap": overlap, "density": density}
    shells = Basis.from_shells(shell_momenta(molecule))
    blocks = {
        name: BlockMatrix.from_dense(shells, atoms.numbers, canonical(matrix, molecule)).hermitise().triangle()
        for name, matrix in operators.items()
    }
    first, second = blocks["overlap"].pair_index.T
    return {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": np.zeros((3, 3)),
        "pbc": np.zeros(3, dtype=bool),
        "basis": np.array(json.dumps(shells.to_dict())),
        "pair_i": first.astype(np.int32),
        "pair_j": second.astype(np.int32),
        "pair_shift": blocks["overlap"].pair_shift.astype(np.int32),
        **{name: block.values for name, block in blocks.items()},
        "electrons": np.array(float(molecule.nelectron)),
        "energy": np.array(float(energy)),
        "energy_unit": np.array("Hartree"),
        "energy_zero": np.array("vacuum"),
        "check_kpoints": np.zeros((1, 3)),
        "check_eigenvalues": solver.mo_energy[None, :],
        "check_electrons_error": np.array(abs(float(np.vdot(density, overlap)) - molecule.nelectron)),
        "seconds": np.array(time.perf_counter() - began),
    }


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
    # V_eff of the given density, built once and used for both the energy and F
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
        # called after each diagonalisation; at the first call last_hf_e is the energy of the starting density
        if not first:
            first.append(float(state["last_hf_e"]))
        errors.setdefault(int(state["cycle"]), float(np.abs(canonical(state["fock"], molecule) - reference).mean()))

    solver.callback = watch
    energy = float(solver.kernel(dm0=start))
    return ScfRun(len(errors), bool(solver.converged), energy, first[0], tuple(errors.values()))


def _solver(atoms: ase.Atoms, protocol: ScfProtocol) -> tuple[Any, Any]:
    """PySCF's molecule and its unconverged RKS object."""
    molecule = pyscf_molecule(atoms, protocol.basis)
    gradient = protocol.gradient_tolerance or protocol.energy_tolerance**0.5  # PySCF's own default
    theory = Theory(protocol.functional, protocol.basis, protocol.grid_level, protocol.energy_tolerance, gradient)
    solver = mean_field(molecule, theory)
    solver.max_cycle, solver.diis_space = protocol.max_cycles, protocol.diis_space
    return molecule, solver
