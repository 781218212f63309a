"""Bloch matrices and real-space blocks: round trip, R labels, triangle, density matrix."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.recipes.lcao_fourier import (
    PairBlocks,
    contract,
    density_matrices,
    half_mesh,
    pairs_within,
    to_bloch,
    to_real_space,
)

CELL = np.array([[4.0, 0.0, 0.0], [-1.5, 3.6, 0.0], [0.0, 0.0, 12.0]])
POSITIONS = np.array([[0.1, 0.2, 5.0], [2.0, 1.0, 6.5], [0.5, 2.4, 4.1]])
SIZES = np.array([4, 1, 4])
RADII = np.array([6.0, 5.0, 6.0])
MESH = (5, 5, 1)
PBC = (True, True, False)


@pytest.fixture
def pairs():
    return pairs_within(POSITIONS, CELL, PBC, SIZES, RADII, MESH)


def random_blocks(pairs, rng):
    """Blocks that fall off with distance; on-site ones symmetric."""
    flat = rng.normal(size=pairs.offsets[-1])
    for p in np.flatnonzero(pairs.onsite):
        n = pairs.sizes[pairs.index[p, 0]]
        block = flat[pairs.offsets[p] : pairs.offsets[p + 1]].reshape(n, n)
        block += block.T.copy()
    return flat


def naive_bloch(flat, pairs, k):
    """Explicit loop over all pairs of both directions."""
    first = pairs.first_orbital
    matrix = np.zeros((first[-1], first[-1]), dtype=complex)
    for p, ((i, j), shift) in enumerate(zip(pairs.index, pairs.shift)):
        block = flat[pairs.offsets[p] : pairs.offsets[p + 1]].reshape(pairs.sizes[i], pairs.sizes[j])
        phase = np.exp(2j * np.pi * shift @ k)
        matrix[first[i] : first[i + 1], first[j] : first[j + 1]] += phase * block
        if not pairs.onsite[p]:
            matrix[first[j] : first[j + 1], first[i] : first[i + 1]] += phase.conj() * block.T
    return matrix


def test_round_trip_gives_the_blocks_back(pairs):
    flat = random_blocks(pairs, np.random.default_rng(1))
    kpoints, weights = half_mesh(MESH)
    again = to_real_space(to_bloch(flat, pairs, kpoints), kpoints, weights, pairs, MESH)
    np.testing.assert_allclose(again, flat, atol=1e-12)


def test_bloch_sum_equals_an_explicit_loop(pairs):
    flat = random_blocks(pairs, np.random.default_rng(2))
    for k in ([0, 0, 0], [0.5, 0, 0], [0.13, -0.29, 0]):
        np.testing.assert_allclose(to_bloch(flat, pairs, np.array([k]))[0], naive_bloch(flat, pairs, np.array(k)))


def test_conjugate_phase_swaps_the_sign_of_every_translation(pairs):
    """Eigenvalues do not notice; the fall of S with distance does."""
    start, end = POSITIONS[pairs.index.T]

    def decay(sign):
        distance = np.linalg.norm(end + sign * pairs.shift @ CELL - start, axis=1)
        cutoff = RADII[pairs.index].mean(axis=1)
        return np.repeat(np.where(distance <= cutoff, np.exp(-(distance**2) / 4), 0), np.diff(pairs.offsets))

    kpoints, weights = half_mesh(MESH)
    wrong = to_real_space(to_bloch(decay(1), pairs, kpoints).conj(), kpoints, weights, pairs, MESH)
    np.testing.assert_allclose(wrong, decay(-1), atol=1e-12)
    assert np.abs(wrong - decay(1)).max() > 0.1


def test_triangle_holds_every_close_pair_once(pairs):
    keys = {(int(i), int(j), *map(int, r)) for (i, j), r in zip(pairs.index, pairs.shift)}
    assert len(keys) == len(pairs.index)
    expected = set()
    for i in range(3):
        for j in range(3):
            for shift in np.ndindex(9, 9, 1):
                r = np.array(shift) - [4, 4, 0]
                distance = np.linalg.norm(POSITIONS[j] + r @ CELL - POSITIONS[i])
                if distance <= (RADII[i] + RADII[j]) / 2 and (i < j or (i == j and tuple(r) >= (0, 0, 0))):
                    expected.add((i, j, *map(int, r)))
    assert keys == expected
    assert pairs.onsite.sum() == 3


def test_moving_an_atom_by_a_lattice_vector_only_relabels():
    """Same distances, same pairs, whatever cell an atom is written in."""
    moved = POSITIONS.copy()
    moved[1] += 2 * CELL[0] - CELL[1]
    here, there = (pairs_within(p, CELL, PBC, SIZES, RADII, MESH) for p in (POSITIONS, moved))

    def distances(positions, pairs):
        return np.sort(
            np.linalg.norm(positions[pairs.index[:, 1]] + pairs.shift @ CELL - positions[pairs.index[:, 0]], axis=1)
        )

    np.testing.assert_allclose(distances(POSITIONS, here), distances(moved, there))


def test_coarse_mesh_is_refused():
    with pytest.raises(DataError, match="too coarse"):
        pairs_within(POSITIONS, CELL, PBC, SIZES, RADII, (1, 3, 1))


def test_even_mesh_is_refused():
    with pytest.raises(DataError, match="odd"):
        half_mesh((4, 5, 1))


@pytest.mark.parametrize("mesh", [(1, 1, 1), (5, 5, 1), (3, 5, 7)])
def test_half_mesh_and_its_mirror_are_the_whole_mesh(mesh):
    kpoints, weights = half_mesh(mesh)
    assert weights.sum() == pytest.approx(1)
    labels = np.rint(np.concatenate([kpoints, -kpoints[1:]]) * mesh).astype(int)
    assert len(np.unique(labels, axis=0)) == len(labels) == np.prod(mesh)


def test_density_matrix_counts_electrons_and_is_idempotent(pairs):
    rng = np.random.default_rng(3)
    hamiltonian = random_blocks(pairs, rng)
    overlap = 0.01 * random_blocks(pairs, rng)
    for p in np.flatnonzero(pairs.onsite):
        n = pairs.sizes[pairs.index[p, 0]]
        overlap[pairs.offsets[p] : pairs.offsets[p + 1]] += np.eye(n).ravel()
    kpoints, weights = half_mesh(MESH)
    h, s = to_bloch(hamiltonian, pairs, kpoints), to_bloch(overlap, pairs, kpoints)
    density, level = density_matrices(h, s, weights, electrons=8, width=1e-3)
    blocks = to_real_space(density, kpoints, weights, pairs, MESH)
    assert contract(blocks, overlap, pairs) == pytest.approx(8, abs=1e-9)
    energies = np.sort(np.concatenate([np.linalg.eigvals(np.linalg.solve(b, a)).real for a, b in zip(h, s)]))
    assert energies[0] < level < energies[-1]
    cold, _ = density_matrices(h[:1], s[:1], np.ones(1), electrons=8, width=1e-6)
    np.testing.assert_allclose(cold[0] @ s[0] @ cold[0], 2 * cold[0], atol=1e-9)


def test_groups_cover_the_flat_array_once(pairs):
    places = np.concatenate([places.ravel() for *_, places in pairs.groups()])
    np.testing.assert_array_equal(np.sort(places), np.arange(pairs.offsets[-1]))


def test_contract_counts_off_site_pairs_twice():
    pairs = PairBlocks(np.array([[0, 0], [0, 1]]), np.zeros((2, 3), int), np.array([1, 1]))
    assert contract(np.array([2.0, 3.0]), np.array([5.0, 7.0]), pairs) == 2 * 5 + 2 * 3 * 7
