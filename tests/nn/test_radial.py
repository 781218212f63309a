"""Radial functions against their formulas."""

import math

import torch

from slembench.nn.radial import BesselBasis, polynomial_envelope


def test_bessel_functions():
    basis = BesselBasis(4, cutoff=5.0)
    r = torch.linspace(0.5, 4.9, 12)
    expected = torch.stack([2 / 5 * torch.sin(n * math.pi * r / 5) / r for n in range(1, 5)], dim=1)
    assert torch.allclose(basis(r), expected)
    assert torch.allclose(basis(torch.tensor([5.0])), torch.zeros(1, 4), atol=1e-12)


def test_envelope_ends_smoothly():
    cutoff = torch.tensor([4.0, 6.0])
    x = torch.tensor([4.0 - 1e-6, 6.0 - 1e-6], requires_grad=True)
    value = polynomial_envelope(x, cutoff, 6)
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert value.abs().max() < 1e-12
    assert slope.abs().max() < 1e-9
    assert bend.abs().max() < 1e-3
    inside = polynomial_envelope(torch.tensor([1e-6, 2.0, 4.1]), torch.full((3,), 4.0), 6)
    assert torch.allclose(inside[0], torch.tensor(1.0))
    x = 0.5
    assert torch.allclose(inside[1], torch.tensor(1 - 28 * x**6 + 48 * x**7 - 21 * x**8))
    assert inside[2] == 0
