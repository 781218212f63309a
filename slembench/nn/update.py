"""The update that SLEM and LEM repeat: SO(2) product, gate, channel mixing, weights from the latent scalar."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.frames import FrameState
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine, ScalarMLP, gate, weigh
from slembench.nn.so2 import SO2Linear


class RadialWeights(nn.Module):
    """Weights of the product's channels for every m, from the latent scalar: Linear, LayerNorm, SiLU, Linear.

    Args:
        latent_dim: width of the latent.
        hidden: width in between.
        widths: number of weights for m = 0, 1, ...
    """

    def __init__(self, latent_dim: int, hidden: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = list(widths)
        self.network = nn.Sequential(
            nn.Linear(latent_dim, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, sum(widths))
        )

    def forward(self, latent: torch.Tensor) -> list[torch.Tensor]:
        """(P, latent_dim) -> one (P, width) for each m."""
        return list(torch.split(self.network(latent), self.widths, dim=1))


class SO2Update(nn.Module):
    """Product of several frame features, gated, mixed and weighted.

    Radial weights act on the product's input where that is not larger than its output, else on the output (as in dptb).

    Args:
        inputs: channels of the inputs.
        output: channels of the result.
        latent_dim: width of the latent scalar of a pair.
        radial_channels: hidden width of the radial weights, or None for none.
        reflections: see `SO2Linear`.
        factors: of the activations.
    """

    def __init__(
        self,
        inputs: Sequence[Channels],
        output: Channels,
        latent_dim: int,
        radial_channels: int | None,
        reflections: bool,
        factors: ActivationFactors,
    ) -> None:
        super().__init__()
        self.inputs, self.output, self.factors = tuple(inputs), output, factors
        n_gates = output.total - output.scalars
        self.product = SO2Linear(inputs, output, n_gates, reflections)
        self.radial_on_input = sum(c.dim for c in inputs) <= output.dim + n_gates
        self.radial: RadialWeights | None = None
        if radial_channels is not None:
            widths = [n_gates + output.total] + [output.count_from(m) for m in range(1, output.lmax + 1)]
            if self.radial_on_input:
                lmax = max(c.lmax for c in inputs)
                widths = [sum(c.count_from(m) for c in inputs) for m in range(lmax + 1)]
            self.radial = RadialWeights(latent_dim, radial_channels, widths)
        self.mixing = ChannelMixing(output, output)
        self.channel_weights = ScalarMLP((latent_dim, output.total + output.scalars))

    def forward(
        self,
        states: Sequence[FrameState],
        affines: Sequence[NormAffine],
        latent: torch.Tensor,
        weight_latent: torch.Tensor,
        factor: torch.Tensor,
    ) -> tuple[FrameState, torch.Tensor]:
        """Update of a pair state.

        Args:
            states: normalised frame features.
            affines: gain and offset of each input's norm.
            latent: (P, latent_dim) for the radial weights.
            weight_latent: (P, latent_dim) for the channel weights.
            factor: number that multiplies the result.

        Returns:
            The update, and its true scalars (P, scalars) before the channel weights.
        """
        radial = self.radial(latent) if self.radial is not None else None
        if radial is not None and self.radial_on_input:
            product = self.product(_weighted_inputs(states, affines, self.inputs, radial))
            radial = None
        else:
            product = self.product(states, [a.gain for a in affines], [a.offset for a in affines])
        mixed = self.mixing.on_frames(gate(product, self.output, radial, self.factors))
        scalars = mixed[0][:, : self.output.scalars]
        return weigh(mixed, self.output, self.channel_weights(weight_latent) * factor), scalars


def _weighted_inputs(
    states: Sequence[FrameState],
    affines: Sequence[NormAffine],
    channels: Sequence[Channels],
    radial: list[torch.Tensor],
) -> list[FrameState]:
    """Inputs with their norm's gain and offset, times the radial weights of each m."""
    widths = [[c.count_from(m) for c in channels] for m in range(len(radial))]
    split = [torch.split(weights, width, dim=1) for weights, width in zip(radial, widths)]
    result = []
    for k, (state, affine) in enumerate(zip(states, affines)):
        applied = affine.on_frames(state)
        result.append([applied[0] * split[0][k]] + [t * split[m][k][:, None] for m, t in enumerate(applied) if m])
    return result
