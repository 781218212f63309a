"""A small predictions file."""

import numpy as np
import pytest

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.predictions import PredictionWriter

BASIS = Basis.parse({"H": "2s1p", "O": "1s2p1d"})
HEADER = {
    "dataset": "water",
    "dataset_fingerprint": "f" * 64,
    "split": "test",
    "model": "mine",
    "basis": BASIS,
    "energy_unit": "eV",
}


def random_blocks(seed, numbers, shifts=((0, 0, 0), (0, 0, 1))):
    n = len(numbers)
    triples = np.array([(i, j, *r) for r in shifts for i in range(n) for j in range(n)])
    zeros = BlockMatrix.zeros(BASIS, np.array(numbers), triples[:, :2], triples[:, 2:])
    return zeros.with_values(np.random.default_rng(seed).normal(size=len(zeros.values)))


@pytest.fixture
def header():
    return dict(HEADER)


@pytest.fixture(scope="session")
def structures():
    """id -> (numbers, operators); different sizes."""
    atoms = {"a": [8, 1, 1], "b/1": [1], "c": [8, 8, 1, 1, 1], "déjà": [1, 8]}
    return {
        id: (np.array(z), {"hamiltonian": random_blocks(k, z), "overlap": random_blocks(k + 10, z)})
        for k, (id, z) in enumerate(atoms.items())
    }


@pytest.fixture
def file(tmp_path, header, structures):
    """A predictions file of these structures."""
    path = tmp_path / "p.h5"
    with PredictionWriter(path, **header) as writer:
        for id, (numbers, operators) in structures.items():
            writer.add(id, numbers, operators)
    return path
