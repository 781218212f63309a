"""Shells told from overlaps, against bases that PySCF knows."""

import numpy as np
import pytest

from slembench.data.formats.shells import infer_shells
from slembench.operators.orbitals import Basis, canonical_index


@pytest.mark.parametrize(
    ("basis", "shells"),
    [
        ("def2-svp", {"H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"}),
        ("sto-3g", {"H": "1s", "C": "2s1p", "O": "2s1p"}),
        ("def2-tzvp", {"H": "3s1p", "C": "5s3p2d1f", "O": "5s3p2d1f"}),
        ("cc-pvqz", {"H": "4s3p2d1f", "C": "5s4p3d2f1g", "O": "5s4p3d2f1g"}),
    ],
)
def test_shells_are_told_from_the_overlap(basis, shells):
    gto = pytest.importorskip("pyscf.gto")
    xyz = "C 0 0 0; O 0.1 0.2 1.2; H 0.9 0.1 -0.6; H -0.8 -0.3 -0.7"
    mole = gto.M(atom=xyz, basis=basis, verbose=0)
    shell_l = {z: [] for z in mole.atom_charges().tolist()}
    for a in range(3):
        z = int(mole.atom_charge(a))
        shell_l[z] = [l for b in mole.atom_shell_ids(a) for l in [mole.bas_angular(b)] * mole.bas_nctr(b)]
    order, sign = canonical_index(mole.atom_charges(), shell_l, "pyscf")
    overlap = (mole.intor("int1e_ovlp") * sign)[np.ix_(order, order)]
    start = Basis({z: tuple(sorted(ls)) for z, ls in shell_l.items()}).orbital_offsets(mole.atom_charges())
    place = mole.atom_coords()
    for atom, symbol in ((0, "C"), (1, "O"), (2, "H")):
        mine = slice(start[atom], start[atom + 1])
        others = [
            ((place[b] - place[atom]) / np.linalg.norm(place[b] - place[atom]), overlap[mine, start[b] : start[b + 1]])
            for b in range(4)
            if b != atom
        ]
        found = infer_shells(start[atom + 1] - start[atom], overlap[mine, mine], others)
        assert found == Basis.parse({symbol: shells[symbol]}).shells[mole.atom_charges()[atom]]


def test_shells_that_cannot_be_told():
    assert infer_shells(4, np.diag([1.0, 2.0, 3.0, 4.0]), []) == (0, 0, 0, 0)
    assert infer_shells(4, np.eye(4), []) == (0, 1)
    assert infer_shells(9, np.eye(9), []) == (0, 1, 2)


def test_a_matrix_that_no_shells_fit():
    rng = np.random.default_rng(1)
    other = [(np.array([0.0, 0.0, 1.0]), rng.normal(size=(4, 5)))]
    assert infer_shells(4, np.eye(4), other) == (0, 0, 0, 0)  # any matrix fits s orbitals alone
    assert infer_shells(0, np.zeros((0, 0)), []) is None
