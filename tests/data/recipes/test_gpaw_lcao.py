"""Orbital order of GPAW, and, where GPAW is installed, one small structure end to end."""

import os

import numpy as np
import pytest
from ase import Atoms
from ase.build import graphene

from slembench.core.errors import ConfigError
from slembench.data.recipes import gpaw_lcao
from slembench.data.recipes.gpaw_lcao import ElementBasis, Level
from slembench.data.recipes.lcao_fourier import half_mesh
from slembench.data.recipes.lcao_record import MeshOperators, structure_record


def test_canonical_order_groups_shells_by_l_and_keeps_zeta_and_m():
    order, sizes = gpaw_lcao.canonical_order(["S", "H", "S"], {"S": [0, 1, 0, 1], "H": [0]})
    np.testing.assert_array_equal(sizes, [8, 1, 8])
    local = [0, 4, 1, 2, 3, 5, 6, 7]
    np.testing.assert_array_equal(order, [*local, 8, *(9 + np.array(local))])


def test_missing_gpaw_says_how_to_install_it(monkeypatch):
    monkeypatch.setenv("GPAW_NEW", "0")
    monkeypatch.setitem(__import__("sys").modules, "gpaw", None)
    with pytest.raises(ConfigError, match=r"pip install slembench\[recipes\]"):
        gpaw_lcao.require_gpaw()


def test_bulk_has_no_dipole_layer():
    assert gpaw_lcao._poisson_solver(Atoms("Si", pbc=True)) == {}
    assert gpaw_lcao._poisson_solver(Atoms("Si", pbc=(1, 1, 0))) == {"dipolelayer": "xy"}


def test_graphene_end_to_end(monkeypatch):
    pytest.importorskip("gpaw", reason="GPAW is not installed (pip install slembench[recipes])")
    pytest.importorskip("gpaw_data", reason="GPAW's setups are not installed (pip install gpaw-data)")
    monkeypatch.setitem(os.environ, "GPAW_NEW", "0")
    level = Level(basis=(("C", ElementBasis(radius=4.0)),), density_tolerance=1e-6)
    atoms = graphene(vacuum=4.0)
    atoms.pbc = (True, True, False)
    atoms.positions += [0.1, 0.05, 0.02]
    mesh = (9, 9, 1)
    momenta = gpaw_lcao.shell_momenta(level)
    order, sizes = gpaw_lcao.canonical_order(atoms.symbols, momenta)
    calculator = gpaw_lcao.ground_state(atoms, level, (12, 12, 40), (3, 3, 1))
    points, weights = half_mesh(mesh)
    kpoints = np.concatenate([points, [[0.13, 0.29, 0], [0.5, 0, 0]]])
    bloch = gpaw_lcao.bloch_matrices(calculator, kpoints, order)
    operators = MeshOperators(kpoints, weights, mesh, *bloch, electrons=8.0, width=level.width)
    arrays = structure_record(atoms, {"C": "2s2p1d"}, sizes, {"C": 5.5}, operators)
    assert momenta == {"C": [0, 1, 0, 1, 2]}
    assert arrays["check_max_error_meV"] < 1
    assert_s_p_direction(atoms, arrays)


def assert_s_p_direction(atoms, arrays):
    """Overlap s(i)-p(j) points along -(r_j + R - r_i), components y, z, x, up to one sign a shell."""
    start = np.concatenate([[0], np.cumsum(np.full(len(arrays["pair_i"]), 13 * 13))])
    vectors = atoms.positions[arrays["pair_j"]] + arrays["pair_shift"] @ atoms.cell.array
    vectors = vectors - atoms.positions[arrays["pair_i"]]
    distance = np.linalg.norm(vectors, axis=1)
    near = np.flatnonzero((distance > 0.1) & (distance < 3))
    blocks = np.array([arrays["overlap"][start[p] : start[p + 1]].reshape(13, 13)[0, 2:5] for p in near])
    direction = -vectors[near][:, [1, 2, 0]] / distance[near, None]
    cosine = (blocks * direction).sum(axis=1) / np.linalg.norm(blocks, axis=1)
    np.testing.assert_allclose(np.abs(cosine), 1, atol=0.01)
    assert len(set(np.sign(cosine))) == 1
