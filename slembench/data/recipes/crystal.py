"""Common part of the crystal recipes: thermally displaced supercells, GPAW LCAO, checked real-space operators.

A recipe gives a `Crystal`; its jobs are the force sets of the phonons (where displacements come from phonons) and one
job a structure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from slembench.data.recipes import displacements, gpaw_lcao
from slembench.data.recipes.gpaw_lcao import Level
from slembench.data.recipes.lcao_fourier import half_mesh
from slembench.data.recipes.lcao_record import MeshOperators, structure_record
from slembench.data.recipes.runner import Calculation, CalculationPlan, result_path
from slembench.operators.orbitals import Basis, FloatArray
from slembench.operators.units import BOHR_ANGSTROM

Triple = tuple[int, int, int]
CHECK_KPOINTS = ((0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.13, 0.29, 0.37), (-0.37, 0.21, 0.11))
"""Fractional points at which the rebuilt bands of a bulk crystal are compared with the code's own."""
NOISE_SHIFT = (0.05, 0.03, 0.04)
"""Rigid shift against the grid, Angstrom; no simple fraction of any grid spacing."""


@dataclass(frozen=True)
class Kind:
    """Structures of one supercell at one temperature.

    Attributes:
        name: part of the structure ids, such as ``2x2``.
        repeats: of the unit cell.
        grid: real-space grid points of the supercell.
        kmesh_scf: Gamma-centred k points of the self-consistency.
        kmesh_ft: odd k mesh whose inverse Fourier transform gives the blocks.
        count: structures.
        seed: of the first structure.
        temperature: K.
    """

    name: str
    repeats: Triple
    grid: Triple
    kmesh_scf: Triple
    kmesh_ft: Triple
    count: int
    seed: int
    temperature: float = 300.0


@dataclass(frozen=True)
class Crystal:
    """Recipe of a data set of one crystal.

    Attributes:
        name: of the data set.
        prefix: first part of the structure ids.
        unit_cell: makes the relaxed cell that is repeated, with its periodic axes set.
        level: level of theory.
        kinds: in the order in which they are made.
        energy_zero: what GPAW's energies are measured from.
        check_kpoints: fractional k points of the checks.
        density: whether density matrices are kept too.
        debye: (symbol, Debye temperature in K) where displacements are drawn atom by atom; empty for phonons.
    """

    name: str
    prefix: str
    unit_cell: Callable[[], Atoms]
    level: Level
    kinds: tuple[Kind, ...]
    energy_zero: str
    check_kpoints: tuple[tuple[float, float, float], ...] = CHECK_KPOINTS
    density: bool = False
    debye: tuple[tuple[str, float], ...] = ()

    @property
    def radii(self) -> dict[str, float]:
        """Symbol -> twice the largest radial function, Angstrom; a pair is kept within the mean of its two radii."""
        return {symbol: round(2 * recipe.radius * BOHR_ANGSTROM, 2) for symbol, recipe in self.level.basis}

    def plan(self) -> CalculationPlan:
        """Force sets and structures of each kind, and the first structure again, shifted, for the numerical noise.

        Raises:
            ConfigError: GPAW or phonopy is missing.
        """
        gpaw_lcao.require_gpaw()
        stages: list[tuple[Calculation, ...]] = []
        planned: set[str] = set()
        for kind in self.kinds:
            needs = self.needs(kind)
            fresh = [name for name in needs if name not in planned]
            planned.update(fresh)
            arguments = {"crystal": self, "kind": kind}
            stages.append(tuple(Calculation(i, compute_forces, {**arguments, "index": needs.index(i)}) for i in fresh))
            stages.append(
                tuple(
                    Calculation(f"structures/{self.id(kind, n)}", compute_structure, {**arguments, "index": n}, needs)
                    for n in range(kind.count)
                )
            )
        first = self.kinds[0]
        again = {"crystal": self, "kind": first, "index": 0}
        stages.append((Calculation(f"noise/{self.id(first, 0)}", compute_shifted, again, self.needs(first)),))
        return CalculationPlan(self.name, self.settings, tuple(stages))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the results; the number of structures does not."""
        cell = self.unit_cell()
        return {
            "cell": cell.cell.tolist(),
            "positions": cell.positions.tolist(),
            "numbers": cell.numbers.tolist(),
            "level": asdict(self.level),
            "pair_radii": self.radii,
            # the count is left out: more structures may be added to a work directory, other settings may not
            "kinds": {kind.name: asdict(kind) | {"count": None} for kind in self.kinds},
            "density": self.density,
            "debye": dict(self.debye),
        }

    def id(self, kind: Kind, index: int) -> str:
        """Name of one structure."""
        return f"{self.prefix}-{kind.name}-{index:04d}"

    def needs(self, kind: Kind) -> tuple[str, ...]:
        """Force jobs that a structure of this kind needs."""
        return () if self.debye else tuple(self.force_ids(kind))

    def force_ids(self, kind: Kind) -> list[str]:
        """Jobs of the finite displacements of a kind's supercell; kinds with equal repeats share them."""
        cell = self.unit_cell()
        phonons = displacements.supercell_phonons(cell, kind.repeats)
        repeats = "x".join(map(str, kind.repeats))
        return [f"forces/{repeats}-{n:02d}" for n in range(len(displacements.finite_displacements(phonons, cell.pbc)))]


def compute_forces(workdir: Path, crystal: Crystal, kind: Kind, index: int) -> dict[str, NDArray[Any]]:
    """Forces of one finite displacement."""
    cell = crystal.unit_cell()
    phonons = displacements.supercell_phonons(cell, kind.repeats)
    atoms = wrapped(displacements.finite_displacements(phonons, cell.pbc)[index])
    forces = gpaw_lcao.forces(atoms, crystal.level, kind.grid, kind.kmesh_scf)
    return {"positions": atoms.positions, "numbers": atoms.numbers, "forces": forces}


def compute_structure(workdir: Path, crystal: Crystal, kind: Kind, index: int) -> Mapping[str, NDArray[Any]]:
    """One thermally displaced structure with its operators."""
    atoms, moved = displaced(workdir, crystal, kind, index)
    return {
        "id": np.array(crystal.id(kind, index)),
        "displacements": moved,
        "temperature": np.array(kind.temperature),
        **compute_operators(atoms, crystal, kind),
    }


def compute_shifted(workdir: Path, crystal: Crystal, kind: Kind, index: int) -> Mapping[str, NDArray[Any]]:
    """One structure again, shifted rigidly against the real-space grid; see `slembench.data.recipes.noise`."""
    atoms, _ = displaced(workdir, crystal, kind, index)
    atoms.positions += NOISE_SHIFT
    return {"id": np.array(crystal.id(kind, index)), **compute_operators(atoms, crystal, kind)}


def displaced(workdir: Path, crystal: Crystal, kind: Kind, index: int) -> tuple[Atoms, FloatArray]:
    """Supercell with one draw of displacements, and the displacements (N, 3) in Angstrom."""
    cell, seed = crystal.unit_cell(), kind.seed + index
    if crystal.debye:
        atoms = cell.repeat(kind.repeats)
        moved = displacements.debye_displacement(atoms, dict(crystal.debye), kind.temperature, seed)
    else:
        phonons = displacements.supercell_phonons(cell, kind.repeats)
        force_sets = [np.load(result_path(workdir, name))["forces"] for name in crystal.force_ids(kind)]
        displacements.set_forces(phonons, force_sets)
        atoms = displacements.supercell(phonons, cell.pbc)
        moved = displacements.thermal_displacement(phonons, kind.temperature, seed)
    atoms.positions += moved
    return atoms, moved


def compute_operators(atoms: Atoms, crystal: Crystal, kind: Kind) -> dict[str, NDArray[Any]]:
    """Self-consistency, Bloch matrices, blocks and checks of one geometry."""
    began = time.perf_counter()
    atoms = wrapped(atoms)
    momenta = gpaw_lcao.shell_momenta(crystal.level)
    order, sizes = gpaw_lcao.canonical_order(atoms.symbols, momenta)
    calculator = gpaw_lcao.ground_state(atoms, crystal.level, kind.grid, kind.kmesh_scf)
    mesh_points, weights = half_mesh(kind.kmesh_ft)
    # mesh and check points in one run at the fixed density
    kpoints = np.concatenate([mesh_points, np.array(crystal.check_kpoints)])
    hamiltonian, overlap, eigenvalues = gpaw_lcao.bloch_matrices(calculator, kpoints, order)
    operators = MeshOperators(
        kpoints=kpoints,
        weights=weights,
        mesh=kind.kmesh_ft,
        hamiltonian=hamiltonian,
        overlap=overlap,
        eigenvalues=eigenvalues,
        electrons=float(calculator.get_number_of_electrons()),
        width=crystal.level.width,
    )
    basis = Basis.parse(momenta).to_dict()
    return {
        **structure_record(atoms, basis, sizes, crystal.radii, operators, density=crystal.density),
        "energy": np.array(calculator.get_potential_energy()),
        "fermi_level": np.array(calculator.get_fermi_level()),
        "energy_zero": np.array(crystal.energy_zero),
        "forces": np.asarray(calculator.get_forces()),
        "kmesh_scf": np.array(kind.kmesh_scf),
        "scf_iterations": np.array(calculator.get_number_of_iterations()),
        "seconds": np.array(time.perf_counter() - began),
    }


def wrapped(atoms: Atoms) -> Atoms:
    """Copy with periodic coordinates in [0, 1), which GPAW's phases assume."""
    atoms = atoms.copy()
    atoms.wrap(eps=0)  # ASE's own tolerance would leave coordinates slightly below 0
    return atoms
