"""Weights of e3nn's layers into ours: e3nn keeps irreps in any order, ours by l polar first.

Facts of e3nn (0.4 to 0.6): flat weights hold one block a path, paths ordered by input and then output irreps, each
block (channels in, [types,] channels out); biases belong to 0e outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from e3nn import o3
from e3nn.math import normalize2mom
from safetensors.torch import load_file
from torch import nn

from slembench.core.errors import ConfigError
from slembench.models.contract import OperatorModel
from slembench.nn.channels import Channels
from slembench.nn.layers import ActivationFactors, ChannelMixing, NormAffine
from slembench.nn.per_type import TypedMixing

Weights = Mapping[str, torch.Tensor]


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """State dict of a checkpoint, name -> tensor: safetensors, or torch's own format without running any code in it.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, zip and safetensors raise types of their own
        raise ConfigError(
            f"{file}: not a file of tensors and plain values alone, or damaged; refused unread ({type(error).__name__})"
        ) from None
    return dict(content.get("state_dict", content))


@contextmanager
def loading(file: Path, module: nn.Module, weights: Weights, model: str) -> Iterator[None]:
    """Copying of weights, without gradients, into a module that takes their dtype.

    Raises:
        ConfigError: a weight is missing or does not fit; ``model`` is what the file should be of.
    """
    # weights in float64 must not be rounded on the way in
    module.to(next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32))
    try:
        with torch.no_grad():
            yield
    except KeyError as error:
        raise ConfigError(f"{file}: has no weight {error}; is it {model} with these settings?") from None
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{file}: does not fit these settings: {error}") from None


def load_one_operator(model: OperatorModel, file: Path, program: str, load: Callable[[Weights], None]) -> None:
    """Copy the checkpoint of a program that predicts one operator into a model of the same shape.

    Args:
        model: one target.
        file: see `read_weights`.
        program: as its users call it.
        load: copies the weights.

    Raises:
        ConfigError: unreadable file, a weight that is not there or of another shape, or several targets.
    """
    if len(model.targets) != 1:
        raise ConfigError(f"{file}: the public {program} predicts one operator, not {', '.join(model.targets)}")
    weights = read_weights(file)
    with loading(file, model, weights, program):
        load(weights)


def sampled_factor(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Factor that e3nn's `normalize2mom` gives an activation: sampled with a fixed seed, off by up to 1e-3."""
    return float(normalize2mom(function).cst)


def sampled_activation_factors() -> ActivationFactors:
    """Sampled factors of SiLU and sigmoid."""
    return ActivationFactors(sampled_factor(nn.functional.silu), sampled_factor(torch.sigmoid))


class IrrepsOrder:
    """How the channels of an e3nn irreps string stand in ours.

    Args:
        irreps: every (l, parity) at most once.
        channels: the same irreps as ours.

    Attributes:
        segments: (l, polar, our first channel, channels), in e3nn's order.
        order: (C,) int64 | for each of our channels, where it stands among theirs.

    Raises:
        ValueError: an (l, parity) that occurs twice, or other multiplicities than ours.
    """

    def __init__(self, irreps: str | o3.Irreps, channels: Channels) -> None:
        blocks = {(l, n): (first, count) for l, n, first, count in channels.parity_blocks}
        self.segments: list[tuple[int, bool, int, int]] = []
        theirs = []
        for mul, ir in o3.Irreps(irreps):
            # e3nn writes the parity itself; polar irreps are those with p = (-1)^l
            key = (ir.l, ir.p == (-1) ** ir.l)
            # popped: an (l, parity) that stands twice is missed the second time
            first, count = blocks.pop(key, (0, 0))
            if count != mul:
                raise ValueError(f"irreps {irreps}: {mul}x{ir} where {count} channels are expected")
            self.segments.append((*key, first, count))
            theirs.append(torch.arange(first, first + count))
        if blocks:
            raise ValueError(f"irreps {irreps}: lack {[f'l = {l}' for l, _ in blocks]}")
        self.order = torch.argsort(torch.cat(theirs))


def load_linear(mixing: ChannelMixing, weights: Weights, name: str, inputs: IrrepsOrder, output: IrrepsOrder) -> None:
    """e3nn's `Linear` (``name.weight``, and ``name.bias`` where ours has one)."""
    _load_paths(mixing, weights[f"{name}.weight"], inputs, output, 1)
    if mixing.bias is not None:
        mixing.bias.copy_(weights[f"{name}.bias"])


def load_typed(mixing: TypedMixing, weights: Weights, name: str, inputs: IrrepsOrder, output: IrrepsOrder) -> None:
    """e3nn's `FullyConnectedTensorProduct` with one-hot types (``name.weight``)."""
    _load_paths(mixing, weights[f"{name}.weight"], inputs, output, mixing.n_types)


def _load_paths(
    mixing: ChannelMixing | TypedMixing, flat: torch.Tensor, inputs: IrrepsOrder, output: IrrepsOrder, n_types: int
) -> None:
    own = {(path[0], path[1], path[3]): k for k, path in enumerate(mixing.paths)}
    start = 0
    for l, polar, first, rows in inputs.segments:
        for l_out, polar_out, first_out, columns in output.segments:
            if (l, polar) != (l_out, polar_out):
                continue
            weight = mixing.weights[own[l, first, first_out]]
            size = rows * n_types * columns
            # e3nn: (channels in, types, channels out); here (types, channels in, channels out)
            block = flat[start : start + size].reshape(rows, n_types, columns).transpose(0, 1)
            weight.copy_(block.reshape(weight.shape))
            start += size
    if start != len(flat):
        raise ValueError(f"flat weight has {len(flat)} numbers where {start} are expected")


def load_affine(affine: NormAffine, weights: Weights, name: str, order: IrrepsOrder) -> None:
    """Gain of every channel (``name.weight``) and offset of the true scalars (``name.bias``)."""
    affine.gain.copy_(weights[f"{name}.weight"][order.order])
    affine.offset.copy_(weights[f"{name}.bias"])
