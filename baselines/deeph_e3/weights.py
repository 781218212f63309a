"""Weights of the public DeepH-E3 under our names and in our order.

Facts of its network: gates stand after the scalars; the products' paths run over the inputs (n_i, n_j, e_ij, each
with its irreps in order), the harmonics, the outputs; the last linear map has one output for each irrep of each
ordered shell pair, in order of first appearance over the element pairs; blocks are decoupled by Wigner 3j symbols of
unit norm. Its node read-out is not used and not imported.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from e3nn import o3
from torch import nn

from slembench.models.e3nn_weights import (
    IrrepsOrder,
    Weights,
    load_affine,
    load_linear,
    load_one_operator,
    load_typed,
)
from slembench.nn.channels import Channels
from slembench.operators.irreps import BlockIrreps

if TYPE_CHECKING:
    from slembench.nn.hermitian import HermitianHead
    from slembench.nn.tensor_products import BondProduct

    from .blocks import Convolution, NodeUpdate, PairUpdate
    from .model import DeepHE3


def load_public(model: DeepHE3, file: Path) -> None:
    """Copy a public checkpoint into a model of the same shape.

    Args:
        model: one target; ``activation_factors`` as sampled by e3nn.
        file: ``best_model.pkl`` (read without running any code in it) or a safetensors file of the state dict.

    Raises:
        ConfigError: unreadable file, a weight that is not there or of another shape, or several targets.
    """
    load_one_operator(model, file, "DeepH-E3", partial(_load, model))


def _load(model: DeepHE3, weights: Weights) -> None:
    model.embedding.copy_(weights["embedding.weight"].reshape(model.embedding.shape))
    mid = o3.Irreps(model.config.irreps_mid)
    pairs = ordered_pairs(model.layout)
    last = _last_irreps(model.layout, pairs)
    harmonics = model.config.harmonics_lmax
    node = pair = IrrepsOrder(f"{model.config.embedding}x0e", Channels((model.config.embedding,), (0,)))
    for number, (update_node, update_pair) in enumerate(zip(model.node_updates, model.pair_updates)):
        # irreps that an update cannot reach are absent on both sides
        new = _order(mid, update_node.output)
        _update(update_node, weights, f"node_update_blocks.{number}", (node, node, pair), node, new, harmonics)
        node, old = new, pair
        pair = _order(mid if number < len(model.node_updates) - 1 else last, update_pair.output)
        _update(update_pair, weights, f"edge_update_blocks.{number}", (node, node, old), old, pair, harmonics)
    (head,) = model.heads.values()
    _head(head, weights, pair, model.layout, pairs)


def _order(irreps: o3.Irreps, channels: Channels) -> IrrepsOrder:
    """Order of those irreps that the channels hold."""
    held = {(l, (-1) ** l * (1 if polar else -1)) for l, polar, _, _ in channels.parity_blocks}
    return IrrepsOrder(o3.Irreps([(mul, ir) for mul, ir in irreps if (ir.l, ir.p) in held]), channels)


def _update(
    update: NodeUpdate | PairUpdate,
    weights: Weights,
    name: str,
    inputs: tuple[IrrepsOrder, IrrepsOrder, IrrepsOrder],
    old: IrrepsOrder,
    new: IrrepsOrder,
    lmax: int,
) -> None:
    load_linear(update.before, weights, f"{name}.lin_pre", old, old)
    _convolution(update.convolution, weights, f"{name}.conv", inputs, new, lmax)
    load_linear(update.after, weights, f"{name}.lin_post", new, new)
    load_typed(update.self_connection, weights, f"{name}.sc", old, new)
    load_affine(update.norm.affine, weights, f"{name}.norm", new)
    if update.skip is not None:
        load_linear(update.skip, weights, f"{name}.skip_connect.sc", old, new)


def _convolution(
    convolution: Convolution,
    weights: Weights,
    name: str,
    inputs: tuple[IrrepsOrder, IrrepsOrder, IrrepsOrder],
    output: IrrepsOrder,
    lmax: int,
) -> None:
    _product(convolution.product, weights, f"{name}.tp", inputs, output, lmax)
    for number in (0, 2, 4):
        layer = convolution.radial[number]
        assert isinstance(layer, nn.Linear)
        weight, bias = weights[f"{name}.fc.{number}.weight"], weights[f"{name}.fc.{number}.bias"]
        # the last map has one output for each channel: its rows are reordered
        layer.weight.copy_(weight[output.order] if number == 4 else weight)
        layer.bias.copy_(bias[output.order] if number == 4 else bias)


def _product(
    product: BondProduct,
    weights: Weights,
    name: str,
    inputs: tuple[IrrepsOrder, IrrepsOrder, IrrepsOrder],
    output: IrrepsOrder,
    lmax: int,
) -> None:
    rows = {(l, polar): (r, counts) for r, (l, polar, counts) in enumerate(product.rows)}
    columns = {(l, polar): c for c, (l, polar, _) in enumerate(product.columns)}
    degrees: dict[tuple[int, int], int] = {}  # harmonics of a path seen so far, l2 ascending
    number = 0
    for k, order in enumerate(inputs):
        for l1, polar1, _, count in order.segments:
            r, counts = rows[l1, polar1]
            start = sum(counts[:k])
            degrees.clear()
            for l2 in range(lmax + 1):
                for l3, polar3, _, _ in output.segments:
                    # parity of Y_l2 is (-1)^l2: polar to polar needs l1 + l2 + l3 even
                    even = (l1 + l2 + l3) % 2 == 0
                    if not abs(l1 - l3) <= l2 <= l1 + l3 or even != (polar1 == polar3):
                        continue
                    c = columns[l3, polar3]
                    path, place = product.paths[r, c], degrees.get((r, c), 0)
                    degrees[r, c] = place + 1
                    left, right = weights[f"{name}.weights1.{number}"], weights[f"{name}.weights2.{number}"]
                    number += 1
                    if (l3, polar3) == (0, True):
                        left, right = (_gates_in_front(x, product.output, output) for x in (left, right))
                    product.left[path][place, start : start + count] = left
                    product.right[path][place, product.right_row(r, k)] = right[0]


def _gates_in_front(weight: torch.Tensor, channels: Channels, order: IrrepsOrder) -> torch.Tensor:
    """Columns (scalars, gates in their order) -> (gates in our order, scalars)."""
    scalars = channels.scalars
    # a gate for every channel that is no scalar, in their order of channels
    gated = order.order[scalars:] - scalars
    return torch.cat([weight[:, scalars:][:, gated], weight[:, :scalars]], dim=1)


def ordered_pairs(layout: BlockIrreps) -> list[tuple[int, int]]:
    """Ordered shell pairs of the united list, in order of first appearance over element pairs."""
    elements = [layout.basis.union_index(z).tolist() for z in layout.basis.elements]
    return list(dict.fromkeys((a, b) for first in elements for second in elements for a in first for b in second))


def _last_irreps(layout: BlockIrreps, pairs: list[tuple[int, int]]) -> o3.Irreps:
    """Irreps of the last pair state: those of all blocks, sorted and simplified."""
    parts = [(1, (l, (-1) ** (layout.shells[a] + layout.shells[b]))) for a, b in pairs for l in _coupled(layout, a, b)]
    return o3.Irreps(parts).sort().irreps.simplify()


def _coupled(layout: BlockIrreps, a: int, b: int) -> range:
    l1, l2 = layout.shells[a], layout.shells[b]
    return range(abs(l1 - l2), l1 + l2 + 1)


def _head(
    head: HermitianHead, weights: Weights, order: IrrepsOrder, layout: BlockIrreps, pairs: list[tuple[int, int]]
) -> None:
    """One output an irrep of an ordered pair; their blocks (a, b), a > b, are our `lower` ones of (b, a)."""
    columns: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    places: dict[tuple[int, bool], list[int]] = {}
    bias_place = 0
    for a, b in pairs:
        for l in _coupled(layout, a, b):
            key = (l, (layout.shells[a] + layout.shells[b] + l) % 2 == 0)
            columns.setdefault(key, []).append((a, b))
            if l == 0:
                places.setdefault(key, []).append(bias_place)
                bias_place += 1
    flat, bias, start = weights["lin_edge.weight"], weights["lin_edge.bias"], 0
    blocks = {}
    for l, polar, _, rows in order.segments:
        count = len(columns[l, polar])
        # their 3j symbols of unit norm: 1 / sqrt(2l + 1) of our coupled features
        blocks[l, polar] = flat[start : start + rows * count].reshape(count, rows).T / (2 * l + 1) ** 0.5
        start += rows * count
    for c in layout.classes:
        theirs = columns[c.l, c.polar]
        wanted = [tuple(pair) for pair in c.shell_pairs.tolist()]
        for mixing, keys in ((head.upper, wanted), (head.lower, [(b, a) for a, b in wanted if a != b])):
            if mixing is None or not keys:
                continue
            index = torch.tensor([theirs.index(key) for key in keys])
            (k,) = [k for k, p in enumerate(mixing.paths) if (p[0], p[3]) == _place(mixing.output, c.l, c.polar)]
            mixing.weights[k].copy_(blocks[c.l, c.polar][:, index])
            if c.l == 0 and mixing.bias is not None:
                mixing.bias.copy_(bias[torch.tensor(places[0, True])[index]])


def _place(channels: Channels, l: int, polar: bool) -> tuple[int, int]:
    """(l, first channel) of an irrep among the channels."""
    return l, next(first for m, n, first, _ in channels.parity_blocks if (m, n) == (l, polar))
