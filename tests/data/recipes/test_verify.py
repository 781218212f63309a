"""Checks of made-up molecules and crystals whose matrices are known, and of broken ones."""

from dataclasses import replace

import ase
import numpy as np
import pytest
import scipy.linalg
from scipy.optimize import brentq

from slembench.data.recipes.verify import (
    crystal_density_error,
    crystal_electrons_error,
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


CHAIN_BASIS = Basis.parse({"H": "2s"})
MESH = (5, 1, 1)
WIDTH, ELECTRONS = 0.3, 1.4


@pytest.fixture
def chain():
    """One atom a cell, neighbours at R = 1 and 2; D by the sum over all five k points, one by one."""
    ham, ovl = (np.zeros((3, 2, 2)), np.zeros((3, 2, 2)))
    random = np.random.RandomState(3)
    ham[0], ovl[0] = [[-1, 0.3], [0.3, 0.8]], np.eye(2)
    ham[1:], ovl[1:] = random.normal(scale=0.3, size=(2, 2, 2)), random.normal(scale=0.05, size=(2, 2, 2))

    def bloch(blocks, k):
        return blocks[0] + sum(
            np.exp(2j * np.pi * k * r) * blocks[r] + np.exp(-2j * np.pi * k * r) * blocks[r].T for r in (1, 2)
        )

    points = np.arange(5) / 5
    solved = [scipy.linalg.eigh(bloch(ham, k), bloch(ovl, k)) for k in points]

    def filled(level):
        return [2 / (1 + np.exp((e - level) / WIDTH)) for e, _ in solved]

    level = brentq(lambda mu: np.mean([f.sum() for f in filled(mu)]) - ELECTRONS, -9, 9)
    at_k = [(c * f) @ c.conj().T for (_, c), f in zip(solved, filled(level))]
    density = np.array(
        [np.mean([d * np.exp(-2j * np.pi * k * r) for d, k in zip(at_k, points)], axis=0) for r in range(3)]
    )
    shift = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    operators = {
        name: BlockMatrix(CHAIN_BASIS, np.array([1]), np.zeros((3, 2), int), shift, blocks.reshape(-1))
        for name, blocks in (("hamiltonian", ham), ("overlap", ovl), ("density", density.real))
    }
    atoms = ase.Atoms("H", cell=[2.0, 9.0, 9.0], pbc=(True, False, False))
    return Sample("x", atoms, CHAIN_BASIS, operators, SampleInfo(energy_unit="eV", electrons=ELECTRONS, smearing=WIDTH))


def test_right_density(chain):
    assert crystal_density_error(chain, MESH) < 1e-12
    assert crystal_electrons_error(chain) < 1e-12


def test_wrong_density_of_a_chain(chain):
    values = chain.operators["density"].values.copy()
    values[4] += 0.01  # R = 1, first element
    wrong = replace(chain.operators["density"], values=values)
    broken = replace(chain, operators=chain.operators | {"density": wrong})
    assert crystal_density_error(broken, MESH) == pytest.approx(0.01)
    assert crystal_electrons_error(broken) == pytest.approx(0.02 * abs(chain.operators["overlap"].values[4]))


def test_transposed_blocks_are_seen(chain):
    """The direction of R: blocks of -R in the place of those of R."""
    values = chain.operators["density"].values.reshape(3, 2, 2).transpose(0, 2, 1).reshape(-1)
    wrong = replace(chain.operators["density"], values=values)
    assert crystal_density_error(replace(chain, operators=chain.operators | {"density": wrong}), MESH) > 1e-3


def test_another_mesh_gives_another_density(chain):
    assert crystal_density_error(chain, (7, 1, 1)) > 1e-5
