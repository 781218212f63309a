"""Values against size with their intervals, and fitted power laws y = a x^b: straight lines on logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, LINE_STYLES, MARKERS, new_figure, styled


@dataclass(frozen=True)
class Series:
    """Points of one kind, drawn in one colour.

    Attributes:
        label: what they are.
        x: sizes.
        y: values.
        low, high: ends of the intervals of ``y``; empty where there are none.
        fit: factor and exponent of y = factor * x ** exponent; None for lines from point to point.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    fit: tuple[float, float] | None = None


@styled
def plot_power_laws(
    panels: Sequence[tuple[str, Sequence[Series]]], x_label: str, y_label: str, *, log_x: bool = True
) -> Figure:
    """Plot values against size, panels side by side, values on a logarithmic axis.

    Args:
        panels: title and series of each.
        x_label: of all panels.
        y_label: of all panels.
        log_x: sizes on a logarithmic axis too.

    Example:
        >>> errors = Series("slem", x=(10, 100), y=(0.1, 0.01), fit=(1.0, -1.0))  # y = 1 / x
        >>> figure = plot_power_laws([("mos2-mini", [errors])], "training structures", "MAE (eV)")
        >>> figure.axes[0].lines[1].get_ydata().round(3).tolist()
        [0.1, 0.01]
    """
    figure = new_figure(2.9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, series) in zip(axes, panels):
        for k, one in enumerate(series):
            colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
            style = LINE_STYLES[k % len(LINE_STYLES)]
            order = np.argsort(one.x)
            x, y = np.asarray(one.x)[order], np.asarray(one.y)[order]
            line = "" if one.fit else style
            ax.plot(x, y, color=colour, marker=marker, ls=line, label=one.label)
            if one.low:
                ends = np.asarray([one.low, one.high])[:, order]
                ax.vlines(x, *ends, color=colour, lw=0.8)
            if one.fit:
                ends = np.array([x.min(), x.max()])
                ax.plot(
                    ends, one.fit[0] * ends ** one.fit[1], color=colour, lw=0.9, ls=LINE_STYLES[k % len(LINE_STYLES)]
                )
        ax.set_yscale("log")
        if log_x:
            ax.set_xscale("log")
            sizes = sorted({value for one in series for value in one.x})
            ax.set_xticks(sizes if len(sizes) <= 6 else [sizes[0], sizes[-1]], minor=False)
            ax.set_xticks([], minor=True)
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.set_title(title)
        ax.set_xlabel(x_label)
    axes[0].set_ylabel(y_label)
    found = {text: handle for ax in axes for handle, text in zip(*ax.get_legend_handles_labels())}
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=min(4, max(1, len(found))))
    return figure
