"""Pictures of a run from its training log, its record and the tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slembench.figures.block_errors import plot_block_errors
from slembench.figures.cost import CostPoint, plot_cost
from slembench.figures.distance_errors import plot_distance_errors
from slembench.figures.learning_curves import plot_learning_curves
from slembench.figures.picture import Picture
from slembench.figures.structure_errors import plot_structure_errors
from slembench.leaderboard.runs import collect_runs
from slembench.metrics.scores import structure_values
from slembench.operators import SYMBOLS
from slembench.operators.orbitals import FloatArray
from slembench.reports.run_folder import LOG_FILE, RunFolder, SplitResult
from slembench.results.record import RunRecord

SCORE = "mae_all.full.pooled"
"""Score that is drawn where one number stands for an operator of a run."""


def learning(run: RunFolder, energy_unit: str) -> Picture:
    """Training and validation loss, and validation errors, of the training log."""
    title, rows = "Learning curves", run.log()
    if not any(row["event"] == "validation" for row in rows):
        return Picture("learning", title, "", None, f"There is no {LOG_FILE} of a training in the folder of the run.")
    caption = "Training loss (grey) and validation loss; validation MAE of every operator, against the optimiser step."
    return Picture("learning", title, caption, lambda: plot_learning_curves(rows, energy_unit))


def cost(result: SplitResult, others: Sequence[str | Path], energy_unit: str) -> Picture:
    """Accuracy against cost of this run and of all others on the same split of the same data.

    Args:
        result: of this run.
        others: folders that are searched for records.
        energy_unit: unit of the Hamiltonian.
    """
    mine = result.record
    operator = mine.targets[0]
    score = f"{operator}.{SCORE}"
    # only errors on the same structures of the same data can stand in one picture
    key = (mine.dataset_fingerprint, mine.split_hash)
    records = [run.record for run in collect_runs(others)]
    same = [r for r in records if (r.dataset_fingerprint, r.split_hash) == key and r.model_kind == "model"]
    points = [
        # this run may lie in the folders that are searched; it is drawn once, marked
        _point(record, score, False)
        for record in same
        if (record.name, record.created) != (mine.name, mine.created)
    ]
    points = [point for point in [_point(mine, score, True), *points] if point is not None]
    title = "Accuracy against cost"
    if not points:
        return Picture("cost", title, "", None, f"The record has no score {score}, or no cost.")
    caption = (
        f"MAE of {SYMBOLS[operator]} (full, pooled) of {len(points)} run{'s' * (len(points) > 1)} on this split; "
        "vermilion: this one. Times are those of the machine named in each record."
    )
    unit = energy_unit if operator == "hamiltonian" else "1"
    return Picture(
        "cost", title, caption, lambda: plot_cost([p for p in points if p], f"MAE of {SYMBOLS[operator]}", unit)
    )


def stored_pictures(run: RunFolder, result: SplitResult, energy_unit: str) -> list[Picture]:
    """Per-block errors, error by distance and error per structure, of one split."""
    pictures = []
    for operator in result.record.targets:
        unit = energy_unit if operator == "hamiltonian" else "1"
        pictures += [_blocks(result, operator, unit), _structures(result, operator, unit)]
    return [*pictures, _distances(run, result, energy_unit)]


def worst_structure(result: SplitResult, operator: str) -> str | None:
    """Id of the structure with the largest MAE of an operator; None without a per-structure table."""
    errors = _structure_maes(result, operator)
    # argmax of sum / count, as the per-structure table stores numerators and counts
    return None if errors is None else errors[0][int(errors[1].argmax())]


def _point(record: RunRecord, score: str, marked: bool) -> CostPoint | None:
    known = {
        "training time (s)": record.cost.train_wall_s,
        "inference (ms per atom)": record.cost.inference_ms_per_atom,
        "parameters": record.cost.parameters,
    }
    costs = {name: float(value) for name, value in known.items() if value}
    if score not in record.scores or not costs:
        return None
    return CostPoint(record.name, record.scores[score].value, costs, marked)


def _blocks(result: SplitResult, operator: str, unit: str) -> Picture:
    name, title = f"blocks-{operator}", f"Error of every block of {SYMBOLS[operator]}"
    blocks = result.blocks
    if blocks is None or not (blocks["operator"] == operator).any():
        return Picture(name, title, "", None, "There is no table of blocks (blocks.parquet) beside the record.")
    caption = "Mean absolute error of each pair of shells (row: shell of atom i, column: shell of atom j), whole split."
    return Picture(name, title, caption, lambda: plot_block_errors(blocks, operator, unit))


def _structures(result: SplitResult, operator: str, unit: str) -> Picture:
    name, title = f"structures-{operator}", f"Error of {SYMBOLS[operator]} in every structure"
    errors = _structure_maes(result, operator)
    if errors is None:
        return Picture(
            name, title, "", None, "There is no table of structures (per_structure.parquet) beside the record."
        )
    caption = (
        f"Mean absolute error of {SYMBOLS[operator]} in each of {len(errors[0])} structures, the worst ones named."
    )
    label = f"MAE of {SYMBOLS[operator]}"
    return Picture(name, title, caption, lambda: plot_structure_errors(*errors, label, unit))


def _structure_maes(result: SplitResult, operator: str) -> tuple[list[str], FloatArray] | None:
    table = result.per_structure
    if table is None:
        return None
    numerator, count = structure_values(table, f"{operator}.{SCORE}")
    return table["id"].tolist(), numerator / count


def _distances(run: RunFolder, result: SplitResult, energy_unit: str) -> Picture:
    floors = run.floors(result.record.split)
    tables = {result.record.model: result.distances} | {
        f"floor {name}": floor.distances for name, floor in floors.items()
    }
    there = {name: table for name, table in tables.items() if table is not None}
    title = "Error by distance"
    if result.record.model not in there:
        return Picture(
            "distances", title, "", None, "There is no table by distance (distances.parquet) beside the record."
        )
    caption = "Mean absolute error in bins of the distance of a pair, off-site blocks" + (
        ", and of the floors." if floors else "."
    )
    return Picture("distances", title, caption, lambda: plot_distance_errors(there, energy_unit))
