"""Products with the bond's harmonics in frames against e3nn's tensor products with the full harmonics."""

import numpy as np
import pytest
import torch
from e3nn import o3

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, pair_frames
from slembench.nn.tensor_products import BondProduct, ChannelBondProduct, ChannelProduct, reachable

INPUTS = ("3x0e+2x1o+2x1e+1x2o", "2x0e+1x0o+2x2e")
OUTPUT = "4x0e+2x0o+2x1o+1x1e+2x2e+1x2o+1x3o"
LMAX = 3


def random_state(channels, rows):
    return [torch.randn(rows, 2 * l + 1, channels.counts[l]) for l in range(channels.lmax + 1)]


def to_e3nn(state, channels):
    """Our node state as an e3nn vector with irreps by l, polar first, channels outer."""
    parts = []
    for l, _, first, count in channels.parity_blocks:
        start = first - channels.first(l)
        parts.append(state[l][:, :, start : start + count].transpose(1, 2).flatten(1))
    return torch.cat(parts, dim=1)


def e3nn_irreps(channels):
    blocks = channels.parity_blocks
    return o3.Irreps([(count, (l, (-1) ** l * (1 if n else -1))) for l, n, _, count in blocks])


@pytest.mark.parametrize("split", [True, False])
def test_bond_product_is_the_full_tensor_product(split):
    torch.manual_seed(0)
    inputs, output = [Channels.parse(text) for text in INPUTS], Channels.parse(OUTPUT)
    product = BondProduct(inputs, output, 0, LMAX, split)
    vectors = torch.randn(6, 3)
    frames = Frames(pair_frames(vectors, 3), 3, separate_parity=True)
    states = [random_state(c, 6) for c in inputs]
    found = frames.rotate_out(product([frames.rotate_in(s, c) for s, c in zip(states, inputs)]), output)

    irreps = [(k, l, n, count) for k, c in enumerate(inputs) for l, n, _, count in c.parity_blocks]
    rows = {(l, n): (r, counts) for r, (l, n, counts) in enumerate(product.rows)}
    columns = {(l, n): c for c, (l, n, _) in enumerate(product.columns)}
    instructions, weights, seen = [], [], {}
    outs = [(l, n, count) for l, n, _, count in output.parity_blocks]
    for i, (k, l1, n1, count) in enumerate(irreps):
        for l2 in range(LMAX + 1):
            for o, (l3, n3, _) in enumerate(outs):
                if not abs(l1 - l2) <= l3 <= l1 + l2 or ((l1 + l2 + l3) % 2 == 0) != (n1 == n3):
                    continue
                r, counts = rows[l1, n1]
                path = product.paths[r, columns[l3, n3]]
                place = seen.get((i, o), 0)
                seen[i, o] = place + 1
                start = sum(counts[:k])
                weight = product.left[path][place, start : start + count]
                weights.append(
                    (weight * product.right[path][place, product.right_row(r, k)] if split else weight).flatten()
                )
                instructions.append((i, l2, o, "uvw", True))
    parity = [(-1) ** l * (1 if n else -1) for _, l, n, _ in irreps]
    first = o3.Irreps([(count, (l, p)) for (_, l, _, count), p in zip(irreps, parity)])
    reference = o3.TensorProduct(
        first, o3.Irreps.spherical_harmonics(LMAX), e3nn_irreps(output), instructions, internal_weights=False,
        shared_weights=True,
    )  # fmt: skip
    harmonics = o3.spherical_harmonics(list(range(LMAX + 1)), vectors[:, [1, 2, 0]], True, "component")
    joined = torch.cat([to_e3nn(s, c) for s, c in zip(states, inputs)], dim=1)
    expected = reference(joined, harmonics, torch.cat(weights))
    assert torch.allclose(to_e3nn(found, output), expected, atol=1e-11)


def test_self_loops_see_the_constant_harmonic_alone():
    torch.manual_seed(1)
    channels, output = Channels.parse("3x0e+2x1o+1x2o"), Channels.parse("2x0e+2x1o+1x2o")
    product = BondProduct((channels,), output, 0, 2)
    pole = torch.tensor([[0.0, 0.0, 1.0]]).expand(4, 3)
    frames = Frames(pair_frames(pole, 2), 2, separate_parity=True)
    state = random_state(channels, 4)
    found = frames.rotate_out(product([frames.rotate_in(state, channels)], n_loops=4), output)
    _, loops = product.matrices()
    for l, tensor in enumerate(found):
        block = loops[0][channels.first(l) : channels.first(l + 1), output.first(l) : output.first(l + 1)]
        assert torch.allclose(tensor, state[l] @ block, atol=1e-12)


def test_what_cannot_be_reached_is_left_out():
    scalars, wanted = Channels.parse("4x0e"), Channels.parse("4x0e+2x1o+2x1e+2x3o")
    found = reachable((scalars,), wanted, 2)
    assert [(l, n, c) for l, n, _, c in found.parity_blocks] == [(0, True, 4), (1, True, 2)]
    with pytest.raises(ValueError, match="gives l = 1"):
        BondProduct((scalars,), wanted, 0, 2)


@pytest.mark.parametrize("against", [False, True])
def test_channelwise_bond_product(against):
    torch.manual_seed(2)
    channels = Channels((2,) * 4, (0,) * 4)
    factors = {l: 1.0 + l for l in range(4)}
    product = ChannelBondProduct(3, 3, 3, factors, against)
    vectors = torch.randn(5, 3)
    frames = Frames(pair_frames(vectors, 3), 3, separate_parity=True)
    state, weights = random_state(channels, 5), torch.randn(5, len(product.paths), 2)
    found = frames.rotate_out(product(frames.rotate_in(state, channels), weights), channels)
    expected = [torch.zeros_like(x) for x in state]
    directions = -vectors if against else vectors
    for k, (l1, l2, l3) in enumerate(product.paths):
        y = o3.spherical_harmonics(l2, directions[:, [1, 2, 0]], True, "component")
        term = torch.einsum("abc,rau,rb->rcu", o3.wigner_3j(l1, l2, l3), state[l1], y)
        expected[l3] += factors[l3] * term * weights[:, k, None]
    for a, b in zip(found, expected):
        assert torch.allclose(a, b, atol=1e-11)


def test_channelwise_product_of_two_features():
    torch.manual_seed(3)
    channels = Channels((2,) * 3, (0,) * 3)
    product = ChannelProduct(2, dict.fromkeys(range(3), 0.7))
    first, second = random_state(channels, 4), random_state(channels, 4)
    weights = torch.randn(4, len(product.paths), 2)
    expected = [torch.zeros_like(x) for x in first]
    for k, (l1, l2, l3) in enumerate(product.paths):
        term = torch.einsum("abc,rau,rbu->rcu", o3.wigner_3j(l1, l2, l3), first[l1], second[l2])
        expected[l3] += 0.7 * term * weights[:, k, None]
    for a, b in zip(product(first, second, weights), expected):
        assert np.allclose(a, b, atol=1e-12)
