"""Recipe of `mos2-mini`: monolayer 2H-MoS2, PBE, GPAW LCAO, thermal displacements at 300 K.

Cells of 2x2 (12 atoms) and 3x3 (27 atoms) repeats of the relaxed primitive cell. Energies are relative to
the mean of the two vacuum levels.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import mx2
from numpy.typing import NDArray

from slembench.data.recipes import displacements, gpaw_lcao
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.lcao_fourier import half_mesh
from slembench.data.recipes.lcao_record import MeshOperators, structure_record
from slembench.data.recipes.runner import Job, Plan, result_path
from slembench.orbitals import Basis
from slembench.units import BOHR_ANGSTROM

PBC = (True, True, False)
LATTICE = 3.176
"""In-plane lattice constant, Angstrom: minimum of a parabola through 3.15, 3.19, 3.23 at this level."""
THICKNESS = 3.169
"""Distance of the two sulfur planes, Angstrom, relaxed at this level."""
HEIGHT = 15.2
"""Cell height, Angstrom: 6 of vacuum on each side."""
GRID = (14, 14, 76)
"""Grid points of the primitive cell: 0.197 Angstrom between planes in the sheet, 0.200 across it."""
TEMPERATURE = 300.0
LEVEL = Level(
    basis=(
        ("Mo", ElementBasis(radius=7.0, polarization_l=1, single_zeta=("4s", "4p"))),
        ("S", ElementBasis(radius=6.5)),
    )
)
PAIR_RADII = {symbol: round(2 * recipe.radius * BOHR_ANGSTROM, 2) for symbol, recipe in LEVEL.basis}
"""Twice the largest radial function, Angstrom; a pair is kept within the mean of its two radii."""
CHECK_KPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0], [0.13, 0.29, 0], [-0.37, 0.21, 0]], dtype=float)


@dataclass(frozen=True)
class CellSize:
    """One size of cell: repeats n x n, k meshes (self-consistency, Fourier transform), structures, first seed."""

    repeats: int
    kmesh_scf: tuple[int, int, int]
    kmesh_ft: tuple[int, int, int]
    count: int
    seed: int

    @property
    def name(self) -> str:
        """``2x2``."""
        return f"{self.repeats}x{self.repeats}"

    @property
    def grid(self) -> tuple[int, int, int]:
        """Real-space grid of the supercell."""
        return (self.repeats * GRID[0], self.repeats * GRID[1], GRID[2])


SIZES = (
    CellSize(2, (3, 3, 1), (5, 5, 1), count=84, seed=20_000),
    CellSize(3, (2, 2, 1), (3, 3, 1), count=4, seed=30_000),
)


def primitive_cell() -> Atoms:
    """Relaxed monolayer: Mo, S, S, centred in the cell."""
    cell: Atoms = mx2("MoS2", "2H", LATTICE, THICKNESS, vacuum=(HEIGHT - THICKNESS) / 2)
    cell.pbc = PBC
    return cell


def plan() -> Plan:
    """Force sets and structures of each size, small cells first.

    Raises:
        ConfigError: GPAW or phonopy is missing.
    """
    gpaw_lcao.require_gpaw()
    stages: list[tuple[Job, ...]] = []
    for size in SIZES:
        needs = tuple(force_ids(size))
        stages.append(tuple(Job(i, compute_forces, {"size": size, "index": n}) for n, i in enumerate(needs)))
        stages.append(
            tuple(
                Job(f"structures/mos2-{size.name}-{n:04d}", compute_structure, {"size": size, "index": n}, needs)
                for n in range(size.count)
            )
        )
    settings = {
        "lattice": LATTICE,
        "thickness": THICKNESS,
        "height": HEIGHT,
        "grid": GRID,
        "temperature": TEMPERATURE,
        "level": asdict(LEVEL),
        "pair_radii": PAIR_RADII,
        "sizes": {size.name: asdict(size) | {"count": None} for size in SIZES},
    }
    return Plan("mos2-mini", settings, tuple(stages))


def force_ids(size: CellSize) -> list[str]:
    """Jobs of the finite displacements of one cell size."""
    phonons = displacements.supercell_phonons(primitive_cell(), (size.repeats, size.repeats, 1))
    count = len(displacements.finite_displacements(phonons, PBC))
    return [f"forces/{size.name}-{n:02d}" for n in range(count)]


def compute_forces(workdir: Path, size: CellSize, index: int) -> dict[str, NDArray[Any]]:
    """Forces of one finite displacement."""
    phonons = displacements.supercell_phonons(primitive_cell(), (size.repeats, size.repeats, 1))
    atoms = wrapped(displacements.finite_displacements(phonons, PBC)[index])
    forces = gpaw_lcao.forces(atoms, LEVEL, size.grid, size.kmesh_scf)
    return {"positions": atoms.positions, "numbers": atoms.numbers, "forces": forces}


def compute_structure(workdir: Path, size: CellSize, index: int) -> Mapping[str, NDArray[Any]]:
    """One thermally displaced structure with its operators."""
    phonons = displacements.supercell_phonons(primitive_cell(), (size.repeats, size.repeats, 1))
    force_sets = [np.load(result_path(workdir, name))["forces"] for name in force_ids(size)]
    displacements.set_forces(phonons, force_sets)
    moved = displacements.thermal_displacement(phonons, TEMPERATURE, size.seed + index)
    atoms = displacements.supercell(phonons, PBC)
    atoms.positions += moved
    return {
        "id": np.array(f"mos2-{size.name}-{index:04d}"),
        "displacements": moved,
        "temperature": np.array(TEMPERATURE),
        **compute_operators(atoms, size),
    }


def compute_operators(atoms: Atoms, size: CellSize) -> dict[str, NDArray[Any]]:
    """Self-consistency, Bloch matrices, blocks and checks of one geometry."""
    began = time.perf_counter()
    atoms = wrapped(atoms)
    momenta = gpaw_lcao.shell_momenta(LEVEL)
    order, sizes = gpaw_lcao.canonical_order(atoms.symbols, momenta)
    calculator = gpaw_lcao.ground_state(atoms, LEVEL, size.grid, size.kmesh_scf)
    mesh_points, weights = half_mesh(size.kmesh_ft)
    kpoints = np.concatenate([mesh_points, CHECK_KPOINTS])
    hamiltonian, overlap, eigenvalues = gpaw_lcao.bloch_matrices(calculator, kpoints, order)
    operators = MeshOperators(
        kpoints=kpoints,
        weights=weights,
        mesh=size.kmesh_ft,
        hamiltonian=hamiltonian,
        overlap=overlap,
        eigenvalues=eigenvalues,
        electrons=float(calculator.get_number_of_electrons()),
        width=LEVEL.width,
    )
    return {
        **structure_record(atoms, Basis.parse(momenta).to_dict(), sizes, PAIR_RADII, operators),
        "energy": np.array(calculator.get_potential_energy()),
        "fermi_level": np.array(calculator.get_fermi_level()),
        "energy_zero": np.array("vacuum"),
        "forces": np.asarray(calculator.get_forces()),
        "kmesh_scf": np.array(size.kmesh_scf),
        "scf_iterations": np.array(calculator.get_number_of_iterations()),
        "seconds": np.array(time.perf_counter() - began),
    }


def wrapped(atoms: Atoms) -> Atoms:
    """Copy with periodic coordinates in [0, 1), which GPAW's phases assume."""
    atoms = atoms.copy()
    atoms.wrap(eps=0)
    return atoms
