"""Learning curves of a training log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, LINE_STYLES, MARKERS, axis_label, new_figure, styled
from slembench.operators import SYMBOLS


@styled
def plot_learning_curves(rows: Sequence[Mapping[str, Any]], energy_unit: str) -> Figure:
    """Plot training and validation loss (left) and validation errors (right) against the optimiser step.

    Args:
        rows: of ``log.jsonl`` (`slembench.training.log.JsonLog.rows`): ``train`` and ``validation`` events.
        energy_unit: unit of the Hamiltonian's error.

    Example:
        >>> rows = [{"event": "train", "step": 1, "loss": 1.0},
        ...         {"event": "validation", "step": 1, "loss": 0.9, "mae": {"hamiltonian": 0.5}}]
        >>> plot_learning_curves(rows, "eV").axes[1].lines[0].get_label()
        'H (eV)'
    """
    training = [row for row in rows if row["event"] == "train"]
    validation = [row for row in rows if row["event"] == "validation"]
    figure = new_figure(2.6)
    left, right = figure.subplots(1, 2)
    # one value a step: rasterised, or a long training would make an SVG of megabytes
    left.plot(_of(training, "step"), _of(training, "loss"), color=GREY, lw=0.5, label="training", rasterized=True)
    left.plot(_of(validation, "step"), _of(validation, "loss"), color=COLOURS[0], marker="o", ms=2, label="validation")
    left.set_ylabel("loss")
    left.legend()
    for k, operator in enumerate(validation[0]["mae"] if validation else ()):
        label = axis_label(SYMBOLS[operator], energy_unit if operator == "hamiltonian" else "1")
        values = [row["mae"][operator] for row in validation]
        right.plot(
            _of(validation, "step"), values, color=COLOURS[k], ls=LINE_STYLES[k], marker=MARKERS[k], ms=2.5, label=label
        )
    right.set_ylabel("validation MAE")
    if validation:
        right.legend()
    for ax in (left, right):
        ax.set_yscale("log")
        ax.set_xlabel("optimiser step")
    return figure


def _of(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(row[key]) for row in rows]
