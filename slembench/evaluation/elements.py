"""Columns of the per-structure table that follow from matrix elements, and the tables over the whole split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from slembench.data import Card, Dataset
from slembench.evaluation.batch import Batch
from slembench.metrics.block_table import block_table
from slembench.metrics.challenging import Block, block_sums
from slembench.metrics.matrix import (
    BlockType,
    Difference,
    OrbitalSums,
    add_sums,
    distance_sums,
    gauge_shifts,
    orbital_sums,
    structure_sums,
    without_gauges,
)

DISTANCE_BIN = 0.5
"""Width in Angstrom of the bins of the error-by-distance table."""

Columns = dict[str, Any]
"""Column name -> one value a structure of a batch."""


class ElementScorer:
    """Matrix metrics of batches, and what is summed over the split.

    Attributes:
        issues: id, operator, kind (missing | extra), i, j, R1, R2, R3 of single blocks.

    Args:
        dataset: the data set.
        operators: operators to score.
    """

    def __init__(self, dataset: Dataset, operators: tuple[str, ...]) -> None:
        self.basis, self.card = dataset.basis, dataset.card
        self.issues: list[tuple[Any, ...]] = []
        self._sums: dict[str, dict[BlockType, OrbitalSums]] = {op: {} for op in operators}
        self._edges = np.arange(0, max(dataset.cutoffs.values()) + DISTANCE_BIN, DISTANCE_BIN)
        self._by_distance = {op: np.zeros((3, len(self._edges) - 1)) for op in operators}

    def columns(self, batch: Batch) -> Columns:
        """Columns of one batch: sums over elements of every operator, the gauge shift of H and the sums without it."""
        columns: Columns = {}
        for op, result in batch.results.items():
            columns |= self._operator_columns(op, batch, result)
        if "hamiltonian" in batch.results and "overlap" in batch.reference:
            columns |= self._gauge_columns(batch)
        return columns

    def _operator_columns(self, op: str, batch: Batch, result: Difference) -> Columns:
        self._sums[op] = add_sums((self._sums[op], orbital_sums(result)))
        same = len(result.delta.pair_index) == result.n_scored
        lengths = batch.pair_lengths if same else batch.lengths(result.delta)
        self._by_distance[op] += distance_sums(result, lengths, self._edges)
        missing, extra = self._list_issues(op, batch, result)
        columns: Columns = {f"{op}.missing_blocks": missing, f"{op}.extra_blocks": extra}
        for (part, counting), sums in structure_sums(result, batch.starts, self.basis).items():
            name = f"{op}.{part}.{counting}"
            columns |= {f"{name}.abs_sum": sums.absolute, f"{name}.sq_sum": sums.square}
            columns |= {f"{name}.count": sums.count, f"{name}.max": sums.largest}
        block = challenging_block(self.card, op)
        if block is not None:
            absolute, count = block_sums(result, batch.starts, self.basis, block)
            name = f"{op}.mae_challenging_block"
            columns |= {f"{name}.abs_sum": absolute, f"{name}.count": count}
        return columns

    def _gauge_columns(self, batch: Batch) -> Columns:
        result = batch.results["hamiltonian"]
        mu, overlap = gauge_shifts(result, batch.reference["overlap"], batch.starts)
        columns: Columns = {"hamiltonian.mu": mu}
        left = structure_sums(without_gauges(result, overlap, mu, batch.starts), batch.starts, self.basis)
        for (part, counting), sums in left.items():
            columns[f"hamiltonian.gauge.{part}.{counting}.abs_sum"] = sums.absolute
        return columns

    def _list_issues(self, op: str, batch: Batch, result: Difference) -> tuple[Any, Any]:
        """Add single blocks that are missing or extra to `issues`; returns their numbers in each structure."""
        delta, starts = result.delta, batch.starts
        counts = []
        for kind, pairs in (("missing", result.missing), ("extra", np.arange(result.n_scored, delta.n_pairs))):
            structure = np.searchsorted(starts, delta.pair_index[pairs, 0], side="right") - 1
            counts.append(np.bincount(structure, minlength=len(batch.samples)))
            for k, pair in zip(structure.tolist(), pairs.tolist()):
                if kind == "extra" or batch.predicted[k]:
                    atoms = delta.pair_index[pair] - starts[k]
                    place = (*atoms.tolist(), *delta.pair_shift[pair].tolist())
                    self.issues.append((batch.samples[k].id, op, kind, *place))
        return counts[0], counts[1]

    def block_table(self) -> pd.DataFrame:
        """Per-block table of all operators."""
        tables = [block_table(sums, self.basis).assign(operator=op) for op, sums in self._sums.items()]
        return pd.concat(tables, ignore_index=True)

    def distance_table(self) -> pd.DataFrame:
        """Error by distance of all operators; empty bins are left out."""
        tables = []
        for op, (absolute, elements, pairs) in self._by_distance.items():
            table = pd.DataFrame({"operator": op, "lower": self._edges[:-1], "upper": self._edges[1:]})
            table = table.assign(abs_sum=absolute, elements=elements.astype(int), pairs=pairs.astype(int))
            tables.append(table.assign(mae=absolute / np.maximum(elements, 1))[elements > 0])
        return pd.concat(tables, ignore_index=True)


def challenging_block(card: Card, operator: str) -> Block | None:
    """The card's challenging block of an operator: element and shell of i, element and shell of j."""
    blocks = card.challenging.blocks.items() if card.challenging else ()
    return next((block for name, block in blocks if name == operator), None)
