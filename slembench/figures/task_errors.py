"""Errors of all models on all tasks, relative to the best floor of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, MARKERS, new_figure, styled


@dataclass(frozen=True)
class TaskPoint:
    """One model on one task.

    Attributes:
        task: name of the task, a row of the picture.
        model: name of the model, a marker.
        share: error of the model over that of the best floor.
    """

    task: str
    model: str
    share: float


@dataclass(frozen=True)
class _Series:
    label: str
    marker: str
    colour: str


@styled
def plot_task_errors(points: Sequence[TaskPoint], marked: str = "") -> Figure:
    """Plot a row for each task and a marker for each model, logarithmic; 1 is the best floor.

    Args:
        points: in the order in which tasks are listed from top to bottom.
        marked: model that is drawn in colour while the others are grey; all are coloured where there is none.

    Example:
        >>> figure = plot_task_errors([TaskPoint("mos2-mini H", "slem", 0.02)])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['mos2-mini H']
    """
    tasks = list(dict.fromkeys(point.task for point in points))
    models = sorted({point.model for point in points})
    figure = new_figure(1.1 + 0.2 * len(tasks))
    ax = figure.subplots()
    for k, model in enumerate(models):
        series = _series(k, model, marked)
        chosen = [point for point in points if point.model == model]
        x, y = [point.share for point in chosen], [tasks.index(point.task) for point in chosen]
        style: dict[str, Any] = {"marker": series.marker, "color": series.colour, "ls": "", "ms": 5}
        ax.plot(x, y, label=series.label, zorder=3 if model == marked else 2, **style)
    ax.axvline(1.0, color="black", lw=0.8, ls="--")
    ax.hlines(range(len(tasks)), *ax.get_xlim(), color="#DDDDDD", lw=0.5, zorder=1)
    ax.set_xscale("log")
    ax.set_yticks(range(len(tasks)), tasks)
    ax.set_ylim(len(tasks) - 0.5, -0.5)  # the first task on top
    ax.set_xlabel("error / error of the best floor (dashed: the floor)")
    figure.legend(loc="outside lower center", ncols=min(4, max(1, len(models))))
    return figure


def _series(k: int, model: str, marked: str) -> _Series:
    if marked:
        return _Series(model, MARKERS[k % len(MARKERS)], COLOURS[1] if model == marked else GREY)
    return _Series(model, MARKERS[k % len(MARKERS)], COLOURS[k] if k < len(COLOURS) else GREY)
