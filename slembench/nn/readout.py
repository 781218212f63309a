"""The shared read-out: from a model's unit-scale irreps to features in the unit of the data.

Wigner-Eckart: a block <l1| M |l2> is l1 (x) l2 = |l1 - l2| .. l1 + l2 coupled by real Clebsch-Gordan coefficients
(`slembench.operators.irreps`). Here stand the statistics of the target: one scale for each irrep of each element
(on-site) and element pair, and a shift for the scalars, fitted on training structures and part of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from slembench.operators.irreps import BlockIrreps


class OperatorFeatures(NamedTuple):
    """Features of one operator in the irreps layout, unit of the data.

    Attributes:
        onsite: (N, F) on-site blocks.
        pair: (P, F) off-site pairs, both directions.
    """

    onsite: torch.Tensor
    pair: torch.Tensor


class TargetStatistics(nn.Module):
    """Scale and shift of one operator's features.

    Buffers: ``onsite_scale``, ``onsite_shift`` (n_elements, F); ``pair_scale``, ``pair_shift`` (n_elements^2, F);
    unit of the data. Features that do not exist for an element (pair) have scale and shift zero. Pair shifts stay zero
    unless asked for: they would step at the cutoff.

    Args:
        layout: irreps layout.
        pair_shifts: fit shifts of the pair scalars too.
    """

    onsite_scale: torch.Tensor
    onsite_shift: torch.Tensor
    pair_scale: torch.Tensor
    pair_shift: torch.Tensor

    def __init__(self, layout: BlockIrreps, pair_shifts: bool = False) -> None:
        super().__init__()
        self.pair_shifts = pair_shifts
        dtype = torch.get_default_dtype()
        self.register_buffer("onsite_scale", torch.from_numpy(layout.onsite_mask).to(dtype))
        self.register_buffer("onsite_shift", torch.zeros(layout.onsite_mask.shape, dtype=dtype))
        self.register_buffer("pair_scale", torch.from_numpy(layout.pair_mask).to(dtype))
        self.register_buffer("pair_shift", torch.zeros(layout.pair_mask.shape, dtype=dtype))
        self._scalar = torch.from_numpy(layout.scalar)
        self._path = torch.from_numpy(layout.path)
        self._masks = (torch.from_numpy(layout.onsite_mask), torch.from_numpy(layout.pair_mask))

    def forward(self, unit_scale: OperatorFeatures, species: torch.Tensor, pair_type: torch.Tensor) -> OperatorFeatures:
        """Unit-scale features -> features in the unit of the data; species (N,), pair_type (P,)."""
        # y = shift + scale x, by element and irrep; a shift is not zero for true scalars alone
        onsite = torch.addcmul(self.onsite_shift[species], unit_scale.onsite, self.onsite_scale[species])
        pair = unit_scale.pair * self.pair_scale[pair_type]
        return OperatorFeatures(onsite, pair + self.pair_shift[pair_type] if self.pair_shifts else pair)

    def fit(self, parts: Iterable[tuple[OperatorFeatures, torch.Tensor, torch.Tensor]]) -> None:
        """Fit scale and shift.

        Args:
            parts: (target features, species (N,), pair_type (P,)) of each training structure.
        """
        onsite, pair = _Moments(*self.onsite_scale.shape), _Moments(*self.pair_scale.shape)
        for features, species, pair_type in parts:
            onsite.add(features.onsite, species)
            pair.add(features.pair, pair_type)
        nothing = torch.zeros_like(self._scalar)
        for name, moments, mask, shifted in (
            ("onsite", onsite, self._masks[0], self._scalar),
            ("pair", pair, self._masks[1], self._scalar if self.pair_shifts else nothing),
        ):
            scale, shift = moments.result(mask, shifted, self._path)
            getattr(self, f"{name}_scale").copy_(scale)
            getattr(self, f"{name}_shift").copy_(shift)


class _Moments:
    """Running count, sum and sum of squares of rows by type, float64.

    Args:
        n_types: number of types.
        size: features in a row.
    """

    def __init__(self, n_types: int, size: int) -> None:
        self.count = torch.zeros(n_types, dtype=torch.float64)
        self.total = torch.zeros(n_types, size, dtype=torch.float64)
        self.square = torch.zeros(n_types, size, dtype=torch.float64)

    def add(self, values: torch.Tensor, types: torch.Tensor) -> None:
        """Rows (n, F) of the given types (n,)."""
        # float64: E[x^2] - E[x]^2 loses all digits in float32 where the mean is large (on-site energies)
        values, types = values.detach().to("cpu", torch.float64), types.cpu()
        self.count.index_add_(0, types, torch.ones(len(types), dtype=torch.float64))
        self.total.index_add_(0, types, values)
        self.square.index_add_(0, types, values.square())

    def result(
        self, mask: torch.Tensor, shifted: torch.Tensor, path: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Per type (T, F): root mean square of each irrep around the shift, and the shift (mean, where ``shifted``)."""
        count = self.count.clamp(min=1.0)[:, None]
        mean = self.total / count * (shifted & mask)
        # rounding can make a variance of zero negative
        square = (self.square / count - mean.square()).clamp(min=0.0)
        n_paths = int(path.max()) + 1
        # one scale for all 2L + 1 components of an irrep: different ones would break equivariance
        per_path = square.new_zeros(len(square), n_paths).index_add(1, path, square)
        components = square.new_zeros(n_paths).index_add(0, path, torch.ones(len(path), dtype=square.dtype))
        return (per_path / components).sqrt()[:, path] * mask, mean


def statistics_of(layout: BlockIrreps, targets: Iterable[str], pair_shifts: bool = False) -> nn.ModuleDict:
    """One `TargetStatistics` for each target operator."""
    return nn.ModuleDict({name: TargetStatistics(layout, pair_shifts) for name in targets})


def split_features(graph: Mapping[str, torch.Tensor], name: str) -> tuple[OperatorFeatures, torch.Tensor, torch.Tensor]:
    """Targets of operator ``name`` in a graph, with its species (N,) and pair types (P,)."""
    return OperatorFeatures(graph[f"{name}_onsite"], graph[f"{name}_pair"]), graph["species"], graph["pair_type"]
