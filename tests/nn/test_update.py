"""The fused update against the same formula written plainly, values and gradients."""

import pytest
import torch

import slembench.nn.update_spec as update_spec
from slembench.nn.channels import Channels
from slembench.nn.edge_frames import EdgeFrames, PairGroups
from slembench.nn.frames import Frames, pair_frames
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine, gate
from slembench.nn.update import Residual, SO2Update

from .conftest import MIXED, close, random_frames, random_nodes, weigh

OUT = Channels((4, 3, 2, 1), (2, 1, 1, 0))
OLD = Channels((3, 2, 2), (1, 0, 1))
WIDE = Channels((6, 5, 4, 20, 20, 24, 40), (2, 2, 2, 20, 20, 24, 40))
"""Reaches beyond the result's l, in ranges of l of its own."""
CENTRE = torch.tensor([0, 0, 1, 1, 1, 3, 4, 4])
NEIGHBOUR = torch.tensor([1, 3, 0, 4, 4, 0, 1, 1])
PAIRS, ATOMS, LATENT = len(CENTRE), 5, 6


def plain_update(update, node, state, affines, frames, indices, latents, factor, residual):
    """Every step by itself: rotate, norm's gain and offset, radial weights, product, gate, mixing, weights, sum."""
    node = affines[0].on_nodes(node)
    ends = [frames.rotate_in([x[index] for x in node], MIXED) for index in indices]
    states = [ends[0], affines[1].on_frames(state), *ends[1:]]
    weights = None if update.radial is None else update.radial(latents[0])
    if weights is not None and update.radial_on_input:
        starts = [0] * len(weights)
        for k, (tensors, channels) in enumerate(zip(states, update.inputs)):
            states[k] = []
            for m, tensor in enumerate(tensors):
                own = weights[m][:, starts[m] : starts[m] + channels.count_from(m)]
                states[k].append(tensor * (own[:, None] if m else own))
            starts = [start + channels.count_from(m) for m, start in enumerate(starts)]
        weights = None
    gated = gate(update.product(states), update.output, weights, update.factors)
    mixed = update.mixing.on_frames(gated)
    result = weigh(mixed, update.output, update.channel_weights(latents[1]) * factor)
    if residual is not None:
        result = residual.mixing.add_to_frames(result, residual.state, residual.factor)
    return result, mixed[0][:, : update.output.scalars]


def make_case(reflections, radial, both, tensors=4, residual=True):
    """An update with arbitrary weights, its arguments, and everything that has a gradient."""
    inputs = (MIXED, MIXED, MIXED) if both else (MIXED, MIXED)
    out = OUT if radial != "input" else Channels((20, 20, 20, 20), (5, 5, 5, 5))
    width = None if radial is None else 3
    update = SO2Update(inputs, out, LATENT, width, reflections, ActivationFactors(1.3, 1.7))
    affines = NormAffine(MIXED), NormAffine(MIXED)
    modules = torch.nn.ModuleList([update, *affines])
    node, state = random_nodes(MIXED, ATOMS), random_frames(MIXED, PAIRS)[:tensors]
    latents = torch.randn(PAIRS, LATENT), torch.randn(PAIRS, LATENT)
    old = None
    if residual:
        before = WIDE if residual == "wide" else OLD
        modules.append(ChannelMixing(before, out))
        old = Residual(modules[-1], random_frames(before, PAIRS), torch.tensor(0.6, requires_grad=True))
    with torch.no_grad():
        for parameter in modules.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    leaves = [*node, *state, *latents, *(old.state if old else [])]
    for leaf in leaves:
        leaf.requires_grad_()
    frames = Frames(pair_frames(torch.randn(PAIRS, 3), 3), 3, separate_parity=reflections)
    indices = [CENTRE, NEIGHBOUR] if both else [CENTRE]
    factor = torch.tensor(0.4, requires_grad=True)
    leaves += [factor, *modules.parameters()]
    return update, (node, state, affines), frames, indices, (latents, factor, old), leaves


CASES = [
    (False, "output", True, 4, True),
    (True, "output", True, 4, True),
    (False, "input", False, 1, True),
    (True, "input", False, 4, True),
    (True, None, False, 2, False),
    (False, None, True, 4, True),
    (True, "output", False, 4, "wide"),
]


@pytest.mark.parametrize("chunk", [1, 2**20])
@pytest.mark.parametrize("case", CASES)
def test_fused_update_equals_the_plain_one(case, chunk, monkeypatch):
    monkeypatch.setattr(update_spec, "CHUNK", chunk)
    monkeypatch.setattr(update_spec, "LEAST_ROWS", 3)
    monkeypatch.setattr(update_spec, "LEAST_MIXED", chunk)
    update_spec.l_ranges.cache_clear()
    update, state, frames, indices, rest, leaves = make_case(*case)
    if case[1] is not None:
        assert update.radial_on_input == (case[1] == "input")
    found, scalars = update(*state, [EdgeFrames(frames, index) for index in indices], *rest)
    expected, plain_scalars = plain_update(update, *state, frames, indices, *rest)
    assert close(found, expected)
    assert close([scalars], [plain_scalars])
    slopes = [torch.randn_like(t) for t in [*expected, plain_scalars]]
    wanted = torch.autograd.grad([*expected, plain_scalars], leaves, slopes, allow_unused=True)
    given = torch.autograd.grad([*found, scalars], leaves, slopes, allow_unused=True)
    for a, b in zip(given, wanted, strict=True):
        zero = torch.zeros(())
        assert torch.allclose(zero if a is None else a, zero if b is None else b, atol=1e-10)
    assert sum(g is not None and bool(g.abs().max() > 0) for g in wanted) > len(wanted) / 2


@pytest.mark.parametrize("separate", [False, True])
def test_messages_are_rotated_out_and_summed(separate):
    frames = Frames(pair_frames(torch.randn(PAIRS, 3), 3), 3, separate)
    for channels in (MIXED, OLD):
        message = random_frames(channels, PAIRS)
        expected = [
            torch.zeros(ATOMS, *x.shape[1:]).index_add(0, CENTRE, x) for x in frames.rotate_out(message, channels)
        ]
        assert close(EdgeFrames(frames, CENTRE).scatter_sum(message, channels, ATOMS), expected)


@pytest.mark.parametrize("index", [CENTRE, NEIGHBOUR, torch.arange(4).repeat_interleave(2), CENTRE[:0]])
def test_groups_hold_every_pair_once(index):
    groups = PairGroups(index)
    rows = torch.arange(1.0, len(index) + 1)
    padded = groups.pad(rows)
    assert torch.equal(groups.unpad(padded), rows)
    assert padded.shape == (len(index.unique()), groups.width)
    for atom, row in zip(groups.atoms, padded):
        assert set(row[row > 0].tolist()) == set(rows[index == atom].tolist())
