"""Recipe of `qh9-mini`: organic molecules of H, C, N, O, F with 5 to 20 atoms, at QH9's own level, B3LYP/def2-SVP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.data.pyscf import ALL_PAIRS, Theory, compute_molecule
from slembench.data.recipes import molecule_geometry as geometry
from slembench.data.recipes.runner import Calculation, CalculationPlan

_LIST = """
    C CF C(F)F FC(F)F FC(F)(F)F C=C=O C=N OC=O OC(=O)F CO C=CF FC=CF FC(F)=C FC(F)=C(F)F C=NO NC=O N#CCF C#CC=O
    C#CC#C NN OCF NC(=O)F COF O=CC=O FC(F)(F)C#N CN C=C=C N=CN N#CCO C#CCF CC=O C1CO1 FC1CO1 OCO NCF FCC=O
    O=CC(=O)O C=CO O=CC(F)(F)F ONC=O c1nnn[nH]1 c1ncon1 c1nnco1 CC N#CCN C#CCO C1CN1 NCO NC(N)=O CN=C CC(=O)O
    OCC=O OC(=O)C(=O)O NC(=O)C=O CO[N+](=O)[O-] C=CC#C C=CC=O C=CN CC(F)(F)F FCC(F)F FC(F)(F)C(F)(F)F
    OC(=O)C(F)(F)F CC=N c1cocn1 c1nc[nH]n1 c1nn[nH]c1 CC(=O)C#N COC C1CC1 CNN CC(N)=O NCC=O OCC(F)(F)F COC(F)F
    COC(F)(F)F NC(=N)N CC=NO c1ccoc1 c1cnc[nH]1 c1cn[nH]c1 Fc1ccco1 Fc1ccoc1 O=C1C=CC(=O)O1 CCC#N CC(=O)C=O
    CC#CC=O FC1CC1 FC1(F)CC1 OCC(=O)O O=CCC=O NC(=O)CF CCN CNC CC#CC C=CC=C C=C(F)C=C CN=CN FCCN c1cc[nH]c1
    c1cncnc1 Fc1ncccn1 O=C1C=CC(=O)N1 O=C1CCN1 C1CCO1 C1=CCC1 CC(C)=O CCC=O OC1CC1 N#CC1CC1 CC1=CC1 NCC(=O)O
    NCCO Fc1cccnc1 C1CNC1 C1=CCC=C1 C1COCO1 CCCF CC(C)F CC#CCO CN1CC1 O=CC1CC1 C#CC1CC1 CC(=O)OC CCOC=O NCC(N)=O
    CNC(N)=O c1ccccc1 Fc1ccccc1 Fc1ccc(F)cc1 CCOC CC(C)O CC(C)=C CCC=C CC(=O)NC CN(C)C=O CCNC=O Oc1cccnc1
    Cc1ccco1 O=c1cc[nH]c(=O)[nH]1 CCCN CNCC CN(C)C C=CC1CC1 NC(C)C(=O)O N#Cc1ccccc1 Nc1ccncc1 Cc1ccc[nH]1
    Nc1ccccc1 O=Cc1ccccc1 CCCC CC(C)C NCCCN CC(=O)N(C)C COCCOC C1CCC=CC1 COc1ccccc1 C1CCNCC1 CCCC(=O)OC C1CCCCC1
    OC1CCCCC1 CCCCCC
"""

SMILES = tuple(_LIST.split())
"""Molecules, by number of atoms, hydrogens included."""

THEORY = Theory("b3lyp5")  # VWN5, as QH9; PySCF's "b3lyp" has been VWN3 since 2.3
SEED = 43
"""Seed of RDKit's embedding."""
BASIS = {"H": "2s1p", "C": "3s2p1d", "N": "3s2p1d", "O": "3s2p1d", "F": "3s2p1d"}


def plan() -> CalculationPlan:
    """One job a molecule, the smallest first.

    Raises:
        ConfigError: RDKit, tblite or PySCF is missing.
    """
    jobs = [
        Calculation(f"structures/{name}", compute_structure, {"name": name, "smiles": smiles})
        for name, smiles in molecules().items()
    ]
    settings = {"theory": asdict(THEORY), "seed": SEED, "force_limit": geometry.FORCE_LIMIT}
    return CalculationPlan("qh9-mini", settings, (tuple(jobs),), short=True)


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
