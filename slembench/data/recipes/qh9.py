"""Recipe of `qh9-mini`: small organic molecules of H, C, N, O, F at QH9's own level, B3LYP/def2-SVP from PySCF."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.data.recipes import molecule_geometry as geometry
from slembench.data.recipes.molecule_scf import ALL_PAIRS, Theory, compute_molecule
from slembench.data.recipes.qh9_molecules import SMILES
from slembench.data.recipes.runner import Job, Plan

THEORY = Theory("b3lyp5")
SEED = 43
"""Of RDKit's embedding."""
BASIS = {"H": "2s1p", "C": "3s2p1d", "N": "3s2p1d", "O": "3s2p1d", "F": "3s2p1d"}


def plan() -> Plan:
    """One job a molecule, the smallest first.

    Raises:
        ConfigError: RDKit, tblite or PySCF is missing.
    """
    jobs = [
        Job(f"structures/{name}", compute_structure, {"name": name, "smiles": smiles})
        for name, smiles in molecules().items()
    ]
    settings = {"theory": asdict(THEORY), "seed": SEED, "force_limit": geometry.FORCE_LIMIT}
    return Plan("qh9-mini", settings, (tuple(jobs),), short=True)


def molecules() -> dict[str, str]:
    """Id such as ``C2H6O-1`` -> SMILES, by ascending number of atoms, then in the order of the list."""
    order = sorted(SMILES, key=lambda smiles: geometry.with_hydrogens(smiles).GetNumAtoms())
    seen: Counter[str] = Counter()
    named = {}
    for smiles in order:
        formula = geometry.formula(smiles)
        seen[formula] += 1
        named[f"{formula}-{seen[formula]}"] = smiles
    return named


def compute_structure(workdir: Path, name: str, smiles: str) -> Mapping[str, NDArray[Any]]:
    """One molecule at its GFN2-xTB minimum with its operators."""
    atoms = geometry.relaxed(geometry.conformer(smiles, SEED))
    return {
        **compute_molecule(atoms, THEORY),
        "id": np.array(name),
        "group": np.array(name),
        "smiles": np.array(smiles),
        "basis": np.array(json.dumps(BASIS)),
        "pair_radii": np.array(json.dumps(dict.fromkeys(BASIS, ALL_PAIRS))),
    }
