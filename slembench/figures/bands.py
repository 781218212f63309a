"""Bands along a k path and density of states, predicted over reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, new_figure, styled
from slembench.operators.orbitals import FloatArray


@styled
def plot_bands(
    path: FloatArray,
    ticks: Sequence[tuple[float, str]],
    predicted: FloatArray,
    reference: FloatArray | None = None,
    *,
    unit: str,
    zero: str,
    window: tuple[float, float],
    energy: FloatArray | None = None,
    densities: tuple[FloatArray, FloatArray | None] | None = None,
    title: str = "",
) -> Figure:
    """Plot bands, and beside them densities of states where they are given.

    Args:
        path: (n_k,) length along the path, 1 / Angstrom; two equal neighbours mark a jump to another segment.
        ticks: position and label of each special point.
        predicted: (n_k, n) levels, from their energy zero.
        reference: (n_k, m) levels, from their own energy zero; None for none.
        unit: energy unit of the levels.
        zero: what the levels are measured from, such as "the valence-band maximum".
        window: lowest and highest energy drawn.
        energy: (n_e,) energies of the densities.
        densities: (n_e,) predicted and reference densities of states, both spins, per unit of energy and cell.
        title: stands above the bands.

    Example:
        One band of a chain, 2 t cos(2 pi k):

        >>> import numpy as np
        >>> k = np.linspace(0, 0.5, 20)
        >>> figure = plot_bands(k, [(0, "Γ"), (0.5, "X")], -2 * np.cos(2 * np.pi * k)[:, None], unit="eV",
        ...                     zero="the Fermi level", window=(-3, 3))
        >>> figure.axes[0].get_ylabel()
        'energy from the Fermi level (eV)'
    """
    figure = new_figure(3.4)
    with_dos = energy is not None and densities is not None
    axes = figure.subplots(1, 2 if with_dos else 1, squeeze=False, sharey=True, width_ratios=[4, 1][: 1 + with_dos])[0]
    # the reference thick and below, the prediction thin, dashed and on top: where they agree both are seen
    _bands(axes[0], path, reference, COLOURS[0], "-", 1.6, "reference")
    _bands(axes[0], path, predicted, COLOURS[1], "--", 0.9, "predicted")
    for position, _ in ticks:
        axes[0].axvline(position, color=GREY, lw=0.5)
    axes[0].set_xticks([position for position, _ in ticks], [name for _, name in ticks])
    axes[0].set_xlim(path[0], path[-1])
    axes[0].set_ylim(*window)
    axes[0].set_ylabel(f"energy from {zero} ({unit})")
    axes[0].set_title(title)
    if energy is not None and densities is not None:
        # turned by 90 degrees: energies on the axis that they share with the bands
        for density, colour, style in zip(reversed(densities), COLOURS, ("-", "--")):
            if density is not None:
                axes[1].plot(density, energy, color=colour, ls=style)
        axes[1].set_xlim(left=0)
        axes[1].set_xlabel(f"states per {unit}\nand cell")
    for ax in axes:
        ax.axhline(0, color=GREY, lw=0.7, ls=":")
    handles = {line.get_label(): line for line in axes[0].lines if not str(line.get_label()).startswith("_")}
    figure.legend(list(handles.values()), list(handles), loc="outside upper right", ncols=2)
    return figure


def _bands(
    ax: Axes, path: FloatArray, levels: FloatArray | None, colour: str, style: str, width: float, label: str
) -> None:
    """Plot every band as a line that is cut where the path jumps."""
    if levels is None:
        return
    jumps = np.flatnonzero(np.diff(path) <= 0) + 1
    # NaN ends a line; without it "K|U" would be drawn as a vertical piece of band
    x = np.insert(path.astype(float), jumps, np.nan)
    y = np.insert(levels.astype(float), jumps, np.nan, axis=0)
    lines = ax.plot(x, y, color=colour, ls=style, lw=width)
    lines[0].set_label(label)
