"""Weights of the public QHNet (QH9 version) under our names.

Facts of its network: irreps stand by l ascending, so channels need no reordering; flat weights of products hold one
path after the other, ordered by (l1, l2, l3); embeddings are indexed by atomic number. What its forward pass never
uses (a second pair product with its linear maps, the gate of the first layer) is not imported.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from slembench.models.e3nn_weights import IrrepsOrder, Weights, load_linear, load_one_operator

if TYPE_CHECKING:
    from slembench.nn.layers import ChannelMixing

    from .blocks import Convolution, NormGate, OnsiteLayer, PairLayer, RadialMLP
    from .model import QHNet


def load_public(model: QHNet, file: Path) -> None:
    """Copy a public checkpoint into a model of the same shape.

    Args:
        model: one target; ``softplus_factor`` as sampled by e3nn.
        file: ``*.pt`` (read without running any code in it) or a safetensors file of the state dict.

    Raises:
        ConfigError: unreadable file, a weight that is not there or of another shape, or several targets.
    """
    load_one_operator(model, file, "QHNet", partial(_load, model))


def _load(model: QHNet, weights: Weights) -> None:
    numbers = torch.tensor(model.basis.elements)
    table = weights["node_embedding.weight"]
    if int(numbers.max()) >= len(table):
        raise ValueError(f"its embedding ends at Z = {len(table) - 1}")
    # the public table has a row for every Z; ours holds the elements of the basis
    model.embedding.copy_(table[numbers])
    model.radial.decay.copy_(weights["distance_expansion._alpha"])
    for number, convolution in enumerate(model.convolutions):
        _convolution(convolution, weights, f"e3_gnn_layer.{number}.conv")
    for number, (onsite, pair) in enumerate(zip(model.onsite_layers, model.pair_layers)):
        _onsite(onsite, weights, f"e3_gnn_node_layer.{number}")
        _pair(pair, weights, f"e3_gnn_node_pair_layer.{number}")
    _linear(model.onsite_out, weights, "output_ii")
    _linear(model.pair_out, weights, "output_ij")
    for expansions, name in ((model.onsite_expansions, "ii"), (model.pair_expansions, "ij")):
        (expansion,) = expansions.values()
        _perceptron(expansion.weights, weights, f"fc_{name}.hamiltonian")
        _perceptron(expansion.biases, weights, f"fc_{name}_bias.hamiltonian")


def _convolution(layer: Convolution, weights: Weights, name: str) -> None:
    _radial(layer.radial, weights, f"{name}.fc_node")
    _radial(layer.ends, weights, f"{name}.layer_l0")
    _linear(layer.after, weights, f"{name}.linear_out")
    if layer.gated:
        _gate(layer.gate, weights, f"{name}.norm_gate")
        _linear(layer.before, weights, f"{name}.linear_node")
        _linear(layer.compared, weights, f"{name}.linear_node_pre")


def _pair(layer: PairLayer, weights: Weights, name: str) -> None:
    _gate(layer.gate_before, weights, f"{name}.norm_gate_pre")
    _gate(layer.gate_after, weights, f"{name}.norm_gate")
    _linear(layer.before, weights, f"{name}.linear_node_pair_n")
    _linear(layer.compared, weights, f"{name}.linear_node_pair_inner")
    _linear(layer.after, weights, f"{name}.linear_node_pair")
    _radial(layer.radial, weights, f"{name}.fc_node_pair")
    _perceptron(layer.ends, weights, f"{name}.fc")


def _onsite(layer: OnsiteLayer, weights: Weights, name: str) -> None:
    for gate, theirs in ((layer.gate_left, "_1"), (layer.gate_right, "_2"), (layer.gate_after, "")):
        _gate(gate, weights, f"{name}.norm_gate{theirs}")
    for mixing, theirs in ((layer.left, 1), (layer.right, 2), (layer.after, 3)):
        _linear(mixing, weights, f"{name}.linear_node_{theirs}")
    layer.weights.copy_(weights[f"{name}.tp.weight"].reshape(layer.weights.shape))


def _linear(mixing: ChannelMixing, weights: Weights, name: str) -> None:
    orders = []
    for channels in (mixing.inputs, mixing.output):
        irreps = "+".join(f"{count}x{l}{'eo'[l % 2]}" for l, count in enumerate(channels.polar))
        orders.append(IrrepsOrder(irreps, channels))
    load_linear(mixing, weights, name, *orders)


def _radial(network: RadialMLP, weights: Weights, name: str) -> None:
    network.first.copy_(weights[f"{name}.layer0.weight"])
    network.last.copy_(weights[f"{name}.layer1.weight"])


def _gate(gate: NormGate, weights: Weights, name: str) -> None:
    _perceptron(gate.network, weights, f"{name}.fc")


def _perceptron(network: nn.Sequential, weights: Weights, name: str) -> None:
    for number in (0, 2):
        layer = network[number]
        assert isinstance(layer, nn.Linear)
        layer.weight.copy_(weights[f"{name}.{number}.weight"])
        layer.bias.copy_(weights[f"{name}.{number}.bias"])
