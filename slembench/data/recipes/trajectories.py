"""Common part of the recipes of molecular dynamics: GFN2-xTB trajectories, then PySCF operators of every frame.

Every trajectory is a group of its own: independent velocities and thermostat noise, from one relaxed geometry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.data.pyscf import ALL_PAIRS, Theory, compute_molecule
from slembench.data.recipes import molecule_geometry as geometry
from slembench.data.recipes.runner import Calculation, CalculationPlan, result_path


@dataclass(frozen=True)
class Species:
    """One molecule: name, SMILES, trajectories and frames of each."""

    name: str
    smiles: str
    trajectories: int
    frames: int

    def run_id(self, run: int) -> str:
        """Job of one trajectory."""
        return f"trajectories/{self.name}-{run:02d}"


@dataclass(frozen=True)
class Dynamics:
    """Recipe of a data set of molecules in motion.

    Attributes:
        name: of the data set.
        theory: level of theory of the operators.
        basis: (symbol, shells) of every element of the data set, such as ``("O", "3s2p1d")``.
        species: in the order in which they are made.
        temperatures: K; trajectory n runs at entry n modulo their number.
        seed: of the relaxed geometry; trajectory n is drawn with ``seed + n``.
    """

    name: str
    theory: Theory
    basis: tuple[tuple[str, str], ...]
    species: tuple[Species, ...]
    temperatures: tuple[float, ...] = (300.0, 400.0, 500.0)
    seed: int = 17

    def plan(self) -> CalculationPlan:
        """Trajectories, then the operators of their frames, one species after the other.

        Raises:
            ConfigError: RDKit, tblite or PySCF is missing.
        """
        stages: list[tuple[Calculation, ...]] = []
        for species in self.species:
            given = {"recipe": self, "species": species}
            runs = range(species.trajectories)
            stages.append(tuple(Calculation(species.run_id(n), compute_run, {**given, "run": n}) for n in runs))
            stages.append(
                tuple(
                    Calculation(
                        f"structures/{species.name}-{run:02d}-{frame:02d}",
                        compute_structure,
                        {**given, "run": run, "frame": frame},
                        (species.run_id(run),),
                    )
                    for run in runs
                    for frame in range(species.frames)
                )
            )
        settings = {"theory": asdict(self.theory), "temperatures": self.temperatures, "seed": self.seed}
        settings |= {species.name: asdict(species) | {"trajectories": None} for species in self.species}
        return CalculationPlan(self.name, settings, tuple(stages), short=True)


def compute_run(workdir: Path, recipe: Dynamics, species: Species, run: int) -> dict[str, NDArray[Any]]:
    """Positions (frames, N, 3) in Angstrom of one trajectory."""
    start = geometry.relaxed(geometry.conformer(species.smiles, recipe.seed))
    temperature = recipe.temperatures[run % len(recipe.temperatures)]
    frames = geometry.trajectory(start, temperature, recipe.seed + run, species.frames)
    return {
        "numbers": start.numbers,
        "positions": np.stack([frame.positions for frame in frames]),
        "temperature": np.array(temperature),
    }


def compute_structure(
    workdir: Path, recipe: Dynamics, species: Species, run: int, frame: int
) -> Mapping[str, NDArray[Any]]:
    """One frame with its operators."""
    with np.load(result_path(workdir, species.run_id(run)), allow_pickle=False) as moved:
        atoms = ase.Atoms(moved["numbers"], positions=moved["positions"][frame])
    basis = dict(recipe.basis)
    return {
        **compute_molecule(atoms, recipe.theory),
        "id": np.array(f"{species.name}-{run:02d}-{frame:02d}"),
        "group": np.array(f"{species.name}-{run:02d}"),
        "smiles": np.array(species.smiles),
        "basis": np.array(json.dumps(basis)),
        "pair_radii": np.array(json.dumps(dict.fromkeys(basis, ALL_PAIRS))),
    }
