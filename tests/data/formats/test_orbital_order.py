"""The order of orbitals from overlaps, and reordering of blocks, with f orbitals of PySCF."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats.orbital_order import (
    check_hermitian,
    from_canonical,
    largest_angle,
    order_of_overlap,
    to_canonical,
)
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import CONVENTIONS, Basis

gto = pytest.importorskip("pyscf.gto", reason="PySCF is not installed")

NUMBERS = np.array([8, 7, 1])
POSITIONS = np.array([[0.0, 0, 0], [0.3, -0.8, 0.9], [1.0, 0.5, -0.4]])
SHELLS = {8: [0] * 5 + [1] * 3 + [2, 2, 3], 7: [0] * 5 + [1] * 3 + [2, 2, 3], 1: [0, 0, 0, 1]}  # def2-TZVP


def overlap_in(convention):
    """PySCF's overlap, brought into another order by that order's own table."""
    molecule = gto.M(atom=list(zip("ONH", POSITIONS, strict=True)), basis="def2-tzvp", verbose=0)
    raw, start, index, sign = molecule.intor("int1e_ovlp"), 0, [], []
    for z in NUMBERS.tolist():
        for l in SHELLS[z]:
            canonical = start + np.array([1, 2, 0]) if l == 1 else start + np.arange(2 * l + 1)
            place = np.argsort(CONVENTIONS[convention].order[l])
            index += canonical[place].tolist()
            sign += np.array(CONVENTIONS[convention].sign[l])[place].tolist()
            start += 2 * l + 1
    return np.array(sign)[:, None] * raw[np.ix_(index, index)] * np.array(sign)


@pytest.mark.parametrize("convention", ["canonical", "pyscf", "psi4", "openmx", "abacus", "siesta"])
def test_each_order_is_told_from_all_others(convention):
    alike = {name for name, item in CONVENTIONS.items() if item.order == CONVENTIONS["canonical"].order}
    names = [convention, *(set(CONVENTIONS) - (alike - {"canonical", "siesta"}) - {convention})]
    found = order_of_overlap(overlap_in(convention), NUMBERS, POSITIONS, SHELLS, names[::-1])
    assert found == convention


def test_directions_of_another_geometry_fit_nothing():
    with pytest.raises(DataError, match=r"fits no known order of orbitals.*pyscf 1;"):
        order_of_overlap(overlap_in("pyscf"), NUMBERS, POSITIONS[[1, 0, 2]] * [1, 1.2, 1], SHELLS, ["psi4", "pyscf"])


def test_angle_is_that_of_a_tilted_geometry():
    basis = Basis({8: (1,), 1: (0,)})
    tilted = np.array([[0.0, 0, 0], [0, np.sin(0.1), np.cos(0.1)]])
    matrix = np.eye(4)
    matrix[3, :3] = matrix[:3, 3] = [0, 0.4, 0]  # s to p along z
    found = largest_angle(BlockMatrix.from_dense(basis, np.array([8, 1]), matrix), tilted)
    assert found == pytest.approx(np.sin(0.1), abs=1e-12)


@pytest.mark.parametrize("convention", ["openmx", "abacus", "siesta", "psi4", "pyscf"])
def test_there_and_back(convention):
    basis = Basis({z: tuple(ls) for z, ls in SHELLS.items()})
    matrix = BlockMatrix.from_dense(
        basis, NUMBERS, np.random.default_rng(1).normal(size=(len(overlap_in("pyscf")),) * 2)
    )
    there = from_canonical(matrix, convention)
    assert not np.array_equal(there.values, matrix.values)
    np.testing.assert_array_equal(to_canonical(there, SHELLS, convention).values, matrix.values)
    with pytest.raises(DataError, match="orbital convention orca does not define l = 3"):
        from_canonical(matrix, "orca")


def test_blocks_without_their_reverse_count_as_not_hermitian():
    basis, numbers = Basis({1: (0,)}), np.array([1, 1])
    whole = BlockMatrix(basis, numbers, [[0, 1], [1, 0]], [[0, 0, 1], [0, 0, -1]], np.array([2.0, 2.0]))
    check_hermitian(whole, "here", "H")
    with pytest.raises(
        DataError, match=r"here: key 'H': not Hermitian: block i=0 j=1 R=\(0, 0, 1\) .* \(which is missing\)"
    ):
        check_hermitian(whole.take(np.array([0])), "here", "H")
    with pytest.raises(DataError, match="differ by 0.001 "):
        check_hermitian(whole.with_values(np.array([2.0, 2.001])), "here", "H")
    check_hermitian(whole.with_values(np.array([2.0, 2.00001])), "here", "H")
