"""Recipes of the molecular sets: PySCF's operators in our order, geometries, plans."""

import numpy as np
import pytest
import scipy.linalg
from ase import Atoms

from slembench.core.errors import DataError
from slembench.data.pyscf import Theory, canonical, compute_molecule, pyscf_molecule, shell_momenta
from slembench.data.recipes.qh9 import SMILES
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

pytest.importorskip("pyscf", reason="PySCF is not installed")
FORMALDEHYDE = Atoms("COHH", [[0, 0, -0.53], [0, 0, 0.68], [0, 0.94, -1.11], [0, -0.94, -1.11]])
ROTATION = np.linalg.qr(np.random.RandomState(3).normal(size=(3, 3)))[0]


def test_shells_and_order_of_pyscf():
    molecule = pyscf_molecule(FORMALDEHYDE, "def2-svp")
    shells = shell_momenta(molecule)
    assert Basis({z: tuple(sorted(ls)) for z, ls in shells.items()}).to_dict() == {
        "H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"
    }  # fmt: skip
    labels = [label.split()[2] for label in molecule.ao_labels()]
    position = canonical(np.diag(np.arange(len(labels), dtype=float)), molecule).diagonal().astype(int)
    carbon = [labels[k] for k in position[:14]]
    assert carbon[:6] == ["1s", "2s", "3s", "2py", "2pz", "2px"]
    assert [label[2:] for label in carbon[9:]] == ["xy", "yz", "z^2", "xz", "x2-y2"]


def test_pyscf_positions_are_ours():
    assert np.allclose(pyscf_molecule(FORMALDEHYDE, "def2-svp").atom_coords(), FORMALDEHYDE.positions / 0.529177210544)


@pytest.fixture(scope="module")
def record():
    return compute_molecule(FORMALDEHYDE, Theory("pbe", grid_level=0))


def operators(record):
    basis = Basis.parse({"H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"})
    pairs = np.stack([record["pair_i"], record["pair_j"]], axis=1)
    return {
        name: BlockMatrix(basis, record["numbers"], pairs, record["pair_shift"], record[name])
        for name in ("hamiltonian", "overlap", "density")
    }


def test_levels_electrons_and_density_of_a_record(record):
    hamiltonian, overlap, density = (operator.dense() for operator in operators(record).values())
    energies, orbitals = scipy.linalg.eigh(hamiltonian, overlap)
    assert np.abs(energies - record["check_eigenvalues"][0]).max() < 3e-6
    assert np.vdot(density, overlap) == pytest.approx(16, abs=1e-10)
    assert np.abs(density - 2 * orbitals[:, :8] @ orbitals[:, :8].T).max() < 1e-5
    assert record["check_electrons_error"] < 1e-10


def test_rotated_molecule_gives_the_rotated_overlap(record):
    """Independent of the grid; D and H follow within it."""
    turned = Atoms(FORMALDEHYDE.numbers, positions=FORMALDEHYDE.positions @ ROTATION.T)
    molecule = pyscf_molecule(turned, "def2-svp")
    own = operators(record)["overlap"].rotate(ROTATION).dense()
    assert np.abs(canonical(molecule.intor("int1e_ovlp"), molecule) - own).max() < 1e-10


def test_no_self_consistency_is_an_error(monkeypatch):
    with pytest.raises(ArithmeticError, match="CH2O: not self-consistent after 100 cycles"):
        compute_molecule(FORMALDEHYDE, Theory("pbe", grid_level=0, energy_tolerance=0.0, gradient_tolerance=0.0))


def test_list_has_no_repetition():
    assert len(set(SMILES)) == len(SMILES) >= 150


def test_plans():
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    from slembench.data.recipes import md17, qh9
    from slembench.data.recipes.molecule_geometry import with_hydrogens

    molecules = qh9.molecules()
    sizes = [with_hydrogens(smiles).GetNumAtoms() for smiles in molecules.values()]
    assert sizes == sorted(sizes)
    assert (min(sizes), max(sizes)) == (5, 20)
    assert len(molecules) == len(SMILES)
    assert molecules["CH4-1"] == "C"
    elements = {atom.GetSymbol() for s in SMILES for atom in with_hydrogens(s).GetAtoms()}
    assert elements == set(qh9.BASIS)
    plan = md17.plan()
    assert [len(stage) for stage in plan.stages] == [20, 200, 10, 40]
    assert plan.stages[3][-1].needs == (plan.stages[2][-1].id,)


def test_bad_smiles_are_refused():
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    from slembench.data.recipes.molecule_geometry import with_hydrogens

    with pytest.raises(DataError, match="not a SMILES"):
        with_hydrogens("C(")
    for smiles in ("[CH3]", "C[O-]"):
        with pytest.raises(DataError, match="charged or a radical"):
            with_hydrogens(smiles)


def test_dynamics_move_from_a_minimum_and_repeat_with_the_seed():
    pytest.importorskip("rdkit", reason="RDKit is not installed")
    pytest.importorskip("tblite", reason="tblite is not installed")
    from slembench.data.recipes.molecule_geometry import conformer, relaxed, trajectory, xtb_calculator

    water = relaxed(conformer("O", 1))
    at_rest = water.copy()
    at_rest.calc = xtb_calculator()
    assert np.abs(at_rest.get_forces()).max() < 0.011
    first, second, other = (
        trajectory(water, 300.0, seed, frames=2, spacing=2.0, warm_up=2.0)[-1].positions for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3
