"""Pair frames against Wigner matrices from quadrature."""

import numpy as np
import pytest
import torch

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, frame_size, pair_frames
from slembench.operators.rotations import random_rotation, spherical_harmonics, wigner_d

from .conftest import MIXED, close, random_nodes, spin

VECTORS = np.concatenate(
    [
        np.random.default_rng(0).normal(size=(20, 3)),
        [[0, 0, 2.0], [0, 0, -1.5], [1.0, 0, 0], [0, -1, 0], [1e-14, 0, 1], [1e-9, 1e-9, -1]],
    ]
)


def natural_order(matrix):
    """Rows 0, +1, -1, ... -> -l..l."""
    l = matrix.shape[0] // 2
    rows = {0: 0} | {m: 2 * m - 1 for m in range(1, l + 1)} | {-m: 2 * m for m in range(1, l + 1)}
    return matrix[[rows[m] for m in range(-l, l + 1)]]


def split(flat, lmax):
    start = 0
    for l in range(1, lmax + 1):
        size = (2 * l + 1) ** 2
        yield l, flat[:, start : start + size].reshape(-1, 2 * l + 1, 2 * l + 1)
        start += size


@pytest.mark.parametrize("lmax", [1, 4, 6])
def test_frames_are_wigner_matrices_that_bring_the_bond_onto_z(lmax):
    flat = pair_frames(torch.from_numpy(VECTORS), lmax)
    assert flat.shape == (len(VECTORS), frame_size(lmax))
    rotations = None
    for l, matrices in split(flat, lmax):
        ordered = np.stack([natural_order(m) for m in matrices.numpy()])
        if l == 1:  # p = y, z, x: the matrix is the rotation itself with permuted axes
            back = [2, 0, 1]
            rotations = ordered[:, back][:, :, back]
            directions = np.einsum("pij,pj->pi", rotations, VECTORS) / np.linalg.norm(VECTORS, axis=1)[:, None]
            assert np.allclose(directions, [0, 0, 1], atol=1e-8)
        assert np.allclose(ordered, wigner_d(l, rotations), atol=1e-7)
        assert np.allclose(ordered @ ordered.transpose(0, 2, 1), np.eye(2 * l + 1), atol=1e-12)


def test_harmonics_of_the_bonds():
    frames = Frames(pair_frames(torch.from_numpy(VECTORS[:22]), 4), 4, separate_parity=False)
    for l in range(1, 5):
        assert np.allclose(frames.harmonics(l).numpy(), spherical_harmonics(l, VECTORS[:22]), atol=1e-11)
    with pytest.raises(ValueError, match="constant"):
        frames.harmonics(0)


@pytest.mark.parametrize("separate", [False, True])
def test_in_and_out_are_inverse(separate):
    frames = Frames(pair_frames(torch.from_numpy(VECTORS[:7]), 3), 3, separate)
    nodes = random_nodes(MIXED)
    assert close(frames.rotate_out(frames.rotate_in(nodes, MIXED), MIXED), nodes)


@pytest.mark.parametrize("separate", [False, True])
def test_a_common_rotation_only_spins_the_frame(separate):
    """Rotating bond and feature together changes the frame feature by a rotation about the bond, per pair."""
    rotation = random_rotation(3)
    nodes = random_nodes(MIXED, rows=1)
    turned = [torch.from_numpy(wigner_d(l, rotation)) @ x for l, x in enumerate(nodes)]
    before = Frames(pair_frames(torch.from_numpy(VECTORS[:1]), 3), 3, separate).rotate_in(nodes, MIXED)
    after = Frames(pair_frames(torch.from_numpy(VECTORS[:1] @ rotation.T), 3), 3, separate).rotate_in(turned, MIXED)
    even, odd = (before[1][0, k, 0] for k in (0, 1))
    even_after, odd_after = (after[1][0, k, 0] for k in (0, 1))
    angle = float(torch.atan2(odd_after, even_after) - torch.atan2(odd, even))
    assert close(spin(before, angle), after)


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="l up to 4 needs"):
        Frames(torch.zeros(3, frame_size(2)), 4, separate_parity=False)


def test_gradients_are_finite_on_the_polar_axis():
    vectors = torch.tensor([[0.0, 0.0, 1.0], [0.3, 0.1, 1.0]], requires_grad=True)
    pair_frames(vectors, 3).square().sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_channel_bookkeeping():
    channels = Channels.parse("4x0e+1x0o+3x1o+2x1e+2x2e")
    assert channels.polar == (4, 3, 2)
    assert channels.axial == (1, 2, 0)
    assert (channels.total, channels.dim, channels.scalars) == (12, 5 + 15 + 10, 4)
    assert [channels.count_from(m) for m in range(4)] == [12, 7, 2, 0]
    assert channels.only(Channels.parse("1x0e+1x1o")).counts == (4, 3)
