"""Radial functions of a pair: Bessel basis and the smooth envelope that ends it."""

from __future__ import annotations

import math

import torch
from torch import nn

from slembench.nn.functional import Constants


class BesselBasis(nn.Module):
    """Trainable radial Bessel functions (2 / r_c) sin(w_n r / r_c) / r, w_n = n pi at the start.

    Source: DimeNet, arXiv 2003.03123, eq. 7.

    Example:
        >>> basis = BesselBasis(size=3, cutoff=5.0)
        >>> basis(torch.tensor([2.5])).detach().round(decimals=3) + 0.0
        tensor([[ 0.1600,  0.0000, -0.1600]])

    Args:
        size: number of functions.
        cutoff: r_c | Angstrom; one for all pairs.
    """

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.frequencies = nn.Parameter(torch.arange(1, size + 1, dtype=torch.get_default_dtype()) * math.pi)

    def forward(self, length: torch.Tensor) -> torch.Tensor:
        """Values (P, size) | 1 / Angstrom^2 of the lengths (P,) | Angstrom."""
        r = length[:, None]
        return (2.0 / self.cutoff) * torch.sin(self.frequencies * r / self.cutoff) / r


def polynomial_envelope(length: torch.Tensor, cutoff: torch.Tensor, p: int) -> torch.Tensor:
    """Smooth step from 1 at r = 0 to 0 at the cutoff, with vanishing first and second derivative there.

    Source: DimeNet, arXiv 2003.03123, eq. 8, without the 1 / r.

    Args:
        length: (P,) | Angstrom.
        cutoff: (P,) | Angstrom | cutoff of each pair.
        p: power, at least 2.

    Returns:
        (P,) dimensionless, zero beyond the cutoff.

    Example:
        >>> polynomial_envelope(torch.tensor([0.0, 2.5, 5.0]), torch.full((3,), 5.0), p=6).round(decimals=3)
        tensor([1.0000, 0.8550, 0.0000])
    """
    x = length / cutoff
    # u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), in Horner's form
    power = x.pow(p)
    value = 1.0 - power * ((p + 1.0) * (p + 2.0) / 2.0 - x * (p * (p + 2.0) - x * (p * (p + 1.0) / 2.0)))
    # the polynomial is negative beyond x = 1
    return torch.where(x < 1.0, value, torch.zeros_like(value))


class GaussianBasis(nn.Module):
    """Gaussians exp(-(r - r_k)^2 / (2 w^2)) at equal distances w from 0 to ``stop``; no parameters.

    Source: SchNet, arXiv 1706.08566, as in DeepH-E3.

    Args:
        stop: Angstrom | centre of the last one.
        size: number of functions.

    Example:
        >>> GaussianBasis(stop=2.0, size=3)(torch.tensor([1.0])).round(decimals=3)
        tensor([[0.6070, 1.0000, 0.6070]])
    """

    def __init__(self, stop: float, size: int) -> None:
        super().__init__()
        self.constants = Constants({"centres": torch.linspace(0.0, stop, size, dtype=torch.float64)})
        self.width = stop / (size - 1)

    def forward(self, length: torch.Tensor) -> torch.Tensor:
        """Values (P, size) of the lengths (P,) | Angstrom."""
        return torch.exp((length[:, None] - self.constants.get("centres", length)).square() * (-0.5 / self.width**2))


class BernsteinBasis(nn.Module):
    """Bernstein polynomials of exp(-a r), with a trainable a and a smooth cutoff exp(-r^2 / ((r_c - r)(r_c + r))).

    Source: PhiSNet (arXiv 2106.02347), as in QHNet.

    Args:
        size: number of functions.
        decay: a at the start | 1 / Angstrom.
    """

    def __init__(self, size: int, decay: float = 0.5) -> None:
        super().__init__()
        powers = torch.arange(size, dtype=torch.float64)
        # log of the binomial coefficients (size - 1 over k)
        log_binomial = math.lgamma(size) - torch.lgamma(powers + 1) - torch.lgamma(size - powers)
        self.constants = Constants({"powers": powers, "log_binomial": log_binomial})
        self.size = size
        # inverse of softplus, so that softplus(decay) = decay at the start and stays positive
        self.decay = nn.Parameter(torch.tensor(math.log(math.expm1(decay))))

    def forward(self, length: torch.Tensor, cutoff: torch.Tensor) -> torch.Tensor:
        """Values (P, size) of lengths (P,) | Angstrom, with cutoffs (P,) | Angstrom; zero beyond them."""
        r = length[:, None]
        exponent = -nn.functional.softplus(self.decay) * r
        powers = self.constants.get("powers", length)
        logarithm = self.constants.get("log_binomial", length) + (self.size - 1 - powers) * exponent
        # log of binomial x^(n - 1 - k) (1 - x)^k with x = exp(-a r); the sum of logarithms neither under- nor overflows
        logarithm = logarithm + powers * torch.log(-torch.expm1(exponent))
        inside = length < cutoff
        # outside the exponent would be infinite and its gradient not a number, even where it is masked afterwards
        r_in = torch.where(inside, length, torch.zeros_like(length))
        window = torch.where(
            inside, torch.exp(-r_in.square() / ((cutoff - r_in) * (cutoff + r_in))), torch.zeros_like(length)
        )
        return window[:, None] * torch.exp(logarithm)
