"""From predictions to numbers: a table with one row a structure, and the scores that follow from it alone.

Every structure of the split is scored. One without a prediction is scored as if zero had been predicted, and listed; a
missing block counts as zero, an extra one against zero, and both are listed (see `slembench.metrics.matrix`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from slembench.blocks import BlockMatrix
from slembench.data import Card, Dataset, Sample
from slembench.errors import DataError, PredictionError
from slembench.metrics.blocks import block_table
from slembench.metrics.matrix import (
    BlockType,
    Difference,
    OrbitalSums,
    Sums,
    add_sums,
    difference,
    distance_sums,
    element_sums,
    gauge_shift,
    orbital_sums,
    without_gauge,
)
from slembench.metrics.reference import LevelCache
from slembench.metrics.scores import Score, scores_from_table
from slembench.metrics.spectrum import band_metrics, k_mesh, level_metrics, levels, overlap_minimum
from slembench.predictions import OPERATORS, PredictionSource
from slembench.units import energy_factor

DISTANCE_BIN = 0.5
"""Width in Angstrom of the bins of the error-by-distance table."""

INSULATOR_EV = 0.1
"""Bands are aligned at the valence-band maximum where the reference gap exceeds this."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of one predictions file on one split.

    Attributes:
        dataset: name of the data set.
        split: name of the split.
        model: name of the model.
        per_structure: one row a structure; all scores follow from it (`scores_from_table`). Columns: ``id``, ``group``,
            ``n_atoms``, ``energy_unit``, ``predicted`` (False: counted as zero), and for each operator
            ``<op>.<onsite|offsite>.<full|reduced>.<abs_sum|sq_sum|count|max>``, ``<op>.missing_blocks``,
            ``<op>.extra_blocks``; for H with an S also ``hamiltonian.mu``, the sums
            ``hamiltonian.gauge.<part>.<counting>.abs_sum`` and the levels' errors. Energies in ``energy_unit``.
        scores: name -> value and unit.
        unavailable: score or metric -> why it has no value.
        blocks: `mae_block` over the split, with a column ``operator``.
        distances: `mae_by_distance` over the split: operator, lower, upper (Angstrom), mae, abs_sum, elements, pairs.
        missing: ids of structures without a prediction.
        unknown: ids in the predictions that are not in the split; they are not scored.
        block_issues: id, operator, kind (missing | extra), i, j, R1, R2, R3 of single blocks.
    """

    dataset: str
    split: str
    model: str
    per_structure: pd.DataFrame
    scores: dict[str, Score]
    unavailable: dict[str, str]
    blocks: pd.DataFrame
    distances: pd.DataFrame
    missing: list[str]
    unknown: list[str]
    block_issues: pd.DataFrame


def evaluate(
    dataset: Dataset,
    predictions: PredictionSource,
    split: str = "test",
    *,
    operators: Sequence[str] | None = None,
    bands: bool = True,
    cache: Path | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> Evaluation:
    """Score predictions on a split.

    Args:
        dataset: the data set; its card fixes pairs, units, k mesh and window.
        predictions: an open predictions file, or a floor.
        split: split to score.
        operators: operators to score; by default all that are predicted and that the data set has.
        bands: compute levels too (needs H, S and electrons; the card's k mesh for crystals).
        cache: folder for reference levels, which cost as much as the predicted ones; None for no cache.
        progress: wraps the iteration over structures (a progress bar).

    Raises:
        PredictionError: predictions of another data set, version of it, basis or atoms, or without an operator that
            was asked for.
        DataError: no such split, or broken data.
    """
    scorer = _Scorer(dataset, predictions, _chosen_operators(dataset, predictions, operators), bands, cache)
    ids = dataset.split(split)
    present = set(predictions.ids)
    rows = [scorer.score(structure, structure in present) for structure in progress(ids)]
    table = pd.DataFrame(rows)
    scores, lacking = scores_from_table(table)
    return Evaluation(
        dataset=dataset.name,
        split=split,
        model=predictions.attrs.model,
        per_structure=table,
        scores=scores,
        unavailable=scorer.unavailable | lacking,
        blocks=scorer.block_table(),
        distances=scorer.distance_table(),
        missing=[structure for structure in ids if structure not in present],
        unknown=sorted(present - set(ids)),
        block_issues=pd.DataFrame(scorer.issues, columns=["id", "operator", "kind", "i", "j", "R1", "R2", "R3"]),
    )


def official_scores(card: Card, available: Sequence[str]) -> list[str]:
    """Names of the card's official scores, in its order, among the ``available`` ones; H first, then S and D."""
    official = card.official
    names = []
    for operator in OPERATORS:
        for metric in official.metrics:
            forms = (f"{operator}.{metric}", f"{operator}.{metric}.{official.counting}.{official.average}")
            names += [name for name in forms if name in available]
    return names


def _chosen_operators(
    dataset: Dataset, predictions: PredictionSource, operators: Sequence[str] | None
) -> tuple[str, ...]:
    """Operators to score, after checking that the predictions belong to the data set."""
    attrs, where = predictions.attrs, f"predictions of {predictions.attrs.model!r}"
    for key, found, wanted in (
        ("dataset", attrs.dataset, dataset.name),
        ("dataset_fingerprint", attrs.dataset_fingerprint, dataset.fingerprint),
        ("basis", attrs.basis.to_dict(), dataset.basis.to_dict()),
    ):
        if found != wanted:
            raise PredictionError(
                f"{where}: {key} is {found!r}, the data set's is {wanted!r}; predict on this data set"
            )
    both = tuple(op for op in dataset.card.operators if op in predictions.operators)
    lacking = [op for op in operators or () if op not in both]
    if lacking or not both:
        held = ", ".join(predictions.operators)
        raise PredictionError(
            f"{where}: cannot score {', '.join(lacking) or 'any operator'}: the predictions hold {held}, "
            f"data set {dataset.name} has {', '.join(dataset.card.operators)}"
        )
    return tuple(operators) if operators is not None else both


class _Scorer:
    """Scores structures one by one and keeps what is summed over the split."""

    def __init__(
        self, dataset: Dataset, source: PredictionSource, operators: tuple[str, ...], bands: bool, cache: Path | None
    ) -> None:
        self.dataset, self.source, self.operators = dataset, source, operators
        self.energy_unit = dataset.card.units.energy
        self.factor = energy_factor(source.attrs.energy_unit, self.energy_unit)
        self.unavailable: dict[str, str] = {}
        self.issues: list[tuple[Any, ...]] = []
        self.sums: dict[str, dict[BlockType, OrbitalSums]] = {op: {} for op in operators}
        longest = max(dataset.cutoffs.values())
        self.edges = np.arange(0, longest + DISTANCE_BIN, DISTANCE_BIN)
        self.by_distance = {op: np.zeros((3, len(self.edges) - 1)) for op in operators}
        self.mesh = self._mesh() if bands else None
        if self.mesh is not None:
            self.levels = LevelCache(cache, dataset.fingerprint, self.mesh[0])

    def _mesh(self) -> tuple[np.ndarray, np.ndarray] | None:
        card = self.dataset.card
        problem = None
        if "overlap" not in card.operators:
            problem = "the data set has no overlap"
        elif card.periodic and card.bands is None:
            problem = "the card names no k mesh (key 'bands')"
        if problem:
            self.unavailable["levels"] = problem
            return None
        return k_mesh(card.bands.kmesh if card.periodic and card.bands else (1, 1, 1))

    def score(self, structure: str, predicted: bool) -> Row:
        """Row of one structure."""
        sample = self.dataset.sample(structure)
        index, shift = self.dataset.pairs(sample)
        found = self._prediction(sample, predicted)
        row: Row = {
            "id": structure,
            "group": sample.info.group or structure,
            "n_atoms": len(sample.atoms),
            "energy_unit": self.energy_unit,
            "predicted": predicted,
        }
        overlap = sample.operators.get("overlap")
        for op in self.operators:
            result = difference(found[op], sample.operators[op], index, shift)
            row |= self._matrix_columns(op, sample, result, predicted)
            if op == "hamiltonian" and overlap is not None:
                mu = gauge_shift(result, overlap)
                row |= {"hamiltonian.mu": mu} | self._gauge_columns(without_gauge(result, overlap, mu))
                row |= self._level_columns(sample, found[op], overlap, mu)
        if self.mesh is not None and "overlap" in self.operators:
            row["overlap.s_min_eig"] = overlap_minimum(found["overlap"].hermitise(), self.mesh[0])
        return row

    def _prediction(self, sample: Sample, predicted: bool) -> Mapping[str, BlockMatrix]:
        """Predicted operators in the data set's unit; zero where there is no prediction."""
        if not predicted:
            return {op: sample.operators[op] * 0.0 for op in self.operators}
        found = dict(self.source[sample.id])
        for op in self.operators:
            if not np.array_equal(found[op].numbers, sample.atoms.numbers):
                raise PredictionError(
                    f"predictions of {self.source.attrs.model!r}: structure {sample.id!r}: atoms are "
                    f"{found[op].numbers.tolist()}, the data set's are {sample.atoms.numbers.tolist()}"
                )
        if "hamiltonian" in found and self.factor != 1.0:
            found["hamiltonian"] = found["hamiltonian"] * self.factor
        return found

    def _matrix_columns(self, op: str, sample: Sample, result: Difference, predicted: bool) -> Row:
        by_orbital = orbital_sums(result)
        self.sums[op] = add_sums((self.sums[op], by_orbital))
        vectors = result.delta.vectors(sample.atoms.positions, sample.atoms.cell.array)
        self.by_distance[op] += distance_sums(result, np.linalg.norm(vectors, axis=1), self.edges)
        extra_index, extra_shift = result.extra
        missing = result.missing
        listed = [("extra", pair) for pair in np.hstack([extra_index, extra_shift]).tolist()]
        if predicted:
            pairs = np.hstack([result.delta.pair_index[missing], result.delta.pair_shift[missing]])
            listed += [("missing", pair) for pair in pairs.tolist()]
        self.issues += [(sample.id, op, kind, *pair) for kind, pair in listed]
        counts = {f"{op}.missing_blocks": len(missing), f"{op}.extra_blocks": len(extra_index)}
        return _sum_columns(op, element_sums(by_orbital, self.dataset.basis)) | counts

    def _gauge_columns(self, result: Difference) -> Row:
        sums = element_sums(orbital_sums(result), self.dataset.basis)
        columns = _sum_columns("hamiltonian.gauge", sums)
        return {name: value for name, value in columns.items() if name.endswith(".abs_sum")}

    def _level_columns(self, sample: Sample, hamiltonian: BlockMatrix, overlap: BlockMatrix, mu: float) -> Row:
        if self.mesh is None:
            return {}
        electrons = sample.info.electrons
        if electrons is None:
            self.unavailable["levels"] = f"structure {sample.id!r} has no number of electrons"
            return {}
        kpoints, weights = self.mesh
        reference = self.levels.get(sample.id, sample.operators["hamiltonian"], overlap)
        eps = levels(hamiltonian.hermitise(), overlap, kpoints)
        ev = energy_factor("eV", self.energy_unit)
        try:
            if not self.dataset.card.periodic:
                errors = level_metrics(eps, reference.eps, electrons)
            else:
                bands = self.dataset.card.bands
                window = (bands.window_eV if bands else 0.0) * ev
                insulating = INSULATOR_EV * ev
                errors = band_metrics(
                    eps, reference.eps, weights, electrons=electrons, mu=mu, window=window, insulating=insulating
                )
        except ValueError as error:
            raise DataError(f"data set {self.dataset.name}: structure {sample.id!r}: {error}") from error
        columns = {f"hamiltonian.{name}": value for name, value in errors.items()}
        return {"reference.s_min_eig": reference.s_min_eig} | columns

    def block_table(self) -> pd.DataFrame:
        """Per-block table of all operators."""
        tables = [block_table(sums, self.dataset.basis).assign(operator=op) for op, sums in self.sums.items()]
        return pd.concat(tables, ignore_index=True)

    def distance_table(self) -> pd.DataFrame:
        """Error by distance of all operators; empty bins are left out."""
        tables = []
        for op, (absolute, elements, pairs) in self.by_distance.items():
            table = pd.DataFrame({"operator": op, "lower": self.edges[:-1], "upper": self.edges[1:]})
            table = table.assign(abs_sum=absolute, elements=elements.astype(int), pairs=pairs.astype(int))
            tables.append(table.assign(mae=absolute / np.maximum(elements, 1))[elements > 0])
        return pd.concat(tables, ignore_index=True)


def _sum_columns(prefix: str, sums: Mapping[tuple[str, str], Sums]) -> Row:
    row: Row = {}
    for (part, counting), entry in sums.items():
        name = f"{prefix}.{part}.{counting}"
        row |= {f"{name}.abs_sum": entry.absolute, f"{name}.sq_sum": entry.square}
        row |= {f"{name}.count": entry.count, f"{name}.max": entry.largest}
    return row
