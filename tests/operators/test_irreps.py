"""The irreps layout against explicit Clebsch-Gordan sums and dense matrices."""

import numpy as np
import pytest
import torch

from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import clebsch_gordan, random_rotation, wigner_d

BASIS = Basis.parse({"Mo": "3s2p2d", "S": "2s2p1d"})
LAYOUT = BlockIrreps(BASIS)
NUMBERS = np.array([42, 16, 16])


def hermitian_molecule(seed=0):
    n = int(BASIS.sizes(NUMBERS).sum())
    matrix = np.random.default_rng(seed).normal(size=(n, n))
    blocks = BlockMatrix.from_dense(BASIS, NUMBERS, matrix + matrix.T)
    off = ~blocks.onsite
    return blocks, blocks.pair_index[off], blocks.pair_shift[off]


def test_sizes_and_classes():
    pairs = sum(2 * l + 1 for l in BASIS.union) ** 2
    same = sum((2 * a + 1) * (2 * b + 1) for k, a in enumerate(BASIS.union) for b in BASIS.union[:k])
    assert LAYOUT.n_features == pairs - same
    assert [(c.l, c.polar) for c in LAYOUT.classes] == sorted(
        ((c.l, c.polar) for c in LAYOUT.classes), key=lambda x: (x[0], not x[1])
    )
    assert len(LAYOUT.l) == LAYOUT.n_features == len(LAYOUT.path)
    assert LAYOUT.path.max() + 1 == LAYOUT.n_irreps


def test_features_are_the_explicit_coupling():
    blocks, index, shift = hermitian_molecule()
    _, pair = LAYOUT.to_features(blocks, index, shift)
    row = int(np.flatnonzero((index == [0, 1]).all(axis=1))[0])  # Mo - S
    block = blocks.gather(np.flatnonzero((blocks.pair_index == [0, 1]).all(axis=1)))[0]
    first_mo, first_s = BASIS.shell_offsets(42), BASIS.shell_offsets(16)
    # shell pair (a, b) = second p of the united list (4) with first d (5): Mo's 2nd p and S's only d
    part = block[first_mo[4] : first_mo[5], first_s[4] : first_s[5]]
    for c in LAYOUT.classes:
        for path, (a, b) in enumerate(c.shell_pairs.tolist()):
            if (a, b) == (4, 5):
                expected = np.einsum("ij,ijm->m", part, clebsch_gordan(1, 2, c.l))
                found = pair[row, c.slice].reshape(2 * c.l + 1, c.n_paths)[:, path]
                assert np.allclose(found, expected, atol=1e-13)


def test_round_trip_and_masks():
    blocks, index, shift = hermitian_molecule()
    onsite, pair = LAYOUT.to_features(blocks, index, shift)
    back = LAYOUT.to_blocks(NUMBERS, onsite, pair, index, shift)
    assert np.allclose(back.dense(), blocks.dense(), atol=1e-13)
    species = np.array([1, 0, 0])
    assert np.abs(onsite[~LAYOUT.onsite_mask[species]]).max() < 1e-14
    kinds = species[index[:, 0]] * 2 + species[index[:, 1]]
    assert np.abs(pair[~LAYOUT.pair_mask[kinds]]).max() == 0
    assert np.abs(pair[LAYOUT.pair_mask[kinds]]).min() > 0


def test_feature_and_element_forms_are_orthogonal():
    x = torch.randn(5, LAYOUT.n_features, dtype=torch.float64, requires_grad=True)
    elements = LAYOUT.to_elements(x)
    assert torch.allclose(elements.square().sum(1), x.square().sum(1))
    assert torch.allclose(LAYOUT.from_elements(elements), x)
    elements.sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("improper", [False, True])
def test_features_of_a_rotated_operator_are_rotated_irreps(improper):
    blocks, index, shift = hermitian_molecule()
    rotation = random_rotation(5, improper)
    onsite, pair = LAYOUT.to_features(blocks, index, shift)
    onsite_rotated, pair_rotated = LAYOUT.to_features(blocks.rotate(rotation), index, shift)
    for before, after in ((onsite, onsite_rotated), (pair, pair_rotated)):
        for c in LAYOUT.classes:
            d = wigner_d(c.l, rotation) * (-1.0 if improper and not c.polar else 1.0)
            rows = before[:, c.slice].reshape(-1, 2 * c.l + 1, c.n_paths)
            expected = np.einsum("mn,pnc->pmc", d, rows).reshape(len(rows), -1)
            assert np.allclose(after[:, c.slice], expected, atol=1e-12)


def test_missing_overlap_blocks_count_as_zero():
    blocks, index, shift = hermitian_molecule()
    onsite_only = blocks.take(np.flatnonzero(blocks.onsite))
    _, pair = LAYOUT.to_features(onsite_only, index, shift)
    assert np.abs(pair).max() == 0


def test_a_pair_without_its_reverse_is_refused():
    blocks, index, shift = hermitian_molecule()
    onsite, pair = LAYOUT.to_features(blocks, index, shift)
    with pytest.raises(ValueError, match="has no reverse pair"):
        LAYOUT.to_blocks(NUMBERS, onsite, pair[1:], index[1:], shift[1:])


def test_transposed_blocks_have_the_same_features_up_to_a_sign():
    """A block of shells (b, a) coupled in that order is the transpose of one of (a, b) with features times the sign."""
    layout = BlockIrreps(Basis.parse({"Mo": "2s1p2d"}))
    for c in layout.classes:
        signs = layout.transpose_sign[c.slice].reshape(2 * c.l + 1, -1)
        for k, (a, b) in enumerate(c.shell_pairs.tolist()):
            own = clebsch_gordan(layout.shells[a], layout.shells[b], c.l)
            other = clebsch_gordan(layout.shells[b], layout.shells[a], c.l)
            assert np.allclose(own, other.swapaxes(0, 1) * signs[0, k])
