"""Predicted against reference orbital or band energies."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from slembench.figures.style import COLOURS, GREY, MARKERS, new_figure, styled
from slembench.operators.orbitals import FloatArray


@styled
def plot_level_parity(reference: FloatArray, predicted: FloatArray, occupied: NDArray[np.bool_], unit: str) -> Figure:
    """Plot predicted against reference levels (left) and their differences (right), occupied and empty apart.

    Args:
        reference: (n,) levels.
        predicted: (n,) levels in the same order, with the energy zero of their own H.
        occupied: (n,) levels that hold electrons in the reference; at least one.
        unit: of the levels.

    Example:
        >>> figure = plot_level_parity(np.array([-5.0, 1.0]), np.array([-4.9, 1.2]), np.array([True, False]), "eV")
        >>> figure.axes[1].get_title("left")
        'mean |difference| of occupied levels 0.1 eV'
    """
    figure = new_figure(3.0)
    left, right = figure.subplots(1, 2)
    # occupied ones last, on top: they are what a density matrix and a total energy are made of
    for k, (label, chosen) in enumerate((("empty", ~occupied), ("occupied", occupied))):
        style = {"color": COLOURS[1 - k], "marker": MARKERS[1 - k], "ls": "", "ms": 2.2, "mew": 0, "rasterized": True}
        left.plot(reference[chosen], predicted[chosen], label=label, **style)
        right.plot(reference[chosen], predicted[chosen] - reference[chosen], **style)
    ends = [min(reference.min(), predicted.min()), max(reference.max(), predicted.max())]
    left.plot(ends, ends, color="black", lw=0.5)
    left.set_aspect("equal")
    left.xaxis.set_major_locator(MaxNLocator(5))
    left.yaxis.set_major_locator(MaxNLocator(5))
    left.set_xlabel(f"reference level ({unit})")
    left.set_ylabel(f"predicted level ({unit})")
    left.legend(markerscale=2)
    right.axhline(0, color=GREY, lw=0.7)
    right.set_xlabel(f"reference level ({unit})")
    right.set_ylabel(f"predicted - reference ({unit})")
    mean = np.abs(predicted - reference)[occupied].mean()
    right.set_title(f"mean |difference| of occupied levels {mean:.2g} {unit}")
    return figure
