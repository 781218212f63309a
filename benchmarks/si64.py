"""The 64 silicon atoms of DeePTB's example (DeePTB folder format), as a sample for timings."""

from __future__ import annotations

import shutil
from pathlib import Path

import ase
import h5py
import numpy as np

from slembench.data.pairs import scored_pairs
from slembench.data.sample import Sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"Si": "1s1p"})
CUTOFFS = {14: 7.4}


def read_atoms(folder: Path) -> ase.Atoms:
    """Structure of ``folder`` (holding ``Si64.0``)."""
    inner = folder / "Si64.0"
    positions, cell = np.loadtxt(inner / "positions.dat"), np.loadtxt(inner / "cell.dat")
    return ase.Atoms(np.loadtxt(inner / "atomic_numbers.dat", dtype=int), positions, cell=cell, pbc=True)


def read_si64(folder: Path, basis: Basis = BASIS) -> Sample:
    """Structure, H (eV) and S of ``folder``; 0-based keys i_j_Rx_Ry_Rz, both directions."""
    atoms = read_atoms(folder)
    names = ("hamiltonian", "overlap")
    operators = {name: _read_blocks(folder / "Si64.0" / f"{name}s.h5", basis, atoms.numbers) for name in names}
    return Sample("Si64", atoms, basis, operators)


def _read_blocks(file: Path, basis: Basis, numbers: np.ndarray) -> BlockMatrix:
    with h5py.File(file) as stored:
        group = stored["0"]
        keys = [tuple(int(x) for x in key.split("_")) for key in group]
        values = [np.asarray(group[key], dtype=np.float64).ravel() for key in group]
    table = np.array(keys)
    return BlockMatrix(basis, numbers, table[:, :2], table[:, 2:], np.concatenate(values))


def write_random(source: Path, target: Path, basis: Basis, cutoff: float) -> None:
    """A folder like ``source`` whose H and S have random blocks in another basis, on the pairs within a cutoff."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    atoms = read_atoms(source)
    index, shift = scored_pairs(atoms, {14: cutoff})
    size, random = basis.size(14), np.random.default_rng(0)
    for name in ("hamiltonian", "overlap"):
        with h5py.File(target / "Si64.0" / f"{name}s.h5", "w") as stored:
            group = stored.create_group("0")
            for (i, j), cell in zip(index.tolist(), shift.tolist()):
                key = "_".join(map(str, (i, j, *cell)))
                reverse = "_".join(map(str, (j, i, *(-c for c in cell))))
                if reverse in group:
                    group[key] = np.asarray(group[reverse]).T
                else:
                    block = random.normal(size=(size, size)).astype(np.float32)
                    group[key] = block + block.T if key == reverse else block
