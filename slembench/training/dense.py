"""Dense matrices M(k) of all structures of a batch from operator features, differentiable.

M(k) = sum_R exp(2 pi i k.R) M(R), k fractional. Structures of different size are padded to the largest one with rows
and columns of zeros. At Gamma alone the matrices are real.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from slembench.data.graph import OperatorGraph
from slembench.nn.readout import OperatorFeatures
from slembench.operators.irreps import BlockIrreps


class ElementPlaces:
    """Where the elements of every pair type stand in its block.

    Attributes:
        mask: (n_elements ** 2, F) bool | elements that a pair type has.
        row, column: (n_elements ** 2, F) int64 | orbital of atom i and of atom j; zero where masked.
        sizes: (n_elements,) int64 | orbitals of an element.
        weight: (F,) float64 | 1/2 for elements of a shell with itself, which both directions of a pair hold.
    """

    def __init__(self, layout: BlockIrreps) -> None:
        self.layout = layout
        elements, basis = layout.basis.elements, layout.basis
        shape = (len(elements) ** 2, layout.n_features)
        row, column = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        # pair types number (z_i, z_j) row by row: kind = n_elements * species_i + species_j
        for kind, (z_i, z_j) in enumerate((a, b) for a in elements for b in elements):
            where, places = layout.block_places(z_i, z_j)
            row[kind, where], column[kind, where] = np.divmod(places, basis.size(z_j))
        self.row, self.column = torch.from_numpy(row), torch.from_numpy(column)
        self.mask = torch.as_tensor(layout.pair_element_mask)
        self.sizes = torch.tensor([basis.size(z) for z in elements])
        self.weight = torch.as_tensor(layout.half_weight)

    def to(self, device: torch.device) -> ElementPlaces:
        """The same tables on another device."""
        for name in ("row", "column", "mask", "sizes", "weight"):
            setattr(self, name, getattr(self, name).to(device))
        return self


class DenseMatrices:
    """Maps operator features of one batch to matrices.

    Args:
        places: tables of the layout.
        graph: the batch.
        kpoints: (B, n_k, 3) | fractional points of every structure.
    """

    def __init__(self, places: ElementPlaces, graph: OperatorGraph, kpoints: Tensor) -> None:
        self.places, self.kpoints = places, kpoints
        n_atoms, n_types = len(graph.species), len(places.sizes)
        atoms = torch.arange(n_atoms, device=graph.species.device)
        self.structure = graph.batch if "batch" in graph and graph.batch is not None else torch.zeros_like(atoms)
        sizes = places.sizes[graph.species]
        self.orbitals = torch.zeros(len(kpoints), dtype=torch.int64, device=atoms.device)
        # first orbital of every atom within its own structure: running sum over the batch, less the structure's start
        self.orbitals.index_add_(0, self.structure, sizes)
        start = self.orbitals.cumsum(0) - self.orbitals
        first = sizes.cumsum(0) - sizes - start[self.structure]
        self.size = int(self.orbitals.max())
        i, j = torch.cat([atoms, graph.pair_index[0]]), torch.cat([atoms, graph.pair_index[1]])
        kind = torch.cat([graph.species * (n_types + 1), graph.pair_type])
        self.shift = torch.cat([graph.pair_shift.new_zeros(n_atoms, 3), graph.pair_shift])
        # of all (block, feature) entries only those that the pair's elements have
        self.rows, self.features = places.mask[kind].nonzero(as_tuple=True)
        kinds = kind[self.rows]
        self.block_structure = self.structure[i]
        row = first[i][self.rows] + places.row[kinds, self.features]
        column = first[j][self.rows] + places.column[kinds, self.features]
        # flat position in (B, n, n)
        self.target = (self.block_structure[self.rows] * self.size + row) * self.size + column

    @property
    def real(self) -> bool:
        """True where all matrices are real: one k-point, Gamma."""
        return self.kpoints.shape[1] == 1 and not bool(self.kpoints.any())

    @cached_property
    def _phase(self) -> Tensor:
        """(n_k, blocks) complex128 | exp(2 pi i k.R) of every block."""
        angle = 2 * math.pi * torch.einsum("bkx,bx->kb", self.kpoints[self.block_structure], self.shift.double())
        return torch.polar(torch.ones_like(angle), angle)

    def __call__(self, features: OperatorFeatures) -> Tensor:
        """(n_k, B, n, n) | float64 or complex128, Hermitian, in the unit of the features, which may have any dtype."""
        blocks = torch.cat([features.onsite, features.pair]).double()
        # Each element is written once and the Hermitian conjugate added at the end, which fills shell pairs a > b.
        # Elements of a shell with itself are there twice (in both directions of a pair; in an on-site block with their
        # transpose), so they enter with the weight 1/2.
        elements = self.places.layout.to_elements(blocks) * self.places.weight
        values = elements[self.rows, self.features].expand(self.kpoints.shape[1], -1)
        if not self.real:
            values = values * self._phase[:, self.rows]
        # index_add, not assignment: blocks with different R of one pair of atoms add up in M(k)
        flat = values.new_zeros(len(values), len(self.kpoints) * self.size**2).index_add(1, self.target, values)
        half = flat.reshape(len(values), len(self.kpoints), self.size, self.size)
        return half + half.mH
