"""Weights of DeePTB's SLEM and LEM (package dptb, methods "slem" and "lem") under our names and in our order.

Facts about its state dict: channels of a product come in order of the inputs, each l ascending; gates follow the
scalars; within an l odd parity comes first; m > 0 weights act on (-m, +m), so the imaginary part has the other sign;
orbital pairs a <= b stand by type (s-s, s-p, ...), then by pair, each coupled to L = |l1 - l2| .. l1 + l2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from slembench.models.lem.model import LemLayer
from slembench.models.pair_frame import OperatorHead, PairFrameModel
from slembench.models.slem.model import Slem, SlemLayer
from slembench.nn.channels import Channels
from slembench.nn.layers import ChannelMixing, NormAffine, ScalarMLP
from slembench.nn.update import SO2Update
from slembench.operators.irreps import BlockIrreps

Weights = Mapping[str, torch.Tensor]


def raw_irreps(layout: BlockIrreps) -> list[tuple[int, int, int]]:
    """(shell a, shell b, L) of every irrep of DeePTB's raw vector, in its order."""
    shells = layout.shells
    # DeePTB groups orbital pairs by their type (s-s, s-p, ...) before it couples them
    pairs = sorted(layout.shell_pairs.tolist(), key=lambda p: (shells[p[0]], shells[p[1]], p[0], p[1]))
    return [(a, b, l) for a, b in pairs for l in range(abs(shells[a] - shells[b]), shells[a] + shells[b] + 1)]


def _their_blocks(channels: Channels) -> list[tuple[int, bool, int, int]]:
    """Our (l, polar, first channel, channels) in DeePTB's order: l ascending, odd parity first."""
    return sorted(channels.parity_blocks, key=lambda block: (block[0], (-1) ** block[0] * (1 if block[1] else -1)))


def _channel_order(channels: Channels) -> torch.Tensor:
    """(C,) int64 | for each of our channels, where it stands among DeePTB's."""
    # theirs[k] = our number of their channel k; argsort inverts the permutation
    theirs = torch.cat([torch.arange(first, first + count) for _, _, first, count in _their_blocks(channels)])
    return torch.argsort(theirs)


def _input_order(inputs: Sequence[Channels], m: int) -> torch.Tensor:
    """For each of our input channels with l >= m, input after input, where it stands among DeePTB's."""
    orders, start = [], 0
    for channels in inputs:
        orders.append(_channel_order(channels)[channels.first(m) :] - channels.first(m) + start)
        start += channels.count_from(m)
    return torch.cat(orders)


def load_embedding(model: PairFrameModel, weights: Weights) -> None:
    """Copy DeePTB's embedding weights into a SLEM or LEM of the same shape.

    Args:
        model: SO3 model with ``pair_bias`` and DeePTB's activation factors, one target besides the overlap.
        weights: DeePTB's state dict of the embedding, without the prefix ``embedding.``.

    Raises:
        KeyError: a weight that is not there; RuntimeError: one of another shape.
    """
    with torch.no_grad():
        _mlp(model.two_body, weights, "init_layer.two_body_latent")
        _mlp(model.init_weights, weights, "init_layer.env_embed_mlp")
        model.bessel.frequencies.copy_(weights["init_layer.bessel.bessel_weights"])
        _affine(model.init_affine_node, weights, "init_layer.sln_n")
        if isinstance(model, Slem):
            _affine(model.init_affine_pair, weights, "init_layer.sln_h")
        # stored there as n^(-1/2)
        model.average_neighbours.copy_(weights["init_layer.env_sum_normalizations"] ** -2)
        for number, layer in enumerate(model.layers):
            assert isinstance(layer, SlemLayer | LemLayer)
            _layer(layer, weights, f"layers.{number}", len(model.basis.elements))
        (head,) = model.heads.values()
        assert isinstance(head, OperatorHead)
        classes = _class_order(model.layout)
        _mixing(head.node, weights, "out_node", classes)
        _mixing(head.pair, weights, "out_edge", classes)


_SLEM_NAMES = {
    "node_affine": "sln_n",
    "hidden_affine_out": "sln_h",
    "hidden_affine_in": "hidden_update.sln",
    "node_affine_message": "node_update.sln",
    "latent_norm": "hidden_update.ln",
    "latent_norm_input": "hidden_update.ln_o",
    "latent_update": "hidden_update.latents",
}
_LEM_NAMES = {
    "node_affine": "edge_update.sln_n",
    "edge_affine_in": "edge_update.sln_e",
    "edge_affine_out": "node_update.sln_e",
    "node_affine_message": "node_update.sln",
    "latent_norm": "edge_update.ln",
    "latent_update": "edge_update.latents",
}
_NETWORKS = {"hidden": "hid_embed_mlps", "edge": "edge_embed_mlps", "node": "env_embed_mlps"}


def _layer(layer: SlemLayer | LemLayer, weights: Weights, name: str, n_species: int) -> None:
    for own, theirs in (_SLEM_NAMES if isinstance(layer, SlemLayer) else _LEM_NAMES).items():
        module = getattr(layer, own)
        load = _affine if isinstance(module, NormAffine) else _mlp if isinstance(module, ScalarMLP) else _copy
        load(module, weights, f"{name}.{theirs}")
    kinds = [kind for kind in _NETWORKS if hasattr(layer, f"{kind}_update")]
    for k, kind in enumerate(kinds):
        update = getattr(layer, f"{kind}_update")
        assert isinstance(update, SO2Update)
        _update(update, weights, f"{name}.{kind}_update")
        channels = update.output
        extra = torch.arange(channels.total, channels.total + channels.scalars)
        columns = torch.cat([_channel_order(channels), extra])
        _mlp(update.channel_weights, weights, f"{name}.{kind}_update.{_NETWORKS[kind]}", columns)
        _mixing(getattr(layer, f"{kind}_residual"), weights, f"{name}.{kind}_update.linear_res")
        layer.shares.logits[k] = weights[f"{name}.{kind}_update._res_update_params"].reshape(())
    # theirs reads (species i, latent, scalars, species j), ours (species i, species j, latent, scalars)
    first = layer.latent_update.weights[0]
    rows = torch.arange(len(first))
    order = torch.cat([rows[:n_species], rows[-n_species:], rows[n_species:-n_species]])
    first.copy_(first[order].clone())


def _update(update: SO2Update, weights: Weights, name: str) -> None:
    product, output = update.product, update.output
    gates, scalars = product.n_gates, output.scalars
    # theirs: scalars, gates, rest; ours: gates, scalars, rest
    channels = _channel_order(output)
    place = torch.where(channels < scalars, channels, channels + gates)
    columns = torch.cat([channels[scalars:], place])
    by_m = [columns] + [channels[output.first(m) :] - output.first(m) for m in range(1, output.lmax + 1)]
    rows = [_input_order(product.inputs, m) for m in range(output.lmax + 1)]
    # torch's Linear holds (out, in)
    product.weight_0.copy_(weights[f"{name}.tp.fc_m0.weight"].T[rows[0]][:, columns])
    product.bias.copy_(weights[f"{name}.tp.fc_m0.bias"][columns])
    for m, weight in enumerate(product.weights, start=1):
        real, imaginary = weights[f"{name}.tp.m_linear.{m - 1}.fc.weight"].T[rows[m]].chunk(2, dim=1)
        # theirs acts on (-m, +m), ours on (+m, -m): the imaginary part changes sign
        weight.copy_(torch.stack([real[:, by_m[m]], -imaginary[:, by_m[m]]]))
    _mixing(update.mixing, weights, f"{name}.lin_post")
    if update.radial is not None:
        net = f"{name}.tp.radial_emb.net"
        first, norm, _, last = update.radial.network
        for own, number in ((first, 0), (norm, 1), (last, 3)):
            _copy(own, weights, f"{net}.{number}")
        starts = [0, *torch.tensor(update.radial.widths).cumsum(0).tolist()]
        orders = [_input_order(product.inputs, m) for m in range(len(starts) - 1)] if update.radial_on_input else by_m
        order = torch.cat([part + start for part, start in zip(orders, starts)])
        assert isinstance(last, nn.Linear)
        last.weight.copy_(last.weight[order].clone())
        last.bias.copy_(last.bias[order].clone())


def _copy(module: nn.Module, weights: Weights, name: str) -> None:
    for key, own in module.named_parameters():
        own.copy_(weights[f"{name}.{key}"])


def _mlp(network: ScalarMLP, weights: Weights, name: str, columns: torch.Tensor | None = None) -> None:
    for k, own in enumerate(network.weights):
        weight = weights[f"{name}._forward._weight_{k}"]
        last = k == len(network.weights) - 1
        own.copy_(weight[:, columns] if last and columns is not None else weight)


def _affine(affine: NormAffine, weights: Weights, name: str) -> None:
    affine.gain.copy_(weights[f"{name}.affine_weight"][0][_channel_order(affine.channels)])
    affine.offset.copy_(weights[f"{name}.affine_bias"][0])


def _class_order(layout: BlockIrreps) -> list[list[int]]:
    """For each class of ours, its paths in the order in which DeePTB lists their orbital pairs."""
    shells = layout.shells
    result = []
    for c in layout.classes:
        pairs = c.shell_pairs.tolist()
        key = [(shells[a], shells[b], a, b) for a, b in pairs]
        result.append(sorted(range(len(pairs)), key=lambda k: key[k]))
    return result


def _mixing(mixing: ChannelMixing, weights: Weights, name: str, columns: Sequence[Sequence[int]] | None = None) -> None:
    """e3nn's flat weight: one block a path. With ``columns`` the output irreps are single ones, in that order."""
    own = {(path[0], path[3]): k for k, path in enumerate(mixing.paths)}
    flat, start = weights[f"{name}.weight"], 0
    for l, _, first, count in _their_blocks(mixing.output):
        if (l, first) not in own:
            continue
        k = own[l, first]
        weight, rows = mixing.weights[k], mixing.paths[k][2]
        block = flat[start : start + rows * count]
        start += rows * count
        if columns is None:
            weight.copy_(block.reshape(rows, count))
        else:
            weight[:, torch.tensor(columns[k])] = block.reshape(count, rows).T
    if mixing.bias is not None:
        bias = weights[f"{name}.bias"]
        if columns is None:
            mixing.bias.copy_(bias)
        else:
            mixing.bias[torch.tensor(columns[0])] = bias
