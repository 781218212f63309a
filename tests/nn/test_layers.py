"""Layers against e3nn and plain formulas."""

import math

import pytest
import torch
from e3nn import o3

from slembench.nn.channels import Channels
from slembench.nn.frames import Frames, pair_frames
from slembench.nn.layers import (
    SIGMOID_FACTOR,
    SILU_FACTOR,
    ChannelMixing,
    NormAffine,
    ScalarMLP,
    SeparableNorm,
    gate,
)

from .conftest import MIXED, close, random_frames, random_nodes, spin, weigh

OUT = Channels((4, 2, 3), (2, 0, 1))


def to_e3nn(state, channels):
    """Node layout -> e3nn's (rows, dim), irreps in channel order, component last."""
    parts = []
    for l, _natural, start, count in channels.parity_blocks:
        first = start - channels.first(l)
        parts.append(state[l][:, :, first : first + count].transpose(1, 2).flatten(1))
    irreps = o3.Irreps([(n, (l, (-1) ** l * (1 if nat else -1))) for l, nat, _, n in channels.parity_blocks])
    return torch.cat(parts, dim=1), irreps


def test_channel_mixing_equals_e3nn_linear():
    mixing = ChannelMixing(MIXED, OUT)
    torch.nn.init.normal_(mixing.bias)
    nodes = random_nodes(MIXED)
    x, irreps_in = to_e3nn(nodes, MIXED)
    expected, irreps_out = to_e3nn(mixing.on_nodes(nodes), OUT)
    reference = o3.Linear(irreps_in, irreps_out, biases=True)
    weights = []
    for instruction in reference.instructions:
        if instruction.i_in < 0:
            continue
        l, p = irreps_in[instruction.i_in].ir
        number = [k for k, path in enumerate(mixing.paths) if path[0] == l]
        polar = p == (-1) ** l
        start = next(s for ll, nat, s, _ in OUT.parity_blocks if (ll, nat) == (l, polar))
        weights.append(mixing.weights[next(k for k in number if mixing.paths[k][3] == start)].flatten())
    with torch.no_grad():
        reference.weight.copy_(torch.cat(weights))
        reference.bias.copy_(mixing.bias)
    assert torch.allclose(reference(x), expected, atol=1e-12)


@pytest.mark.parametrize("separate", [False, True])
def test_mixing_commutes_with_the_frames(separate):
    frames = Frames(pair_frames(torch.randn(7, 3), 3), 3, separate)
    mixing = ChannelMixing(MIXED, OUT)
    nodes = random_nodes(MIXED)
    there = mixing.on_frames(frames.rotate_in(nodes, MIXED))
    assert close(frames.rotate_out(there, OUT), mixing.on_nodes(nodes))


def test_residual_mixing_is_the_sum():
    mixing = ChannelMixing(MIXED, OUT)
    torch.nn.init.normal_(mixing.bias)
    old, new = random_frames(MIXED), random_frames(OUT)
    expected = [n + 0.3 * o for n, o in zip(new, mixing.on_frames(old))]
    assert close(mixing.add_to_frames(new, old, torch.tensor(0.3)), expected)
    plain = ChannelMixing(MIXED, OUT, bias=False)
    zeros = [old[0]] + [torch.zeros_like(t) for t in old[1:]]
    assert close(
        plain.add_to_frames(new, old[:1], torch.tensor(0.3)), plain.add_to_frames(new, zeros, torch.tensor(0.3))
    )


def test_norm_formula_and_invariance():
    norm = SeparableNorm(MIXED)
    nodes = random_nodes(MIXED)
    result = norm.on_nodes(nodes)
    scalars = nodes[0][:, 0, : MIXED.scalars]
    centred = scalars - scalars.mean(1, keepdim=True)
    assert torch.allclose(result[0][:, 0, : MIXED.scalars], centred / (centred.norm(dim=1, keepdim=True) + 1e-5))
    squares = []
    for l, polar, start, count in MIXED.parity_blocks:
        if (l, polar) != (0, True):
            first = start - MIXED.first(l)
            squares.append(nodes[l][:, :, first : first + count].square().mean(dim=(1, 2)))
    factor = (torch.stack(squares).mean(0) + 1e-5).rsqrt()
    assert torch.allclose(result[1], nodes[1] * factor[:, None, None])
    frames = Frames(pair_frames(torch.randn(7, 3), 3), 3, separate_parity=True)
    there = norm.on_frames(frames.rotate_in(nodes, MIXED))
    assert close(frames.rotate_out(there, MIXED), result)


def test_gate_formula_and_equivariance():
    n_gates = MIXED.total - MIXED.scalars
    state = random_frames(MIXED)
    state[0] = torch.randn(7, n_gates + MIXED.total)
    result = gate(state, MIXED)
    assert torch.allclose(
        result[0][:, : MIXED.scalars],
        torch.nn.functional.silu(state[0][:, n_gates : n_gates + MIXED.scalars]) * SILU_FACTOR,
    )
    gates = torch.sigmoid(state[0][:, :n_gates]) * SIGMOID_FACTOR
    first = MIXED.first(2) - MIXED.scalars
    assert torch.allclose(result[2], state[2] * gates[:, None, first:])
    assert close(gate(spin(state, 0.7), MIXED), spin(result, 0.7))
    weights = [torch.randn(7, t.shape[-1]) for t in state]
    weighted = [state[0] * weights[0]] + [t * w[:, None] for t, w in zip(state[1:], weights[1:])]
    assert close(gate(state, MIXED, weights), gate(weighted, MIXED))


def test_weights_multiply_channels_and_shift_scalars():
    state, weights = random_frames(MIXED), torch.randn(7, MIXED.total + MIXED.scalars)
    result = weigh(state, MIXED, weights)
    expected = state[0] * weights[:, : MIXED.total]
    expected[:, : MIXED.scalars] += weights[:, MIXED.total :]
    assert torch.allclose(result[0], expected)
    assert torch.allclose(result[1], state[1] * weights[:, None, MIXED.first(1) : MIXED.total])


def test_affine_in_both_layouts():
    affine = NormAffine(MIXED)
    torch.nn.init.normal_(affine.gain)
    torch.nn.init.normal_(affine.offset)
    frames = Frames(pair_frames(torch.randn(7, 3), 3), 3, separate_parity=True)
    nodes = random_nodes(MIXED)
    there = affine.on_frames(frames.rotate_in(nodes, MIXED))
    assert close(frames.rotate_out(there, MIXED), affine.on_nodes(nodes))


@pytest.mark.parametrize(
    ("factor", "function"), [(SILU_FACTOR, torch.nn.functional.silu), (SIGMOID_FACTOR, torch.sigmoid)]
)
def test_second_moment_factors(factor, function):
    z = torch.linspace(-10, 10, 200001)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    moment = torch.trapezoid((factor * function(z)) ** 2 * density, z)
    assert abs(moment - 1) < 1e-10


def test_mlp_keeps_unit_variance_and_has_no_bias():
    network = ScalarMLP((64, 128, 128, 32))
    x = torch.randn(4000, 64)
    assert 0.8 < network(x).square().mean() < 1.25
    assert network(torch.zeros(1, 64)).abs().max() == 0
