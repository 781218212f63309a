"""What numbers say about their units; the energy unit of real files is tested with the readers of DeePTB."""

import numpy as np
import pytest
from ase.build import molecule

from slembench.data.formats.evidence import energy_evidence, length_evidence
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import BOHR_ANGSTROM, HARTREE_EV


@pytest.mark.parametrize("name", ["H2O", "CH4", "C6H6", "HCN", "CF4", "H2", "N2", "CH3CH2OH", "HF"])
def test_lengths_of_molecules(name):
    atoms = molecule(name)
    assert length_evidence(atoms.numbers, atoms.positions).unit == "Angstrom"
    assert length_evidence(atoms.numbers, atoms.positions / BOHR_ANGSTROM).unit == "Bohr"
    assert length_evidence(atoms.numbers, atoms.positions * 10).unit is None


def test_the_reason_names_the_bond():
    atoms = molecule("H2O")
    reason = "the shortest bond, O-H, is 0.969 long, 1.00 times its covalent radii"
    assert length_evidence(atoms.numbers, atoms.positions).reason == reason
    assert length_evidence(np.array([1]), np.zeros((1, 3))).reason == "one atom has no bonds"


def levels(z, shells, energies):
    """H of one atom with the given levels, one a shell, in a basis that is neither orthogonal nor ordered by energy."""
    basis = Basis.parse({z: shells})
    numbers = np.array(basis.elements)
    diagonal = np.repeat(energies, [2 * l + 1 for l in basis.shells[basis.elements[0]]])
    mixing = np.eye(len(diagonal)) + np.tri(len(diagonal)) * 0.1
    s = np.linalg.inv(mixing @ mixing.T)
    h = np.linalg.inv(mixing).T @ np.diag(diagonal) @ np.linalg.inv(mixing)
    s = np.linalg.inv(mixing).T @ np.linalg.inv(mixing)
    return (BlockMatrix.from_dense(basis, numbers, m) for m in ((h + h.T) / 2, (s + s.T) / 2))


@pytest.mark.parametrize(
    ("element", "shells", "energies"),
    [
        ("C", "2s1p", [-10.2, -0.5, -0.2]),
        ("O", "3s2p1d", [-19.1, -0.9, 1.5, -0.3, 1.2, 2.0]),
        ("Si", "3s2p", [-65.8, -5.1, -0.4, -3.5, -0.15]),
        ("C", "1s1p", [-0.5, -0.2]),
        ("Ga", "2s2p1d", [-0.33, 0.4, -0.1, 0.5, -0.7]),
        ("Mo", "2s1p1d", [-2.3, -0.15, -1.35, -0.15]),
    ],
)
def test_energies_of_atoms(element, shells, energies):
    for shift in (0.0, 3.0):  # the zero of energy does not matter
        h, s = levels(element, shells, np.array(energies) + shift)
        assert energy_evidence(h, s).unit == "Hartree"
        assert energy_evidence(h * HARTREE_EV, s).unit == "eV"
    assert f"level of {element} lies" in energy_evidence(h, s).reason


def test_hydrogen_says_nothing():
    h, s = levels("H", "2s1p", np.array([-0.3, 0.2, 0.9]))
    assert energy_evidence(h, s).unit is None
    assert energy_evidence(h, s).reason == "no element heavier than helium"
