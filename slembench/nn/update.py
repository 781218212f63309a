"""The update that SLEM and LEM repeat: SO(2) product, gate, channel mixing, weights from the latent scalar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from slembench.nn.channels import Channels
from slembench.nn.edge_frames import EdgeFrames
from slembench.nn.frames import FrameState, NodeState
from slembench.nn.fused_update import fused_update
from slembench.nn.kernels.elementwise import scale_both
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine, ScalarMLP
from slembench.nn.so2 import InputWeights, SO2Linear, frame_matrices, node_operands, stacked_matrices
from slembench.nn.update_spec import UpdateInputs, UpdateSpec


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

    def tensors(self) -> list[torch.Tensor]:
        """Matrix and bias of the first linear map, gain and offset of the norm, matrix and bias of the last map."""
        first, norm, _, last = self.network
        assert isinstance(norm, nn.LayerNorm)
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        return [first.weight.T, first.bias, norm.weight, norm.bias, last.weight.T, last.bias]

    @property
    def eps(self) -> float:
        """Epsilon of the layer norm."""
        norm = self.network[1]
        assert isinstance(norm, nn.LayerNorm)
        return norm.eps

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

    activation: torch.Tensor

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
        # every channel but the true scalars has a gate
        n_gates = output.total - output.scalars
        self.product = SO2Linear(inputs, output, n_gates, reflections)
        self.radial_on_input = sum(c.dim for c in inputs) <= output.dim + n_gates
        self.radial: RadialWeights | None = None
        if radial_channels is not None:
            # m = 0 of the product holds the gates too; the two components of m > 0 share a weight
            widths = [n_gates + output.total] + [output.count_from(m) for m in range(1, output.lmax + 1)]
            if self.radial_on_input:
                lmax = max(c.lmax for c in inputs)
                widths = [sum(c.count_from(m) for c in inputs) for m in range(lmax + 1)]
            self.radial = RadialWeights(latent_dim, radial_channels, widths)
        # the factors after SiLU and sigmoid go into the rows of the mixing matrix: mixing (f x) = (mixing f) x
        activation = torch.full((output.total, 1), factors.sigmoid)
        activation[: output.scalars] = factors.silu
        self.register_buffer("activation", activation, persistent=False)
        self.mixing = ChannelMixing(output, output)
        # weights of all channels, and offsets of the true scalars behind them
        self.channel_weights = ScalarMLP((latent_dim, output.total + output.scalars))

    def forward(
        self,
        node: NodeState,
        state: FrameState,
        affines: tuple[NormAffine, NormAffine],
        edge_frames: Sequence[EdgeFrames],
        latents: tuple[torch.Tensor, torch.Tensor],
        factor: torch.Tensor,
        residual: Residual | None = None,
    ) -> tuple[FrameState, torch.Tensor]:
        """Update of a pair state.

        Args:
            node: normalised node feature.
            state: normalised frame feature, the second input of the product.
            affines: gain and offset of the norms of ``node`` and ``state``.
            edge_frames: frames of the atoms whose node feature enters: the centre, or centre and neighbour.
            latents: (P, latent_dim) for the radial weights, and for the channel weights.
            factor: number that multiplies the result.
            residual: what is added to it.

        Returns:
            The update, and its true scalars (P, scalars) before the channel weights.
        """
        operands: list[list[torch.Tensor]] = []
        radial: list[torch.Tensor] = []
        node, weights = affines[0].on_nodes(node), InputWeights(self.product)
        if self.radial is not None and self.radial_on_input:
            # weights on the input differ from pair to pair, so the node feature must be rotated for every pair
            rotated = [frames.rotate_in(node, self.inputs[0]) for frames in edge_frames]
            inputs = [rotated[0], affines[1].on_frames(state), *rotated[1:]]
            matrices, bias = stacked_matrices(weights, [len(i) for i in inputs])
            state, edge_frames = _concat_inputs(inputs, self.inputs, self.radial(latents[0])), ()
        else:
            # otherwise it is mapped once an atom; inputs are (centre, pair state, neighbour): numbers 0, 1, 2
            matrices, bias = frame_matrices(weights, 1, affines[1].gain, affines[1].offset)
            # the bias goes once into the product, with the operands of the centre
            given = [bias, None]
            operands = [
                node_operands(weights, 2 * k, frames.take(node), given[k]) for k, frames in enumerate(edge_frames)
            ]
            radial = [] if self.radial is None else [latents[0], *self.radial.tensors()]
        weight, mixing_bias = self.channel_weights.weights[0], self.mixing.bias
        assert mixing_bias is not None
        tensors = UpdateInputs(
            operands, state[: len(matrices)], matrices[: len(state)], [] if operands else [bias], radial,
            [self.mixing.matrix(rows=self.activation), mixing_bias],
            [latents[1], weight * (factor / math.sqrt(len(weight)))],
        )  # fmt: skip
        old = self.output
        if residual is not None:
            old = residual.mixing.inputs
            count = min(self.output.lmax, old.lmax) + 1
            # tensors of an m at which the old state has no channel, or the result none, add nothing
            tensors.residual = [t for m, t in enumerate(residual.state[:count]) if old.count_from(m)]
            tensors.residual_mixing = residual.matrices()
        eps = 0.0 if self.radial is None else self.radial.eps
        return fused_update(tensors, UpdateSpec(self.output, old, tuple(edge_frames), eps))


class Residual(NamedTuple):
    """Old state that an update adds: ``factor`` times a channel mixing of ``state``."""

    mixing: ChannelMixing
    state: FrameState
    factor: torch.Tensor

    def matrices(self) -> list[torch.Tensor]:
        """Matrix and, where there is one, bias."""
        matrix, bias = self.mixing.matrix(self.factor), self.mixing.bias
        return [matrix] if bias is None else [matrix, bias * self.factor]


def _concat_inputs(
    states: Sequence[FrameState], channels: Sequence[Channels], radial: list[torch.Tensor]
) -> FrameState:
    """Inputs with their channels one after the other, times the radial weights of each m."""
    result = []
    for m in range(max(len(s) for s in states)):
        weights = torch.split(radial[m], [c.count_from(m) for c in channels], dim=1)
        present = [(s[m], w) for s, w in zip(states, weights) if m < len(s)]
        values, factors = (torch.cat(parts, dim=-1) for parts in zip(*present))
        result.append(scale_both(values, factors) if m else values * factors)
    return result
