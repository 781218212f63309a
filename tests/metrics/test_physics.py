"""Physics checks on made-up models: one that obeys everything, and ones that each break one thing."""

from dataclasses import replace

import ase
import numpy as np
import pytest
from ase.build import mx2

from slembench.data.pairs import scored_pairs
from slembench.metrics.physics import (
    LIMITS,
    hermiticity_error,
    locality_error,
    physics_report,
    polar_rotation,
    strip,
)
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import spherical_harmonics

BASIS = Basis.parse({"Mo": "1s1p", "S": "1s1p"})
CUTOFFS = {42: 3.4, 16: 3.0}
REACH = (3.4, 3.4)


def envelope(distance, limit):
    return np.where(distance < limit, (1 - np.minimum(distance / limit, 1)) ** 3, 0.0)


def model(atoms, direction=0.0, jump=0.0, far=0.0, one_way=0.0):
    """s-s, s-p and p-p blocks from distance and direction; on-site blocks from the neighbours' distances."""
    index, shift = scored_pairs(atoms, CUTOFFS)
    blocks = BlockMatrix.zeros(BASIS, atoms.numbers, index, shift)
    vectors = blocks.vectors(atoms.positions, atoms.cell.array)
    distance = np.linalg.norm(vectors, axis=1)
    radii = np.array([CUTOFFS[z] for z in atoms.numbers.tolist()])
    limit = radii[index].mean(axis=1)
    values = np.zeros((len(index), 4, 4))
    around = np.zeros(len(atoms))
    np.add.at(around, index[:, 0], np.where(distance > 0, envelope(distance, limit) + jump * (distance < limit), 0))
    for p, (i, _) in enumerate(index):
        if blocks.onsite[p]:
            values[p] = np.diag([around[i] - 1, 2, 2, 2]) + far * len(atoms) * np.eye(4)
            continue
        y = spherical_harmonics(1, vectors[p]) + direction * np.array([0, 1, 0])
        f = envelope(distance[p], limit[p])
        values[p, 0, 0], values[p, 1:, 1:] = f, f * np.outer(y, y)
        values[p, 0, 1:], values[p, 1:, 0] = f * y, -f * y
        values[p] += one_way * f * vectors[p, 0] * np.eye(4)
    return {"hamiltonian": blocks.with_values(values.reshape(-1))}


@pytest.fixture(scope="module")
def sheet():
    atoms = mx2("MoS2", a=3.18, vacuum=6)
    atoms.rattle(0.05, seed=2)
    return atoms


def failed(report):
    return {name for name, check in report.items() if check.passed is False}


def test_a_model_that_obeys(sheet):
    report = physics_report(model, sheet, CUTOFFS, REACH)
    assert set(report) == set(LIMITS)
    assert {name: check.passed for name, check in report.items()} == dict.fromkeys(report, True)
    assert report["rotation"].value < 1e-10
    assert report["locality"].value == 0


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"direction": 0.1}, {"rotation", "inversion", "hermiticity"}),
        ({"jump": 0.1}, {"continuity"}),
        ({"far": 1e-4}, {"size_extensivity"}),
        ({"one_way": 0.1}, {"rotation", "hermiticity", "inversion"}),
    ],
)
def test_models_that_break_something(sheet, change, broken):
    report = physics_report(lambda atoms: model(atoms, **change), sheet, CUTOFFS, REACH)
    assert failed(report) >= {name for name in broken if name != "inversion"}
    assert not failed(report) & (set(LIMITS) - broken)


def test_translation_and_permutation_are_seen(sheet):
    def placed(atoms):
        blocks = model(atoms)["hamiltonian"]
        return {"hamiltonian": blocks.with_values(blocks.values + 1e-3 * atoms.positions[0, 0])}

    report = physics_report(placed, sheet, CUTOFFS, REACH)
    assert failed(report) >= {"translation", "permutation"}


def test_locality_sees_a_far_atom(sheet):
    def knowing(atoms):
        blocks = model(atoms)["hamiltonian"]
        return {"hamiltonian": blocks.with_values(blocks.values + 1e-6 * np.ptp(atoms.positions))}

    errors, outside = locality_error(knowing, strip(sheet, 12), REACH)
    assert errors["hamiltonian"] > 1e-9
    assert outside > 10
    assert locality_error(model, strip(sheet, 12), REACH)[0]["hamiltonian"] == 0


def test_what_cannot_be_checked_says_why(sheet):
    report = physics_report(model, sheet, CUTOFFS, None, largest=5)
    assert np.isnan(report["locality"].value)
    assert "no finite receptive field" in report["locality"].note
    assert "12 atoms, at most 5" in report["size_extensivity"].note
    molecule = ase.Atoms("S3", positions=[[0, 0, 0], [2, 0.1, 0], [0, 2.1, 0.2]])
    report = physics_report(model, molecule, CUTOFFS, (50.0, 50.0))
    assert "smaller than the receptive field" in report["locality"].note
    assert report["size_extensivity"].note == "no periodic axis"
    assert report["size_extensivity"].passed is None


def test_one_triangle_has_no_hermiticity_error(sheet):
    blocks = model(sheet)["hamiltonian"]
    assert hermiticity_error(blocks) < 1e-14
    assert np.isnan(hermiticity_error(blocks.triangle()))
    wrong = replace(blocks, values=blocks.values + np.arange(len(blocks.values)))
    assert hermiticity_error(wrong) > 0.1


def test_polar_rotation_lays_a_bond_on_the_axis(sheet):
    rotation = polar_rotation(sheet)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    turned = sheet.copy()
    turned.set_cell(sheet.cell.array @ rotation.T)
    turned.positions = sheet.positions @ rotation.T
    index, shift = scored_pairs(turned, CUTOFFS)
    vectors = turned.positions[index[:, 1]] + shift @ turned.cell.array - turned.positions[index[:, 0]]
    flat = np.linalg.norm(vectors[:, :2], axis=1) < 1e-9
    assert {1.0, -1.0} <= set(np.sign(vectors[flat & (np.abs(vectors[:, 2]) > 1), 2]))
