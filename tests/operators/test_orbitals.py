"""Basis and orbital conventions, against PySCF overlaps of rotated molecules and the s-p direction rule."""

import numpy as np
import pytest

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import CONVENTIONS, Basis, canonical_index
from slembench.operators.rotations import random_rotation

gto = pytest.importorskip("pyscf.gto", reason="PySCF is not installed")

POSITIONS = np.array([[0.0, 0.0, 0.1173], [0.1, 0.7572, -0.4692], [0.0, -0.7572, -0.4692]])
NUMBERS = np.array([8, 1, 1])


def pyscf_overlap(positions, basis_name):
    """Overlap (n, n) in PySCF's order, and the shells of each element in PySCF's order."""
    atoms = [(symbol, tuple(x)) for symbol, x in zip("OHH", positions)]
    molecule = gto.M(atom=atoms, basis=basis_name, unit="Angstrom", verbose=0)
    shells = {
        z: [
            molecule.bas_angular(b)
            for b in range(molecule.nbas)
            if molecule.bas_atom(b) == atom
            for _ in range(molecule.bas_nctr(b))
        ]
        for z, atom in ((8, 0), (1, 1))
    }
    return molecule.intor("int1e_ovlp"), shells


def canonical_overlap(positions, basis_name="def2-tzvp"):
    matrix, shells = pyscf_overlap(positions, basis_name)
    index, sign = canonical_index(NUMBERS, shells, "pyscf")
    basis = Basis.from_shells(shells)
    return BlockMatrix.from_dense(basis, NUMBERS, sign[:, None] * matrix[np.ix_(index, index)] * sign)


@pytest.mark.parametrize("improper", [False, True])
@pytest.mark.parametrize("basis_name", ["def2-svp", "def2-tzvp", "def2-qzvp"])
def test_pyscf_overlap_of_a_rotated_molecule_is_the_rotated_overlap(basis_name, improper):
    rotation = random_rotation(7, improper)
    expected = canonical_overlap(POSITIONS @ rotation.T, basis_name)
    found = canonical_overlap(POSITIONS, basis_name).rotate(rotation)
    assert np.abs(found.values - expected.values).max() < 1e-12


def test_a_wrong_order_is_noticed_by_the_rotation():
    matrix, shells = pyscf_overlap(POSITIONS, "def2-svp")
    rotation = random_rotation(7)
    rotated, _ = pyscf_overlap(POSITIONS @ rotation.T, "def2-svp")
    basis = Basis.from_shells(shells)
    index, _ = canonical_index(NUMBERS, shells, "canonical")  # leaves p as x, y, z
    a, b = (BlockMatrix.from_dense(basis, NUMBERS, m[np.ix_(index, index)]) for m in (matrix, rotated))
    assert np.abs(a.rotate(rotation).values - b.values).max() > 0.01


def test_s_p_blocks_point_along_the_bond():
    overlap = canonical_overlap(POSITIONS, "def2-svp")
    block = overlap.gather(np.flatnonzero((overlap.pair_index == [1, 0]).all(axis=1)))[0]  # H s -> O p
    direction = (POSITIONS[0] - POSITIONS[1])[[1, 2, 0]]
    p_of_oxygen = block[0, 3:6]
    expected = -direction / np.linalg.norm(direction)
    assert np.allclose(p_of_oxygen / np.linalg.norm(p_of_oxygen), expected, atol=1e-10)


def test_basis_from_strings_and_lists():
    basis = Basis.parse({"S": [1, 0, 1, 0, 2], "Mo": "3s2p2d"})
    assert basis.shells == {16: (0, 0, 1, 1, 2), 42: (0, 0, 0, 1, 1, 2, 2)}
    assert basis.to_dict() == {"S": "2s2p1d", "Mo": "3s2p2d"}
    assert basis.sizes(np.array([42, 16, 16])).tolist() == [19, 13, 13]
    assert basis.orbital_offsets(np.array([42, 16])).tolist() == [0, 19, 32]
    assert basis.union == (0, 0, 0, 1, 1, 2, 2)
    assert Basis.parse(basis.to_dict()) == basis


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"Xx": "1s"}, "unknown element 'Xx'"),
        ({"Si": "2s1k"}, "must look like"),
        ({"Si": ""}, "must look like"),
        ({"Si": []}, "no shells"),
        ({"Si": [0, 9]}, "ascending l"),
    ],
)
def test_bad_bases_are_named(spec, message):
    with pytest.raises(ValueError, match=message):
        Basis.parse(spec)


def test_an_element_without_shells_is_named():
    with pytest.raises(ValueError, match="element Si has no shells"):
        Basis.parse({"C": "1s"}).sizes(np.array([6, 14]))
    with pytest.raises(ValueError, match="unknown orbital convention"):
        canonical_index(np.array([6]), {6: [0]}, "nobody's")


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_every_convention_is_a_signed_permutation(name):
    for l, order in CONVENTIONS[name].order.items():
        assert sorted(order) == list(range(2 * l + 1))
        assert set(CONVENTIONS[name].sign[l]) <= {1, -1}


def test_shells_are_grouped_by_l_stably():
    index, sign = CONVENTIONS["pyscf"].index([1, 0, 1])
    assert index.tolist() == [3, 1, 2, 0, 5, 6, 4]
    assert (sign == 1).all()


def test_shells_of_an_element_take_the_first_places_of_their_l_in_the_united_list():
    basis = Basis.parse({"H": "2s1p", "O": "3s2p1d", "Mo": "1s3p2d1f"})
    for z, shells in basis.shells.items():
        free = list(enumerate(basis.union))
        for l, place in zip(shells, basis.union_index(z)):
            first = next(entry for entry in free if entry[1] == l)
            free.remove(first)
            assert first[0] == place
    assert basis.union_index(8).tolist() == [0, 1, 2, 3, 4, 6]
