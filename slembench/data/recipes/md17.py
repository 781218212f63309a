"""Recipe of `md17-mini`: water and ethanol from short molecular dynamics, PBE/def2-SVP from PySCF (MD17's level).

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

from slembench.data.recipes import molecule_geometry as geometry
from slembench.data.recipes.molecule_scf import ALL_PAIRS, Theory, compute_molecule
from slembench.data.recipes.runner import Job, Plan, result_path

THEORY = Theory("pbe")
TEMPERATURES = (300.0, 400.0, 500.0)
"""K; trajectory n runs at entry n modulo 3."""
BASIS = {"H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"}
SEED = 17


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


SPECIES = (Species("water", "O", 20, 10), Species("ethanol", "CCO", 10, 4))


def plan() -> Plan:
    """Trajectories, then the operators of their frames, of water and then of ethanol.

    Raises:
        ConfigError: RDKit, tblite or PySCF is missing.
    """
    stages: list[tuple[Job, ...]] = []
    for species in SPECIES:
        runs = range(species.trajectories)
        stages.append(tuple(Job(species.run_id(n), compute_run, {"species": species, "run": n}) for n in runs))
        stages.append(
            tuple(
                Job(
                    f"structures/{species.name}-{run:02d}-{frame:02d}",
                    compute_structure,
                    {"species": species, "run": run, "frame": frame},
                    (species.run_id(run),),
                )
                for run in runs
                for frame in range(species.frames)
            )
        )
    settings = {"theory": asdict(THEORY), "temperatures": TEMPERATURES, "seed": SEED}
    settings |= {species.name: asdict(species) | {"trajectories": None} for species in SPECIES}
    return Plan("md17-mini", settings, tuple(stages), short=True)


def compute_run(workdir: Path, species: Species, run: int) -> dict[str, NDArray[Any]]:
    """Positions (frames, N, 3) in Angstrom of one trajectory."""
    start = geometry.relaxed(geometry.conformer(species.smiles, SEED))
    temperature = TEMPERATURES[run % len(TEMPERATURES)]
    frames = geometry.trajectory(start, temperature, SEED + run, species.frames)
    return {
        "numbers": start.numbers,
        "positions": np.stack([frame.positions for frame in frames]),
        "temperature": np.array(temperature),
    }


def compute_structure(workdir: Path, species: Species, run: int, frame: int) -> Mapping[str, NDArray[Any]]:
    """One frame with its operators."""
    with np.load(result_path(workdir, species.run_id(run)), allow_pickle=False) as moved:
        atoms = ase.Atoms(moved["numbers"], positions=moved["positions"][frame])
    return {
        **compute_molecule(atoms, THEORY),
        "id": np.array(f"{species.name}-{run:02d}-{frame:02d}"),
        "group": np.array(f"{species.name}-{run:02d}"),
        "smiles": np.array(species.smiles),
        "basis": np.array(json.dumps(BASIS)),
        "pair_radii": np.array(json.dumps(dict.fromkeys(BASIS, ALL_PAIRS))),
    }
