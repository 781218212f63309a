import itertools

import ase
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.pairs import cutoff_margin, offsite_pairs, scored_pairs

CUTOFFS = {1: 2.0, 6: 5.0, 8: 3.1}


def brute_force(atoms, cutoffs, reach=4):
    """Every (i, j, R) by triple loop over atoms and a block of cells."""
    found = set()
    axes = [range(-reach, reach + 1) if periodic else [0] for periodic in atoms.pbc]
    for i, j in itertools.product(range(len(atoms)), repeat=2):
        limit = (cutoffs[atoms.numbers[i]] + cutoffs[atoms.numbers[j]]) / 2
        for shift in itertools.product(*axes):
            vector = atoms.positions[j] + np.dot(shift, atoms.cell.array) - atoms.positions[i]
            if np.linalg.norm(vector) <= limit:
                found.add((i, j, *shift))
    return found


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_scored_pairs_equal_brute_force(pbc):
    rng = np.random.default_rng(5)
    cell = [[4.0, 0.3, 0], [0.5, 3.6, 0.2], [-0.4, 0, 5.1]]
    atoms = ase.Atoms("HCOH", scaled_positions=rng.uniform(-1, 2, (4, 3)), cell=cell, pbc=pbc)
    index, shift = scored_pairs(atoms, CUTOFFS)
    rows = list(map(tuple, np.concatenate([index, shift], axis=1).tolist()))
    assert len(rows) == len(set(rows))
    assert set(rows) == brute_force(atoms, CUTOFFS)
    assert rows[:4] == [(i, i, 0, 0, 0) for i in range(4)]
    assert rows[4:] == sorted(rows[4:])
    assert index.dtype == shift.dtype == np.int64
    off = offsite_pairs(atoms, CUTOFFS)
    np.testing.assert_array_equal(np.concatenate(off, axis=1), rows[4:] if rows[4:] else np.zeros((0, 5)))


def test_single_atom_without_neighbours():
    index, shift = scored_pairs(ase.Atoms("H"), CUTOFFS)
    assert index.tolist() == [[0, 0]]
    assert shift.tolist() == [[0, 0, 0]]


def test_element_without_radius_is_named():
    with pytest.raises(DataError, match="no radius for element He"):
        scored_pairs(ase.Atoms("HHe", positions=[[0, 0, 0], [0, 0, 1]]), CUTOFFS)


def test_atom_given_twice_is_named():
    atoms = ase.Atoms("HCO", positions=[[0, 0, 0], [0, 0, 1], [0, 0, 1]])
    with pytest.raises(DataError, match=r"key 'positions': atoms [12] and [12] are 0.0e\+00 Angstrom apart"):
        scored_pairs(atoms, CUTOFFS)


def test_margin_is_the_distance_to_the_nearest_cutoff():
    atoms = ase.Atoms("CC", positions=[[0, 0, 0], [0, 0, 5.0 + 0.004]])
    assert cutoff_margin(atoms, CUTOFFS) == pytest.approx(0.004)
    atoms.positions[1, 2] = 4.97
    assert cutoff_margin(atoms, CUTOFFS) == pytest.approx(0.03)
    atoms.positions[1, 2] = 2.0
    assert cutoff_margin(atoms, CUTOFFS) == 0.1
