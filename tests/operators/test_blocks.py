"""Block matrices against dense NumPy ones."""

import numpy as np
import pytest

from slembench.operators.blocks import BlockMatrix, pair_keys, pair_vectors
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import random_rotation

BASIS = Basis.parse({"Mo": "2s1p1d", "S": "1s1p"})
NUMBERS = np.array([42, 16, 16])
SHIFTS = np.array([[x, y, 0] for x in (-1, 0, 1) for y in (-1, 0, 1)])


def random_crystal(seed=0):
    """A Hermitian operator as a dense matrix for each cell, and the same as blocks (both directions)."""
    rng = np.random.default_rng(seed)
    n = int(BASIS.sizes(NUMBERS).sum())
    cells = {tuple(s): rng.normal(size=(n, n)) for s in SHIFTS.tolist()}
    cells = {s: (m + cells[tuple(-x for x in s)].T) / 2 for s, m in cells.items()}
    index = np.array([(i, j) for i in range(3) for j in range(3)])
    first = BASIS.orbital_offsets(NUMBERS)
    values, pairs, shifts = [], [], []
    for shift, matrix in cells.items():
        for i, j in index:
            values.append(matrix[first[i] : first[i + 1], first[j] : first[j + 1]].ravel())
            pairs.append((i, j))
            shifts.append(shift)
    return cells, BlockMatrix(BASIS, NUMBERS, np.array(pairs), np.array(shifts), np.concatenate(values))


def bloch(cells, k):
    return sum(np.exp(2j * np.pi * np.dot(k, shift)) * matrix for shift, matrix in cells.items())


def test_bloch_sum_equals_the_dense_one():
    cells, blocks = random_crystal()
    kpoints = np.array([[0, 0, 0], [0.1, 0.3, 0.0], [0.5, 0.5, 0]])
    expected = np.stack([bloch(cells, k) for k in kpoints])
    assert np.allclose(blocks.at_k(kpoints), expected, atol=1e-13)
    assert np.allclose(blocks.triangle().at_k(kpoints), expected, atol=1e-13)
    assert np.allclose(blocks.dense(), expected[0].real, atol=1e-13)


def test_sparse_cells_equal_the_dense_ones():
    cells, blocks = random_crystal()
    shifts, matrices = blocks.triangle().sparse()
    assert len(shifts) == len(cells)
    for shift, matrix in zip(shifts.tolist(), matrices):
        assert np.allclose(matrix.toarray(), cells[tuple(shift)], atol=1e-14)


def test_triangle_and_completion_are_inverse():
    _, blocks = random_crystal()
    triangle = blocks.triangle()
    assert triangle.n_pairs == (blocks.n_pairs + 3) // 2
    full = triangle.complete()
    aligned, missing, extra = full.align(blocks.pair_index, blocks.pair_shift)
    assert not len(missing)
    assert not len(extra)
    assert np.array_equal(aligned.values, blocks.values)
    assert full.hermiticity_error() == 0.0
    assert blocks.complete() is blocks


def test_hermiticity_error_sees_one_wrong_number():
    _, blocks = random_crystal()
    assert blocks.hermiticity_error() == 0.0
    values = blocks.values.copy()
    values[blocks.offsets[5] + 2] += 0.25
    broken = blocks.with_values(values)
    assert broken.hermiticity_error() == pytest.approx(0.25)
    assert broken.hermitise().hermiticity_error() < 1e-15


def test_transposed_blocks_are_the_reverse_pairs():
    _, blocks = random_crystal()
    complex_blocks = blocks.with_values(blocks.values * (1 + 2j))
    back = complex_blocks.transposed().transposed()
    assert np.array_equal(back.values, complex_blocks.values)
    one = complex_blocks.take(np.array([1]))
    assert np.allclose(one.transposed().gather(np.array([0]))[0], one.gather(np.array([0]))[0].conj().T)


def test_align_fills_missing_blocks_with_zero_and_names_them():
    _, blocks = random_crystal()
    part = blocks.take(np.arange(0, blocks.n_pairs, 2))
    aligned, missing, extra = part.align(blocks.pair_index[:6], blocks.pair_shift[:6])
    assert missing.tolist() == [1, 3, 5]
    assert len(extra) == part.n_pairs - 3
    for k in range(6):
        block = aligned.gather(np.array([k]))[0]
        assert np.array_equal(block, blocks.gather(np.array([k]))[0] if k % 2 == 0 else np.zeros_like(block))


def test_arithmetic_unites_the_pairs():
    _, blocks = random_crystal()
    a, b = blocks.take(np.arange(10)), blocks.take(np.arange(5, 20))
    total = a + b
    assert total.n_pairs == 20
    assert np.allclose(total.gather(np.array([7]))[0], 2 * blocks.gather(np.array([7]))[0])
    assert np.abs((blocks - blocks).values).max() == 0
    assert np.allclose((0.5 * blocks).values, blocks.values / 2)
    other = BlockMatrix.from_dense(BASIS, NUMBERS[:2], np.zeros((14, 14)))
    with pytest.raises(ValueError, match="different structures"):
        blocks + other


def test_rotation_there_and_back():
    _, blocks = random_crystal()
    rotation = random_rotation(3, improper=True)
    assert np.allclose(blocks.rotate(rotation).rotate(rotation.T).values, blocks.values, atol=1e-13)
    assert not np.allclose(blocks.rotate(rotation).values, blocks.values)


def test_truncation_by_value_and_by_distance():
    _, blocks = random_crystal()
    positions, cell = np.array([[0.0, 0, 0], [1, 1, 1], [1, 1, -1]]), np.diag([3.0, 3, 20])
    near = blocks.truncate(cutoff=2.0, positions=positions, cell=cell)
    assert (np.linalg.norm(near.vectors(positions, cell), axis=1) <= 2.0).all()
    assert near.n_pairs == (np.linalg.norm(blocks.vectors(positions, cell), axis=1) <= 2.0).sum()
    scaled = blocks.with_values(np.where(blocks.element_pair % 2 == 0, 1e-9, 1.0) * blocks.values)
    assert scaled.truncate(1e-6).n_pairs < blocks.n_pairs
    with pytest.raises(ValueError, match="needs positions"):
        blocks.truncate(cutoff=2.0)


def test_molecule_from_its_dense_matrix():
    matrix = np.random.default_rng(1).normal(size=(18, 18))
    matrix += matrix.T
    blocks = BlockMatrix.from_dense(BASIS, NUMBERS, matrix)
    assert np.array_equal(blocks.dense(), matrix)
    assert blocks.onsite.sum() == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros(3)}, "values has shape"),
        ({"pair_index": np.array([[0, 7]])}, "out of range"),
        ({"pair_index": np.array([[0, 1, 2]])}, "must have shape"),
        ({"pair_shift": np.zeros((2, 3))}, "1 pairs but 2 shifts"),
    ],
)
def test_wrong_shapes_are_refused(change, message):
    fields = {"pair_index": np.array([[0, 1]]), "pair_shift": np.zeros((1, 3)), "values": np.zeros(40)}
    with pytest.raises(ValueError, match=message):
        BlockMatrix(BASIS, NUMBERS, **(fields | change))


def test_pair_keys_refuse_what_they_cannot_hold():
    with pytest.raises(ValueError, match="511"):
        pair_keys(np.array([[0, 70_000]]), np.array([[32, 0, 0]]))
    with pytest.raises(ValueError, match="pair keys"):
        pair_keys(np.array([[0, 1 << 22]]), np.array([[0, 0, 0]]))
    with pytest.raises(ValueError, match="pair keys"):
        pair_keys(np.array([[0, 0]]), np.array([[600, 0, 0]]))


def test_pair_keys_are_one_for_each_triple_beyond_65536_atoms():
    """Small and large triples side by side: equal only where the triples are equal, wherever they stand."""
    rng = np.random.default_rng(0)
    index = rng.choice([0, 1, 65_535, 65_536, 70_000, (1 << 22) - 1], size=(4000, 2))
    shift = rng.choice([-31, -1, 0, 1, 31], size=(4000, 3))
    keys = pair_keys(index, shift)
    _, first = np.unique(np.concatenate([index, shift], axis=1), axis=0, return_inverse=True)
    _, second = np.unique(keys, return_inverse=True)
    labels = np.unique(np.stack([first.reshape(-1), second.reshape(-1)]), axis=1)
    assert labels.shape[1] == first.max() + 1 == second.max() + 1
    alone = np.concatenate([pair_keys(index[k : k + 1], shift[k : k + 1]) for k in range(50)])
    assert np.array_equal(alone, keys[:50])


def test_pair_vectors_of_one_cell_and_of_a_cell_for_each_pair():
    rng = np.random.default_rng(3)
    positions, cells = rng.normal(size=(4, 3)), rng.normal(size=(5, 3, 3))
    index, shift = rng.integers(0, 4, (5, 2)), rng.integers(-3, 4, (5, 3))
    for found, chosen in (
        (pair_vectors(positions, cells[0], index, shift), [cells[0]] * 5),
        (pair_vectors(positions, cells, index, shift), cells),
    ):
        for p, cell in enumerate(chosen):
            translation = sum(n * a for n, a in zip(shift[p], cell))
            expected = positions[index[p, 1]] + translation - positions[index[p, 0]]
            np.testing.assert_allclose(found[p], expected, atol=1e-14)
