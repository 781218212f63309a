"""A structure with random Hermitian operators."""

import ase
import numpy as np
import pytest

from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis


@pytest.fixture(scope="session")
def structure():
    """BN cell and H, S on pairs of three translations, one triangle of them."""
    rng = np.random.default_rng(5)
    atoms = ase.Atoms("BN", positions=[[0, 0, 0], [0, 1.4, 0]], cell=[2.5, 2.6, 9], pbc=(True, True, False))
    index = np.array([[0, 0], [1, 1], [0, 1], [0, 1], [1, 1]])
    shift = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, -1, 0], [1, 0, 0]])
    empty = BlockMatrix.zeros(Basis.parse({"B": "2s1p", "N": "1s1p1d"}), atoms.numbers, index, shift)
    operators = {name: empty.with_values(rng.normal(size=len(empty.values))) for name in ("hamiltonian", "overlap")}
    return atoms, {name: operator.take(np.arange(5)) for name, operator in operators.items()}
