"""Thermal displacements of a supercell from harmonic phonons of the same level of theory.

Force constants come from finite displacements (reduced by symmetry) of the very supercell that is moved
afterwards; displacements are drawn from the canonical ensemble of its commensurate phonons, quantum
statistics included (https://phonopy.github.io/phonopy, `Phonopy.get_random_displacements_at_temperature`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from scipy import constants
from scipy.integrate import quad

from slembench.core.errors import ConfigError, DataError
from slembench.operators.orbitals import FloatArray

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

MIN_FREQUENCY_THZ = 0.3
"""Modes below this frequency are the rigid translations at Gamma, with the noise of the grid; they are left out."""


def supercell_phonons(cell: Atoms, repeats: Sequence[int], step: float = 0.03) -> Phonopy:
    """Phonopy of a supercell, with symmetry-reduced displacements in both directions set up.

    Args:
        cell: primitive cell.
        repeats: three integers.
        step: length of the finite displacements, Angstrom.

    Raises:
        ConfigError: phonopy is missing.
    """
    try:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
    except ModuleNotFoundError as error:
        raise ConfigError("this recipe needs phonopy: `pip install slembench[recipes]`") from error

    # primitive_matrix "P": the cell itself is the primitive one, so that displacements refer to its atoms
    unit = PhonopyAtoms(symbols=list(cell.symbols), cell=cell.cell.array, positions=cell.positions)
    phonons = Phonopy(unit, np.diag(repeats), primitive_matrix="P", symprec=1e-4)
    phonons.generate_displacements(distance=step, is_plusminus=True)
    return phonons


def supercell(phonons: Phonopy, pbc: Sequence[bool]) -> Atoms:
    """The undisplaced supercell."""
    return _to_ase(phonons.supercell, pbc)


def finite_displacements(phonons: Phonopy, pbc: Sequence[bool]) -> list[Atoms]:
    """The supercells whose forces are needed, in phonopy's order."""
    return [_to_ase(displaced, pbc) for displaced in phonons.supercells_with_displacements or []]


def set_forces(phonons: Phonopy, force_sets: Sequence[FloatArray]) -> FloatArray:
    """Force constants from the forces of `finite_displacements`, with symmetry and sum rules imposed.

    Args:
        phonons: from `supercell_phonons`; changed.
        force_sets: (N, 3) eV/Angstrom each.

    Returns:
        Frequencies (nq, 3 n) in THz at the commensurate points.

    Raises:
        DataError: an imaginary mode, about which no thermal ensemble exists.
    """
    phonons.forces = list(force_sets)
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    repeats = np.diag(phonons.supercell_matrix)
    points = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3) / repeats
    frequencies: FloatArray = phonons.run_qpoints(points).frequencies
    if frequencies.min() < -MIN_FREQUENCY_THZ:
        raise DataError(f"imaginary phonon of {frequencies.min():.3f} THz: relax the cell or tighten the forces")
    return frequencies


def thermal_displacement(phonons: Phonopy, temperature: float, seed: int) -> FloatArray:
    """One draw (N, 3) in Angstrom from the canonical ensemble at ``temperature`` in K; equal seeds, equal draws."""
    phonons.init_random_displacements(cutoff_frequency=MIN_FREQUENCY_THZ)
    return np.asarray(phonons.get_random_displacements_at_temperature(temperature, 1, random_seed=seed)[0])


def debye_displacement(
    atoms: Atoms, debye_temperatures: Mapping[str, float], temperature: float, seed: int
) -> FloatArray:
    """Independent Gaussian displacements (N, 3) in Angstrom with the mean squares of the Debye model.

    ``<u^2> = 3 hbar^2 / (m k T_D) (phi(T_D / T) T / T_D + 1/4)`` along each axis, zero-point motion included (Warren,
    X-ray Diffraction, 1990, eq. 11.77); the centre of mass stays. Motion of neighbours is not correlated.

    Args:
        atoms: supercell; its masses are used.
        debye_temperatures: symbol -> K.
        temperature: K, above 0.
        seed: equal seeds, equal draws.
    """
    symbols = atoms.get_chemical_symbols()
    spread = {
        symbol: debye_amplitude(atomic_masses[atomic_numbers[symbol]], debye, temperature)
        for symbol, debye in debye_temperatures.items()
    }
    moved = np.random.default_rng(seed).standard_normal((len(atoms), 3)) * [[spread[s]] for s in symbols]
    # without a drift: a rigid shift changes nothing in H but its place on the grid
    masses = atoms.get_masses()
    return np.asarray(moved - masses @ moved / masses.sum())


def debye_amplitude(mass: float, debye: float, temperature: float) -> float:
    """Root mean square displacement along one axis in Angstrom; mass in u, temperatures in K.

    Example:
        >>> round(debye_amplitude(28.085, debye=543.0, temperature=300.0), 3)  # silicon
        0.076
    """
    ratio = debye / temperature
    # Debye function phi(x) = 1/x int_0^x y / (exp(y) - 1) dy; phi / x + 1/4 is the bracket, 1/4 the zero-point motion
    integral, _ = quad(lambda x: x / np.expm1(x) if x else 1.0, 0.0, ratio)
    bracket = integral / ratio**2 + 0.25
    metres2 = 3 * constants.hbar**2 / (mass * constants.atomic_mass * constants.k * debye) * bracket
    return float(np.sqrt(metres2) * 1e10)


def _to_ase(atoms: PhonopyAtoms, pbc: Sequence[bool]) -> Atoms:
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=pbc)
