"""Score predictions on a split, a batch of structures at a time.

Where the MAE is computed: `evaluate` -> `slembench.evaluation.elements.ElementScorer.columns` ->
`slembench.metrics.matrix.structure_sums`. What every structure gives is a row of one table; scores follow from that
table alone (`slembench.metrics.scores.scores_from_table`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from platformdirs import user_cache_path

from slembench.core.progress import progress
from slembench.data import Dataset
from slembench.evaluation.batch import Batch, batches, prefetch
from slembench.evaluation.elements import ElementScorer
from slembench.evaluation.levels import LevelScorer, levels_unavailable
from slembench.evaluation.result import Evaluation, unavailable_metrics
from slembench.evaluation.scf import ScfScorer
from slembench.evaluation.sources import EnsembleSource, check_predictions
from slembench.metrics.scores import scores_from_table
from slembench.operators.units import energy_factor
from slembench.predictions import PredictionSource

MAX_THREADS = 8
"""Threads used by default, at most."""


def level_cache() -> Path:
    """Folder of reference levels: the user's cache folder of this program (XDG_CACHE_HOME on Linux)."""
    return user_cache_path("slembench") / "levels"


def evaluate(
    dataset: Dataset,
    predictions: PredictionSource,
    split: str = "test",
    *,
    operators: Sequence[str] | None = None,
    bands: bool = True,
    path: bool = False,
    scf: bool = False,
    threads: int | None = None,
    cache: Path | None = None,
) -> Evaluation:
    """Score predictions on a split.

    Args:
        dataset: the data set; its card fixes pairs, units, k mesh and window.
        predictions: an open predictions file, or a floor.
        split: split to score.
        operators: operators to score; by default all that are predicted and that the data set has.
        bands: compute levels too (needs H, S and electrons; the card's k mesh for crystals).
        path: score crystals along a k path, too; costs several times as much as the mesh.
        scf: one-shot energies and self-consistent runs of molecules with PySCF; seconds to minutes a structure.
        threads: structures whose levels are solved at once; by default one for each processor, 8 at most.
        cache: folder for reference levels, which cost as much as the predicted ones, and for self-consistent runs;
            None for no cache.

    Raises:
        PredictionError: predictions of another data set, version of it, basis or atoms, or without an operator that
            was asked for.
        DataError: no such split, or broken data.

    Example:
        Predicting zero for the overlaps of MoS2: the error is the mean |S|, and S has no level at all.

        >>> from slembench.data import load_dataset
        >>> from slembench.evaluation.floors import floor_predictions
        >>> data = load_dataset("mos2-mini")
        >>> result = evaluate(data, floor_predictions(data, "zero"), operators=["overlap"], bands=False)
        >>> score = result.scores["overlap.mae_all.full.pooled"]
        >>> round(score.value, 5), score.unit, result.unavailable["overlap.s_min_eig"]
        (0.00541, '1', 'levels were not asked for')
    """
    chosen = check_predictions(dataset, predictions, operators)
    attrs, card = predictions.attrs, dataset.card
    elements = ElementScorer(dataset, chosen)
    no_levels = levels_unavailable(dataset) if bands else "levels were not asked for"
    workers = threads or min(os.cpu_count() or 1, MAX_THREADS)
    levels = None if no_levels else LevelScorer(dataset, chosen, cache, path, workers)
    ids = dataset.split(split)
    present = set(predictions.ids)
    parts = batches(dataset, predictions, chosen, progress(ids, f"score {attrs.model} on {split}"))
    if workers > 1:
        parts = prefetch(parts)  # one batch is read while the last one is scored
    tables = [_table(dataset, batch, elements, levels) for batch in parts]
    table = pd.concat(tables, ignore_index=True)  # one row a structure, in the order of the split
    if scf and not card.periodic and card.scf is not None:
        scorer = ScfScorer(dataset, predictions, chosen, cache / "scf" if cache is not None else None)
        listed = progress(ids, f"self-consistent runs of {attrs.model}")
        table = table.join(pd.DataFrame([scorer.columns(structure) for structure in listed]))
    if isinstance(predictions, EnsembleSource):
        table = table.join(_spreads(predictions, chosen, ids, energy_factor(attrs.energy_unit, card.units.energy)))
    scores, without_value = scores_from_table(table)
    if levels is not None:
        no_levels = levels.unavailable
    return Evaluation(
        dataset=dataset.name,
        split=split,
        model=attrs.model,
        per_structure=table,
        scores=scores,
        unavailable=without_value | unavailable_metrics(dataset, table, scores, chosen, no_levels),
        blocks=elements.block_table(),
        distances=elements.distance_table(),
        missing=[structure for structure in ids if structure not in present],
        unknown=sorted(present - set(ids)),
        block_issues=pd.DataFrame(elements.issues, columns=["id", "operator", "kind", "i", "j", "R1", "R2", "R3"]),
    )


def _table(dataset: Dataset, batch: Batch, elements: ElementScorer, levels: LevelScorer | None) -> pd.DataFrame:
    """Rows of one batch: what is known of each structure, then the columns of elements and levels."""
    samples = batch.samples
    columns: dict[str, Any] = {
        "id": [sample.id for sample in samples],
        "group": [sample.info.group or sample.id for sample in samples],
        "n_atoms": [len(sample.atoms) for sample in samples],
        "energy_unit": dataset.card.units.energy,
        "predicted": list(batch.predicted),
    }
    if dataset.card.challenging:
        hard = dataset.card.challenging.samples
        columns["challenging"] = [sample.id in hard for sample in samples]
    columns |= elements.columns(batch)
    if levels is not None:
        rows = levels.rows(batch, columns.get("hamiltonian.mu"))
        # structures may lack some columns (no electrons known, S not positive definite): NaN there
        names = dict.fromkeys(name for row in rows for name in row)
        columns |= {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    return pd.DataFrame(columns)


def _spreads(source: EnsembleSource, operators: Sequence[str], ids: Sequence[str], factor: float) -> pd.DataFrame:
    """Spread of an ensemble's members, in the unit of the data; NaN where a structure is not predicted."""
    present = set(source.ids)
    return pd.DataFrame(
        {
            f"{op}.spread": [
                (factor if op == "hamiltonian" else 1.0) * source.spread(name, op) if name in present else np.nan
                for name in ids
            ]
            for op in operators
        }
    )
