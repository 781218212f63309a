"""Error of every structure in descending order, the worst ones named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, axis_label, new_figure, styled
from slembench.operators.orbitals import FloatArray

NAMED = 5
"""Structures that are named."""

WIDE = 10.0
"""Ratio of the largest to the smallest error from which the axis is logarithmic."""

LIST_SHARE = 0.75
"""Height of the empty room for the list of names above the points, over the height of the points."""


@styled
def plot_structure_errors(ids: Sequence[str], errors: FloatArray, label: str, unit: str) -> Figure:
    """Plot sorted errors, one point a structure.

    Args:
        ids: (S,) structures.
        errors: (S,) error of each.
        label: what the error is, such as "MAE of H".
        unit: of the errors.

    Example:
        >>> figure = plot_structure_errors(["a", "b"], np.array([0.1, 0.3]), "MAE of H", "eV")
        >>> figure.axes[0].lines[0].get_ydata().tolist()
        [0.3, 0.1]
    """
    order = np.argsort(-errors, kind="stable")
    values = errors[order]
    figure = new_figure(2.5)
    ax = figure.subplots()
    ranks = np.arange(1, len(values) + 1)
    ax.plot(ranks, values, color=COLOURS[0], marker="o", ls="", ms=3)
    mean = float(values.mean())
    ax.axhline(mean, color=GREY, lw=0.8, ls="--")
    ax.text(0.005, mean, "mean", transform=ax.get_yaxis_transform(), ha="left", va="bottom", size=6)
    worst = min(NAMED, len(values))
    names = "\n".join(f"{rank}  {ids[m]}" for rank, m in zip(ranks, order[:worst]))
    ax.text(0.98, 0.97, f"worst\n{names}", transform=ax.transAxes, ha="right", va="top", size=7, linespacing=1.3)
    ax.plot(ranks[:worst], values[:worst], color=COLOURS[1], marker="s", ls="", ms=4)
    if values[0] > WIDE * values[-1]:
        ax.set_yscale("log")
        lowest = max(values[-1], 1e-6 * values[0])
        ax.set_ylim(top=values[0] * (values[0] / lowest) ** LIST_SHARE)
    else:
        ax.set_ylim(0, (1 + LIST_SHARE) * values[0])
    ax.set_xlabel("rank of the structure, worst first")
    ax.set_ylabel(axis_label(label, unit))
    return figure
