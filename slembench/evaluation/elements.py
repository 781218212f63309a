"""Errors of matrix elements: columns of the per-structure table, and the tables over the whole split.

Every MAE, RMSE and largest error begins here: `ElementScorer.columns` writes the error sums and element counts of each
structure (`slembench.metrics.matrix.structure_sums`), of which `slembench.metrics.scores` makes the averages.
"""

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
    ErrorBlocks,
    OrbitalSums,
    add_sums,
    distance_sums,
    gauge_shifts,
    orbital_sums,
    structure_sums,
    subtract_gauge,
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
        for op, errors in batch.errors.items():
            columns |= self._operator_columns(op, batch, errors)
        if "hamiltonian" in batch.errors and "overlap" in batch.reference:
            columns |= self._gauge_columns(batch)
        return columns

    def _operator_columns(self, op: str, batch: Batch, errors: ErrorBlocks) -> Columns:
        self._sums[op] = add_sums((self._sums[op], orbital_sums(errors)))
        # lengths of the scored pairs are the same for every operator; extra predicted pairs have lengths of their own
        lengths = batch.pair_lengths if errors.delta.n_pairs == errors.n_scored else batch.lengths(errors.delta)
        self._by_distance[op] += distance_sums(errors, lengths, self._edges)
        missing, extra = self._list_issues(op, batch, errors)
        columns: Columns = {f"{op}.missing_blocks": missing, f"{op}.extra_blocks": extra}
        for (part, counting), sums in structure_sums(errors, batch.starts, self.basis).items():
            name = f"{op}.{part}.{counting}"
            columns |= {f"{name}.abs_sum": sums.absolute, f"{name}.sq_sum": sums.square}
            columns |= {f"{name}.count": sums.count, f"{name}.max": sums.largest}
        block = challenging_block(self.card, op)
        if block is not None:
            absolute, count = block_sums(errors, batch.starts, self.basis, block)
            name = f"{op}.mae_challenging_block"
            columns |= {f"{name}.abs_sum": absolute, f"{name}.count": count}
        return columns

    def _gauge_columns(self, batch: Batch) -> Columns:
        """Gauge shift mu of H, and the sums of |Delta - mu S|; their element counts are those of Delta."""
        errors = batch.errors["hamiltonian"]
        mu, overlap = gauge_shifts(errors, batch.reference["overlap"], batch.starts)
        columns: Columns = {"hamiltonian.mu": mu}
        shifted = subtract_gauge(errors, overlap, mu, batch.starts)
        for (part, counting), sums in structure_sums(shifted, batch.starts, self.basis).items():
            columns[f"hamiltonian.gauge.{part}.{counting}.abs_sum"] = sums.absolute
        return columns

    def _list_issues(self, op: str, batch: Batch, errors: ErrorBlocks) -> tuple[Any, Any]:
        """Add single blocks that are missing or extra to `issues`; returns their numbers in each structure."""
        delta, starts = errors.delta, batch.starts
        counts = []
        for kind, pairs in (("missing", errors.missing), ("extra", np.arange(errors.n_scored, delta.n_pairs))):
            structure = np.searchsorted(starts, delta.pair_index[pairs, 0], side="right") - 1
            counts.append(np.bincount(structure, minlength=len(batch.samples)))
            for k, pair in zip(structure.tolist(), pairs.tolist()):
                if kind == "extra" or batch.predicted[k]:  # a structure without a prediction lacks all of them
                    atoms = delta.pair_index[pair] - starts[k]
                    place = (*atoms.tolist(), *delta.pair_shift[pair].tolist())
                    self.issues.append((batch.samples[k].id, op, kind, *place))
        return counts[0], counts[1]

    def block_table(self) -> pd.DataFrame:
        """`mae_block` of all operators, over all batches so far."""
        tables = [block_table(sums, self.basis).assign(operator=op) for op, sums in self._sums.items()]
        return pd.concat(tables, ignore_index=True)

    def distance_table(self) -> pd.DataFrame:
        """`mae_by_distance` of all operators, over all batches so far; empty bins are left out."""
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
