"""Errors of shell pairs as a heat map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from slembench.figures.style import COLORMAP, axis_label, new_figure, styled
from slembench.operators import SYMBOLS

PART_TITLES = {"onsite": "on-site blocks", "offsite": "off-site blocks"}


@styled
def plot_block_errors(blocks: pd.DataFrame, operator: str, unit: str) -> Figure:
    """Plot the mean absolute error of every pair of shells, on-site and off-site.

    Args:
        blocks: per-block table (`slembench.metrics.block_table.block_table`) with a column ``operator``.
        operator: operator to draw.
        unit: of its errors.

    Example:
        >>> import pandas as pd
        >>> row = {"operator": "overlap", "element_i": "H", "shell_i": "s1", "element_j": "H", "shell_j": "s1",
        ...        "count": 4, "mae": 0.01}
        >>> blocks = pd.DataFrame([{**row, "part": part} for part in ("onsite", "offsite")])
        >>> [axes.get_title("left") for axes in plot_block_errors(blocks, "overlap", "1").axes[:2]]
        ['on-site blocks', 'off-site blocks']
    """
    rows = blocks[(blocks["operator"] == operator) & (blocks["count"] > 0)]
    sides = rows[["element_i", "shell_i"]].drop_duplicates().to_numpy().tolist()
    positive = rows.loc[rows["mae"] > 0, "mae"]
    # one logarithmic scale for both panels: errors of shell pairs differ by orders of magnitude; zero has no colour
    scale = LogNorm(positive.min(), positive.max()) if len(positive) else LogNorm(1e-12, 1.0)
    figure = new_figure(3.6 if len(sides) > 8 else 3.0)
    axes = figure.subplots(1, 2)
    for ax, part in zip(axes, PART_TITLES):
        image = _map(ax, rows[rows["part"] == part], sides, scale)
        ax.set_title(PART_TITLES[part])
    figure.colorbar(image, ax=axes, label=axis_label(f"MAE of {SYMBOLS[operator]}", unit), shrink=0.8)
    return figure


def _map(ax: Axes, rows: pd.DataFrame, sides: list[list[str]], scale: LogNorm) -> AxesImage:
    place = {tuple(side): k for k, side in enumerate(sides)}
    # NaN stays white: shell pairs that do not occur, such as on-site blocks between two elements
    errors = np.full((len(sides), len(sides)), np.nan)
    for row in rows.itertuples():
        errors[place[row.element_i, row.shell_i], place[row.element_j, row.shell_j]] = row.mae
    image = ax.imshow(errors, norm=scale, cmap=f"{COLORMAP}_r", interpolation="nearest")
    size = 7 if len(sides) <= 16 else 5
    shells = [shell for _, shell in sides]
    ax.set_xticks(range(len(sides)), shells, size=size, rotation=90)
    ax.set_yticks(range(len(sides)), shells, size=size)
    ax.tick_params(length=0)
    elements = [element for element, _ in sides]
    for element in dict.fromkeys(elements):
        first, count = elements.index(element), elements.count(element)
        centre = first + (count - 1) / 2
        ax.text(centre, -0.13, element, transform=ax.get_xaxis_transform(), ha="center", va="top", weight="bold")
        ax.text(-0.13, centre, element, transform=ax.get_yaxis_transform(), ha="right", va="center", weight="bold")
        if first:
            ax.axhline(first - 0.5, color="white", lw=1.5)
            ax.axvline(first - 0.5, color="white", lw=1.5)
    for side in ax.spines.values():
        side.set_visible(False)
    return image
