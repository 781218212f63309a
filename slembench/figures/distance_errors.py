"""Error against the distance of the pair, of a model and of the floors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, LINE_STYLES, MARKERS, axis_label, new_figure, styled
from slembench.operators import SYMBOLS


@styled
def plot_distance_errors(tables: Mapping[str, pd.DataFrame], energy_unit: str) -> Figure:
    """Plot the mean absolute error in bins of |r_ij|, one panel an operator.

    Args:
        tables: name of the model or floor -> by-distance table (operator, lower, upper in Angstrom, mae).
        energy_unit: unit of the Hamiltonian's errors.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"operator": "overlap", "lower": [0.0, 0.5], "upper": [0.5, 1.0], "mae": [0.0, 0.01]})
        >>> plot_distance_errors({"slem": table}, "eV").axes[0].lines[0].get_xydata().tolist()
        [[0.75, 0.01]]
    """
    operators = list(dict.fromkeys(next(iter(tables.values()))["operator"]))
    figure = new_figure(2.6)
    axes = figure.subplots(1, len(operators), squeeze=False, sharex=True)[0]
    for ax, operator in zip(axes, operators):
        for k, (label, table) in enumerate(tables.items()):
            # bins without a pair, or without an error (a floor that is exact there), have no place on a logarithm
            rows = table[(table["operator"] == operator) & (table["mae"] > 0)]
            centre = (rows["lower"] + rows["upper"]) / 2
            style = {
                "color": COLOURS[k % len(COLOURS)],
                "marker": MARKERS[k % len(MARKERS)],
                "ls": LINE_STYLES[k % len(LINE_STYLES)],
            }
            ax.plot(centre, rows["mae"], label=label, ms=3, **style)
        ax.set_yscale("log")
        ax.set_xlim(left=0)
        ax.set_xlabel("distance (Å)")
        ax.set_ylabel(axis_label(f"MAE of {SYMBOLS[operator]}", energy_unit if operator == "hamiltonian" else "1"))
    widths = np.unique([float((t["upper"] - t["lower"]).iloc[0]) for t in tables.values() if len(t)])
    axes[0].set_title(f"bins of {widths[0]:g} Å" if len(widths) == 1 else "")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tables))
    return figure
