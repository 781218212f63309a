"""Two small data sets with made-up operators, and third-party files where they are at hand."""

import os
from pathlib import Path

import ase
import numpy as np
import pytest
import yaml

from slembench.blocks import BlockMatrix
from slembench.data import Sample, SampleInfo, load_dataset
from slembench.data.card import CARD_FILE
from slembench.data.pairs import scored_pairs
from slembench.data.splits import write_splits
from slembench.data.store import Header, write_samples
from slembench.files import sha256
from slembench.orbitals import Basis

SHELLS = {"B": "2s1p", "N": "1s1p1d"}
CUTOFFS = {"B": 3.0, "N": 4.0}


@pytest.fixture(scope="session")
def real_files():
    """Folder of third-party files; the test is skipped where it is absent."""
    folder = os.environ.get("SLEMBENCH_REAL_FILES")
    if not folder:
        pytest.skip("third-party files: set SLEMBENCH_REAL_FILES to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def make_dataset():
    """Function that stores samples as a data set and opens it; keywords of `store_dataset`."""
    return store_dataset


@pytest.fixture(scope="session")
def crystals(tmp_path_factory):
    """Data set of 12 distorted BN layers, 2 atoms each, H and S in eV, 8 electrons, splits train, val, test."""
    rng = np.random.default_rng(3)
    samples = [_made_up(f"s{k:02d}", rng, True, group=f"g{k // 2}") for k in range(12)]
    bands = {"kmesh": [3, 3, 1], "window_eV": 5.0}
    return store_dataset(tmp_path_factory.mktemp("data") / "made-up-crystals", samples, CUTOFFS, bands=bands)


@pytest.fixture(scope="session")
def molecules(tmp_path_factory):
    """Data set of 12 bent BNB molecules, H, S and D in Hartree, 10 electrons, splits train, val, test."""
    rng = np.random.default_rng(4)
    samples = [_made_up(f"s{k:02d}", rng, False, group=f"g{k // 2}") for k in range(12)]
    return store_dataset(tmp_path_factory.mktemp("data") / "made-up-molecules", samples, CUTOFFS)


def _made_up(name, rng, periodic, group):
    """Structure with random Hermitian blocks that decay with distance; S is close to one."""
    if periodic:
        cell = [[2.5, 0, 0], [-1.25, 2.165, 0], [0, 0, 12]]
        atoms = ase.Atoms("BN", positions=[[0, 0, 6], [0, 1.443, 6]], cell=cell, pbc=(True, True, False))
    else:
        atoms = ase.Atoms("BNB", positions=[[0, 0, 0], [1.3, 0.2, 0], [2.4, -0.6, 0.3]])
    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    index, shift = scored_pairs(atoms, {5: CUTOFFS["B"], 7: CUTOFFS["N"]})
    blocks = {}
    for op in ("hamiltonian", "overlap") if periodic else ("hamiltonian", "overlap", "density"):
        matrix = BlockMatrix.zeros(Basis.parse(SHELLS), atoms.numbers, index, shift)
        length = np.linalg.norm(matrix.vectors(atoms.positions, atoms.cell.array), axis=1)[matrix.element_pair]
        size = {"hamiltonian": 3.0, "overlap": 0.05, "density": 0.5}[op]
        matrix = matrix.with_values(size * rng.normal(size=len(length)) * np.exp(-length)).hermitise()
        diagonal = matrix.onsite[matrix.element_pair] & (matrix.element_rows == matrix.element_columns)
        level = {"hamiltonian": -5.0 * (matrix.element_rows % 3), "overlap": 1.0, "density": 1.0}[op]
        blocks[op] = matrix.with_values(matrix.values + level * diagonal)
    info = SampleInfo("eV" if periodic else "Hartree", "vacuum", 8.0 if periodic else 10.0, group=group)
    return Sample(name, atoms, Basis.parse(SHELLS), blocks, info)


def store_dataset(folder, samples, cutoffs, *, splits=None, bands=None):
    """Write samples, splits (by default 6 train, 2 val, the rest test) and a card; returns the opened data set."""
    first, ids = samples[0], [sample.id for sample in samples]
    splits = splits or {"train": ids[:6], "val": ids[6:8], "test": ids[8:]}
    header = Header(first.basis.to_dict(), first.info.energy_unit, first.info.energy_zero, tuple(first.operators))
    folder.mkdir()
    write_samples(folder / "data.parquet", samples, header)
    write_splits(folder / "splits.json", splits)
    (folder / CARD_FILE).write_text(yaml.safe_dump(_card(folder, samples, header, cutoffs, splits, bands)))
    return load_dataset(folder)


def _card(folder, samples, header, cutoffs, splits, bands):
    complete = [sample.operators["hamiltonian"].complete() for sample in samples]
    counts = {
        "structures": len(samples),
        "splits": {name: len(ids) for name, ids in splits.items()},
        "atoms": sum(len(sample.atoms) for sample in samples),
        "pairs": sum(matrix.n_pairs for matrix in complete),
        "values": sum(len(matrix.triangle().values) for matrix in complete),
    }
    theory = dict.fromkeys(("code", "version", "functional", "basis", "pseudopotential"), "stated elsewhere")
    card = {
        "name": folder.name,
        "title": "data of a test",
        "revision": 1,
        "description": "data of a test",
        "elements": list(header.basis),
        "basis": header.basis,
        "cutoffs": cutoffs,
        "units": {"energy": header.energy_unit, "length": "Angstrom"},
        "energy_zero": header.energy_zero,
        "periodic": bands is not None,
        "level_of_theory": theory,
        "convention": "canonical",
        "operators": list(header.operators),
        "counts": counts,
        "splits": {"rule": "in order", "seed": 1, "file": "splits.json"},
        "official": {"average": "pooled", "counting": "full", "metrics": ["mae_all", "band_mae_occ"]},
        "licence": "CC0",
        "origin": {"recipe": "tests", "files": {"data.parquet": sha256(folder / "data.parquet")}},
        "citation": "none",
        "redistribution": True,
    }
    return card | ({"bands": bands} if bands else {})
