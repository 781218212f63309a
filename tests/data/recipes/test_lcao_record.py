"""A structure's record is refused unless it reproduces what the code itself computed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import eigvalsh

from slembench.data.recipes.lcao_fourier import half_mesh, pairs_within, to_bloch
from slembench.data.recipes.lcao_record import InconsistentOperators, MeshOperators, structure_record

MESH = (5, 5, 1)
RADII = {"H": 6.0, "He": 6.0}
SIZES = np.array([2, 1, 2])
CHECKS = np.array([[0.5, 0, 0], [0.13, 0.29, 0]])


@pytest.fixture
def atoms():
    cell = [[4.0, 0, 0], [-1.5, 3.6, 0], [0, 0, 12.0]]
    return Atoms("HHeH", positions=[[0.1, 0.2, 5.0], [2.0, 1.0, 6.5], [0.5, 2.4, 4.1]], cell=cell, pbc=(1, 1, 0))


@pytest.fixture
def operators(atoms):
    """Short-ranged toy operators whose blocks are known, as an LCAO code would hand them over."""
    pairs = pairs_within(atoms.positions, atoms.cell.array, atoms.pbc, SIZES, np.full(3, 6.0), MESH)
    vectors = atoms.positions[pairs.index[:, 1]] + pairs.shift @ atoms.cell.array - atoms.positions[pairs.index[:, 0]]
    decay = np.repeat(np.exp(-(np.linalg.norm(vectors, axis=1) ** 2) / 4), np.diff(pairs.offsets))
    overlap = 0.1 * decay
    hamiltonian = -3.0 * decay
    for p in np.flatnonzero(pairs.onsite):
        n = SIZES[pairs.index[p, 0]]
        overlap[pairs.offsets[p] : pairs.offsets[p + 1]] = np.eye(n).ravel()
        hamiltonian[pairs.offsets[p] : pairs.offsets[p + 1]] = np.diag(np.arange(n) - 5.0).ravel()
    mesh_points, weights = half_mesh(MESH)
    kpoints = np.concatenate([mesh_points, CHECKS])
    h, s = to_bloch(hamiltonian, pairs, kpoints), to_bloch(overlap, pairs, kpoints)
    eigenvalues = np.array([eigvalsh(a, b) for a, b in zip(h, s)])
    return MeshOperators(kpoints, weights, MESH, h, s, eigenvalues, electrons=4.0, width=0.05)


def record(atoms, operators):
    return structure_record(atoms, {"H": "2s", "He": "1s"}, SIZES, RADII, operators)


def test_record_holds_geometry_triangle_and_checks(atoms, operators):
    arrays = record(atoms, operators)
    sizes = SIZES[arrays["pair_i"]] * SIZES[arrays["pair_j"]]
    assert arrays["hamiltonian"].shape == arrays["overlap"].shape == (sizes.sum(),)
    assert arrays["hamiltonian"].dtype == np.float64
    assert json.loads(str(arrays["basis"])) == {"H": "2s", "He": "1s"}
    np.testing.assert_array_equal(arrays["check_kpoints"], CHECKS)
    assert arrays["check_eigenvalues"].shape == (2, 5)
    assert arrays["check_max_error_meV"] < 1e-9
    assert arrays["check_electrons_error"] < 1e-9
    onsite = (arrays["pair_i"] == arrays["pair_j"]) & ~arrays["pair_shift"].any(axis=1)
    assert onsite.sum() == len(atoms)


def test_wrong_phase_is_caught(atoms, operators):
    wrong = replace(operators, hamiltonian=operators.hamiltonian.conj(), overlap=operators.overlap.conj())
    with pytest.raises(InconsistentOperators, match="check_"):
        record(atoms, wrong)


def test_wrong_lattice_label_of_an_atom_is_caught(atoms, operators):
    """The code had the atom one cell away: its eigenvalues are the same, the R labels are not."""
    phase = np.ones((len(operators.kpoints), 5), dtype=complex)
    phase[:, 2] = np.exp(2j * np.pi * operators.kpoints[:, 0])
    gauge = phase[:, :, None].conj() * phase[:, None, :]
    wrong = replace(operators, hamiltonian=operators.hamiltonian * gauge, overlap=operators.overlap * gauge)
    with pytest.raises(InconsistentOperators, match="check_"):
        record(atoms, wrong)


def test_wrong_eigenvalues_are_caught(atoms, operators):
    with pytest.raises(InconsistentOperators, match="check_max_error_meV 2 > 1"):
        record(atoms, replace(operators, eigenvalues=operators.eigenvalues + 2e-3))


def test_matrix_that_is_not_hermitian_is_caught(atoms, operators):
    hamiltonian = operators.hamiltonian.copy()
    hamiltonian[0, 0, 1] += 1e-3
    with pytest.raises(InconsistentOperators, match="check_hermiticity"):
        record(atoms, replace(operators, hamiltonian=hamiltonian))
