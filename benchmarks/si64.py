"""The 64 silicon atoms of DeePTB's example (DeePTB folder format), as a sample for timings."""

from __future__ import annotations

from pathlib import Path

import ase
import h5py
import numpy as np

from slembench.blocks import BlockMatrix
from slembench.data.sample import Sample
from slembench.orbitals import Basis

BASIS = Basis.parse({"Si": "1s1p"})
CUTOFFS = {14: 7.4}


def read_si64(folder: Path) -> Sample:
    """Structure, H (eV) and S of ``folder`` (holding ``Si64.0``); 0-based keys i_j_Rx_Ry_Rz, both directions."""
    inner = folder / "Si64.0"
    positions, cell = np.loadtxt(inner / "positions.dat"), np.loadtxt(inner / "cell.dat")
    atoms = ase.Atoms(np.loadtxt(inner / "atomic_numbers.dat", dtype=int), positions, cell=cell, pbc=True)
    operators = {name: _read_blocks(inner / f"{name}s.h5", atoms.numbers) for name in ("hamiltonian", "overlap")}
    return Sample("Si64", atoms, BASIS, operators)


def _read_blocks(file: Path, numbers: np.ndarray) -> BlockMatrix:
    with h5py.File(file) as stored:
        group = stored["0"]
        keys = [tuple(int(x) for x in key.split("_")) for key in group]
        values = [np.asarray(group[key], dtype=np.float64).ravel() for key in group]
    table = np.array(keys)
    return BlockMatrix(BASIS, numbers, table[:, :2], table[:, 2:], np.concatenate(values))
