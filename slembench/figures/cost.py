"""Error against training time, inference time and number of parameters of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, MARKERS, axis_label, decimal_log_ticks, new_figure, styled


@dataclass(frozen=True)
class CostPoint:
    """One run.

    Attributes:
        label: its name.
        error: its score.
        costs: cost -> value, of those that are known.
        marked: drawn in another colour and listed first.
    """

    label: str
    error: float
    costs: Mapping[str, float]
    marked: bool = False


COSTS = ("training time (s)", "inference (ms per atom)", "parameters")
"""Costs that are drawn, one panel each; also the labels of the axes."""


@styled
def plot_cost(points: Sequence[CostPoint], label: str, unit: str) -> Figure:
    """Plot the score of runs against their cost, both logarithmic, one panel a cost.

    Args:
        points: runs on one split of one data set.
        label: name of the score.
        unit: of the score.

    Example:
        >>> run = CostPoint("slem", 0.003, {"training time (s)": 600.0, "parameters": 1e6}, marked=True)
        >>> [len(axes.lines) for axes in plot_cost([run], "MAE of H", "eV").axes]  # the inference time is not known
        [1, 0, 1]
    """
    figure = new_figure(2.6)
    axes = figure.subplots(1, len(COSTS), sharey=True)
    # the marked run and then the best ones get markers of their own, the others share grey ones
    ordered = sorted(points, key=lambda point: (not point.marked, point.error))
    for k, point in enumerate(ordered):
        colour = COLOURS[1] if point.marked else COLOURS[0] if k < len(MARKERS) else GREY
        for ax, cost in zip(axes, COSTS):
            if cost in point.costs:
                style = {"color": colour, "marker": MARKERS[k % len(MARKERS)], "ls": "", "ms": 5}
                ax.plot([point.costs[cost]], [point.error], label=point.label, **style)
    for ax, cost in zip(axes, COSTS):
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel(cost)
        decimal_log_ticks(ax.xaxis)
    axes[0].set_ylabel(axis_label(label, unit))
    found = {text: line for ax in axes for line, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=min(3, max(1, len(found))))
    return figure
