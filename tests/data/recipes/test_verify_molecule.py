"""Checks of molecules on a made-up dimer whose matrices are known, and on broken ones."""

import ase
import numpy as np
import pytest
import scipy.linalg

from slembench.data.recipes.verify import (
    direction_error,
    molecule_density_error,
    molecule_electrons_error,
    rounding_error,
)
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"H": "1s1p"})
ATOMS = ase.Atoms("H2", [[0, 0, 0], [0.3, -0.5, 0.8]])


@pytest.fixture
def matrices():
    """H, S, D of two electrons; the overlap of s and p is along the bond, p positive towards where it points."""
    direction = (ATOMS.positions[1] - ATOMS.positions[0])[[1, 2, 0]]
    direction /= np.linalg.norm(direction)
    overlap = np.eye(8)
    overlap[0, 5:8], overlap[1:4, 4] = -0.3 * direction, 0.3 * direction
    overlap[0, 4] = 0.4
    overlap = np.triu(overlap) + np.triu(overlap, 1).T
    random = np.random.RandomState(0).normal(size=(8, 8))
    hamiltonian = random + random.T
    orbital = scipy.linalg.eigh(hamiltonian, overlap)[1][:, :1]
    return {"hamiltonian": hamiltonian, "overlap": overlap, "density": 2 * orbital @ orbital.T}


def sample(matrices):
    operators = {name: BlockMatrix.from_dense(BASIS, ATOMS.numbers, m).triangle() for name, m in matrices.items()}
    return Sample("x", ATOMS, BASIS, operators, SampleInfo(energy_unit="Hartree", electrons=2.0))


def test_right_molecule(matrices):
    good = sample(matrices)
    assert molecule_electrons_error(good) < 1e-12
    assert molecule_density_error(good) < 1e-12
    assert direction_error(good) < 1e-12
    assert rounding_error(good, good) == 0


def test_wrong_density(matrices):
    matrices["density"] = matrices["density"] * 1.01
    assert molecule_electrons_error(sample(matrices)) == pytest.approx(0.02)
    assert molecule_density_error(sample(matrices)) == pytest.approx(np.abs(matrices["density"]).max() * 0.01 / 1.01)


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 3, 1, 2]])
def test_wrong_orbital_order(matrices, order):
    index = np.array(order + [4 + k for k in order])
    matrices["overlap"] = matrices["overlap"][np.ix_(index, index)]
    assert direction_error(sample(matrices)) > 0.1


def test_wrong_sign(matrices):
    sign = np.array([1, -1, -1, -1] * 2)
    matrices["overlap"] = sign[:, None] * matrices["overlap"] * sign
    assert direction_error(sample(matrices)) == pytest.approx(2)


def test_rounding_is_measured_on_the_levels(matrices):
    shifted = matrices | {"hamiltonian": matrices["hamiltonian"] + 1e-3 * matrices["overlap"]}
    assert rounding_error(sample(shifted), sample(matrices)) == pytest.approx(1e-3)
