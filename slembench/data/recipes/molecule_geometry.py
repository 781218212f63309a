"""Geometries of molecules: conformers from SMILES (RDKit), relaxation and molecular dynamics with GFN2-xTB (tblite)."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np

from slembench.core.errors import ConfigError, DataError

FORCE_LIMIT = 0.01
"""Relaxation ends below this, eV/Angstrom."""


def with_hydrogens(smiles: str) -> Any:
    """RDKit molecule of a SMILES, hydrogens added.

    Raises:
        ConfigError: RDKit is missing.
        DataError: not a SMILES, or not a neutral closed shell.
    """
    try:
        from rdkit import Chem
        from rdkit.Chem.Descriptors import NumRadicalElectrons
    except ModuleNotFoundError as error:
        raise ConfigError("this recipe needs RDKit: `pip install slembench[recipes]`") from error
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise DataError(f"{smiles!r} is not a SMILES that RDKit reads")
    if Chem.GetFormalCharge(molecule) or NumRadicalElectrons(molecule):
        raise DataError(f"{smiles!r} is charged or a radical; only neutral closed shells are computed")
    return Chem.AddHs(molecule)


def formula(smiles: str) -> str:
    """Hill formula such as ``C2H6O``."""
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    return str(CalcMolFormula(with_hydrogens(smiles)))


def conformer(smiles: str, seed: int) -> ase.Atoms:
    """One conformer: ETKDG embedding, then MMFF94 where it has parameters.

    Raises:
        DataError: no embedding found.
    """
    molecule = with_hydrogens(smiles)
    from rdkit.Chem import AllChem

    if AllChem.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise DataError(f"{smiles!r}: RDKit found no conformer")
    if AllChem.MMFFHasAllMoleculeParams(molecule):
        AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return ase.Atoms(numbers, positions=molecule.GetConformer().GetPositions())


def xtb_calculator() -> Any:
    """ASE calculator of GFN2-xTB.

    Raises:
        ConfigError: tblite is missing.
    """
    try:
        from tblite.ase import TBLite
    except ModuleNotFoundError as error:
        raise ConfigError("this recipe needs tblite: `pip install slembench[recipes]`") from error
    return TBLite(method="GFN2-xTB", verbosity=0)


def relaxed(atoms: ase.Atoms) -> ase.Atoms:
    """Copy at the nearest GFN2-xTB minimum, its centre of mass at the origin.

    Raises:
        DataError: not there within 500 steps.
    """
    from ase.optimize import BFGS

    atoms = atoms.copy()
    atoms.calc = xtb_calculator()
    if not BFGS(atoms, logfile=None).run(fmax=FORCE_LIMIT, steps=500):
        raise DataError(f"{atoms.get_chemical_formula()}: not relaxed after 500 steps")
    return ase.Atoms(atoms.numbers, positions=atoms.positions - atoms.get_center_of_mass())


def trajectory(
    atoms: ase.Atoms, temperature: float, seed: int, frames: int, spacing: float = 50.0, warm_up: float = 200.0
) -> list[ase.Atoms]:
    """Frames of one Langevin trajectory with GFN2-xTB, centre of mass at the origin, orientation free.

    Args:
        atoms: where it starts.
        temperature: K.
        seed: of velocities and thermostat.
        frames: number of frames.
        spacing: time between frames, fs.
        warm_up: time before the first frame, fs.
    """
    from ase.md.langevin import Langevin
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from ase.units import fs

    generator = np.random.RandomState(seed)  # of the velocities and of the thermostat's noise
    atoms = atoms.copy()
    atoms.calc = xtb_calculator()
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=generator)
    dynamics = Langevin(atoms, 0.5 * fs, temperature_K=temperature, friction=0.02 / fs, fixcm=False, rng=generator)
    dynamics.run(round(warm_up / 0.5))  # in steps of 0.5 fs
    found = []
    for _ in range(frames):
        dynamics.run(round(spacing / 0.5))
        found.append(ase.Atoms(atoms.numbers, positions=atoms.positions - atoms.get_center_of_mass()))
    return found
