"""The SO(2) product commutes with what it must and equals an explicit complex one."""

import pytest
import torch

from slembench.nn.channels import Channels
from slembench.nn.so2 import SO2Linear

from .conftest import MIXED, close, random_frames, reflect, spin

OUT = Channels((4, 3, 2), (2, 1, 1))


@pytest.mark.parametrize("reflections", [False, True])
def test_commutes_with_rotations_about_the_bond(reflections):
    product = SO2Linear((MIXED, OUT), OUT, 3, reflections)
    states = [random_frames(MIXED), random_frames(OUT)]
    for angle in (0.3, 2.0):
        turned = product([spin(s, angle) for s in states])
        assert close(turned, spin(product(states), angle))


def test_only_o2_commutes_with_reflections():
    states = [random_frames(MIXED)]
    mirrored = [reflect(states[0], MIXED)]
    exact = SO2Linear((MIXED,), OUT, 3, reflections=True)
    assert close(exact(mirrored), reflect(exact(states), OUT))
    free = SO2Linear((MIXED,), OUT, 3, reflections=False)
    assert not close(free(mirrored), reflect(free(states), OUT), 1e-3)


def test_so2_equals_a_complex_product():
    product = SO2Linear((MIXED, OUT), OUT, 0, reflections=False)
    states = [random_frames(MIXED), random_frames(OUT)]
    found = product(states)
    first = torch.cat([s[0] for s in states], dim=1)
    assert torch.allclose(found[0], first @ product.weight_0 + product.bias)
    for m in (1, 2):
        x = torch.cat([torch.complex(s[m][:, 0], s[m][:, 1]) for s in states], dim=1)
        weight = torch.complex(*product.weights[m - 1].unbind(0))
        expected = x @ weight
        assert torch.allclose(found[m][:, 0], expected.real)
        assert torch.allclose(found[m][:, 1], expected.imag)


def test_missing_large_m_count_as_zero():
    product = SO2Linear((MIXED,), OUT, 2, reflections=True)
    state = random_frames(MIXED)
    zeros = [state[0]] + [torch.zeros_like(t) for t in state[1:]]
    assert close(product([zeros]), product([state[:1]]))


@pytest.mark.parametrize("reflections", [False, True])
def test_folded_gain_and_offset_equal_explicit_ones(reflections):
    product = SO2Linear((MIXED, OUT), OUT, 3, reflections)
    states = [random_frames(MIXED), random_frames(OUT)]
    gain, offset = torch.randn(MIXED.total), torch.randn(MIXED.scalars)
    first = states[0][0] * gain
    first[:, : MIXED.scalars] += offset
    scaled = [first] + [t * gain[MIXED.first(m) :] for m, t in enumerate(states[0][1:], start=1)]
    assert close(product(states, [gain, None], [offset, None]), product([scaled, states[1]]))


def test_an_output_beyond_the_inputs_is_refused():
    with pytest.raises(ValueError, match="inputs end at l = 2"):
        SO2Linear((OUT,), MIXED, 0, reflections=False)
