"""A DeePTB checkpoint (``nnenv.*.pth`` of the package dptb, methods slem and lem) as a model of ours.

What dptb 2.2 stores with `torch.save`: ``config`` (``model_options``, ``common_options``, ``train_options``),
``model_state_dict``, ``task``, ``epoch``, ``iteration``, ``stats`` and the states of optimiser and schedule: tensors,
numbers, strings and containers of these, which `torch.load` reads with ``weights_only=True``. A file that holds
anything else, such as code, is refused unread.

Shells, signs and the order m = -l..l are those used here. Same-shell on-site blocks, which are not Hermitian there, are
averaged here; blocks of pairs beyond the cutoff, which dptb fills with the overlap head's bias, are absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slembench.core.errors import ConfigError
from slembench.models.pair_frame import OverlapHead, PairFrameModel
from slembench.models.slem.options import model_of
from slembench.models.slem.weights import load_embedding, raw_irreps
from slembench.nn.heads import ResidualMLP
from slembench.nn.readout import TargetStatistics
from slembench.operators.irreps import BlockIrreps
from slembench.operators.rotations import clebsch_gordan

KEYS = ("config", "model_state_dict")
WITHOUT_EFFECT = (
    "output_mask",
    "balance_degree_weight",
    "init_layer.sln_e.affine_weight",
    "init_layer.sln_e.affine_bias",
)
"""Ends of the names of buffers that follow from the options, and of LEM's second initial norm, which it never uses."""


def read_deeptb(path: str | Path, energy_unit: str) -> tuple[PairFrameModel, dict[str, Any]]:
    """Model and origin of a DeePTB checkpoint.

    Args:
        path: the ``.pth`` file.
        energy_unit: unit of the Hamiltonians that it was trained on; DeePTB does not record it (mostly eV).

    Returns:
        The model in the dtype of the file, in evaluation mode, and JSON values: iteration, epoch, task.

    Raises:
        ConfigError: no such file, one that holds more than tensors and plain values, no checkpoint of dptb, an option
            without a counterpart, or weights that are missing, of another shape or not understood; names it.
    """
    content = _load(Path(path))
    model = model_of(content["config"], str(path))
    weights = _Weights(content["model_state_dict"], str(path))
    _check_neighbours(weights, str(path))
    try:
        load_embedding(model, weights.below("embedding."))
        _load_scales(model, weights)
        if "overlap" in model.targets:
            _load_overlap(model, weights)
    except (RuntimeError, IndexError) as error:
        raise ConfigError(f"{path}: weight {weights.last!r} does not fit the options ({error})") from None
    unused = weights.unused()
    if unused:
        raise ConfigError(f"{path}: weight {unused[0]!r} has no counterpart; {len(unused)} such weights in all")
    model.energy_unit = energy_unit
    origin = {key: content[key] for key in ("task", "epoch", "iteration") if isinstance(content.get(key), str | int)}
    return model.to(weights.dtype).eval(), origin


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and its unpickler raise many kinds
        raise ConfigError(
            f"{path}: not a file of tensors and plain values alone, or damaged; refused unread ({type(error).__name__})"
        ) from None
    missing = [key for key in KEYS if not isinstance(content, dict) or not isinstance(content.get(key), dict)]
    if missing:
        raise ConfigError(f"{path}: no {missing[0]!r} in it: not a checkpoint of dptb (its files are nnenv.*.pth)")
    for part, keys in (("model_options", ("embedding", "prediction")), ("common_options", ("basis",))):
        options = content["config"].get(part)
        lacking = [k for k in keys if not isinstance(options, dict) or not isinstance(options.get(k), dict)]
        if lacking and not (isinstance(options, dict) and set(options) & {"nnsk", "dftbsk"}):
            raise ConfigError(
                f"{path}: config.{part} has no {lacking[0]!r}: only models of method slem or lem are read"
            )
    return content  # type: ignore[no-any-return]


class _Weights(Mapping[str, torch.Tensor]):
    """A state dict that notes what was asked for."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], where: str, prefix: str = "") -> None:
        self.tensors, self.where, self.prefix = tensors, where, prefix
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> torch.Tensor:
        name = self.prefix + key
        self.asked.append(name)
        if name not in self.tensors:
            raise ConfigError(f"{self.where}: weight {name!r} is missing")
        tensor = self.tensors[name]
        if not isinstance(tensor, torch.Tensor):
            raise ConfigError(f"{self.where}: weight {name!r} is a {type(tensor).__name__}, not a tensor")
        if not torch.isfinite(tensor).all():
            raise ConfigError(f"{self.where}: weight {name!r} holds values that are not finite")
        # mappings between the two conventions are computed in float64, then cast back to the file's type
        return tensor.double()

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self.prefix) for name in self.tensors if name.startswith(self.prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def below(self, prefix: str) -> _Weights:
        """Those under a prefix; what is asked of them is noted here too."""
        part = _Weights(self.tensors, self.where, self.prefix + prefix)
        part.asked = self.asked
        return part

    @property
    def last(self) -> str:
        """Name of the weight that was asked for last."""
        return self.asked[-1]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.tensors[self.asked[0]].dtype

    def unused(self) -> list[str]:
        """Names that nobody asked for, without empty tensors and those of no effect."""
        names = set(self.tensors) - set(self.asked)
        return sorted(n for n in names if self.tensors[n].numel() and not n.endswith(WITHOUT_EFFECT))


def _check_neighbours(weights: _Weights, where: str) -> None:
    """One average number of neighbours in all layers is what a model here has."""
    names = [name for name in weights if name.endswith("env_sum_normalizations")]
    values = [weights[name] for name in names]
    if any(v.ndim or not torch.equal(v, values[0]) for v in values):
        raise ConfigError(f"{where}: avg_num_neighbors differs between species or layers; one number can be imported")


def _load_scales(model: PairFrameModel, weights: _Weights) -> None:
    """Scales of every irrep and shifts of the scalars, by species and by pair of species."""
    layout, statistics = model.layout, model.statistics["hamiltonian"]
    assert isinstance(statistics, TargetStatistics)
    irreps = raw_irreps(layout)
    number = {irrep: k for k, irrep in enumerate(irreps)}
    scalars = {irrep: k for k, irrep in enumerate(i for i in irreps if i[2] == 0)}  # l1 = l2: true scalars
    for name, own, mask in (
        ("node", "onsite", torch.from_numpy(layout.onsite_mask)),
        ("edge", "pair", torch.from_numpy(layout.pair_mask)),
    ):
        scales, shifts = (weights[f"{name}_prediction_h.{kind}"] for kind in ("scales", "shifts"))
        scale, shift = getattr(statistics, f"{own}_scale"), getattr(statistics, f"{own}_shift")
        for c in layout.classes:
            paths = [(a, b, c.l) for a, b in c.shell_pairs.tolist()]
            columns = torch.tensor([number[p] for p in paths]).repeat(2 * c.l + 1)
            scale[:, c.slice] = scales[:, columns]
            if c.l == 0:
                shift[:, c.slice] = shifts[:, torch.tensor([scalars[p] for p in paths])]
        scale.mul_(mask)
        shift.mul_(mask)


@torch.no_grad()
def _load_overlap(model: PairFrameModel, weights: _Weights) -> None:
    """Overlap head: its Slater-Koster integrals become irreps in the last linear map; on-site S from its parameters."""
    head, layout, statistics = model.overlap_head, model.layout, model.statistics["overlap"]
    assert isinstance(statistics, TargetStatistics)
    assert isinstance(head, OverlapHead)
    assert isinstance(head.network, ResidualMLP)
    for k, block in enumerate(head.network.blocks):
        assert isinstance(block, nn.ModuleList)
        for own, name in zip(block, ("in_layer", "out_layer")):
            for kind in ("weight", "bias"):
                getattr(own, kind).copy_(weights[f"edge_prediction_s.layers.{k}.layer.{name}.{kind}"])
    mixing = slater_koster_irreps(layout)
    for kind in ("weight", "bias"):
        getattr(head.network.output, kind).copy_(mixing @ weights[f"edge_prediction_s.out_layer.linear.{kind}"])
    (scalar,) = [c for c in layout.classes if c.l == 0 and c.polar]
    pairs = scalar.shell_pairs.tolist()
    values = torch.ones(len(layout.basis.elements), len(pairs), dtype=torch.float64)
    # orthonormal orbitals of one atom: S = 1 within a shell, a parameter between shells of one l
    if any(a != b for a, b in pairs):  # free where two shells of one l differ, one where they are the same
        mixed = torch.tensor([a != b for a, b in pairs])
        order = sorted(range(len(pairs)), key=lambda k: (layout.shells[pairs[k][0]], *pairs[k]))
        values[:, order] = weights["overlaponsite_param"][:, :, 0]
        values[:, ~mixed] = 1.0
    # the unit matrix of a shell couples to L = 0 with the value sqrt(2l + 1)
    sizes = torch.tensor([math.sqrt(2 * layout.shells[a] + 1) for a, _ in pairs], dtype=torch.float64)
    for name in ("onsite", "pair"):
        mask = torch.from_numpy(getattr(layout, f"{name}_mask"))
        getattr(statistics, f"{name}_scale").copy_(mask)
    onsite = torch.from_numpy(layout.onsite_mask)[:, scalar.slice]
    statistics.onsite_shift[:, scalar.slice] = values * sizes * onsite


def slater_koster_irreps(layout: BlockIrreps) -> torch.Tensor:
    """(channels of `OverlapHead`, Slater-Koster integrals in DeePTB's order) float64 | the linear map between them.

    A bond along the polar axis has <l1 m| S |l2 m'> = (-1)^(l1 + l2) V_|m| delta_mm' for l1 < l2, without the sign for
    l1 >= l2; coupled to L its only component is M = 0.
    """
    shells = layout.shells
    pairs = sorted(layout.shell_pairs.tolist(), key=lambda p: (shells[p[0]], shells[p[1]], p[0], p[1]))
    sizes = [min(shells[a], shells[b]) + 1 for a, b in pairs]
    first = {(a, b): sum(sizes[:k]) for k, (a, b) in enumerate(pairs)}
    rows = []
    for c in layout.classes:
        for a, b in c.shell_pairs.tolist() if c.polar else []:
            l1, l2 = shells[a], shells[b]
            coupling, row = clebsch_gordan(l1, l2, c.l)[:, :, c.l], torch.zeros(sum(sizes), dtype=torch.float64)
            for m in range(-min(l1, l2), min(l1, l2) + 1):
                sign = (-1) ** (l1 + l2) if l1 < l2 else 1
                row[first[a, b] + abs(m)] += sign * coupling[l1 + m, l2 + m] / math.sqrt(2 * c.l + 1)
            rows.append(row)
    return torch.stack(rows)
