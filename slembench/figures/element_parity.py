"""Predicted against reference matrix elements, as two-dimensional histograms: there are too many for points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from slembench.figures.style import COLORMAP, axis_label, new_figure, styled
from slembench.operators import SYMBOLS
from slembench.operators.orbitals import FloatArray

BINS = 100
DECADES = 10
"""Decades of |element| and of |error| below the largest element that the right panel can show."""

LINEAR = 1e-4
"""Fraction of the largest element below which the axes of the left panel are linear, logarithmic beyond (asinh)."""


@dataclass(frozen=True)
class ElementDensity:
    """Histograms of elements.

    Attributes:
        edges: (BINS + 1,) edges of reference and predicted value, unit of the operator, equidistant in asinh.
        parity: (BINS, BINS) counts, reference along the first axis.
        magnitudes: (BINS + 1,) edges of |reference| and |error|, equidistant in the logarithm.
        errors: (BINS, BINS) counts, |reference| along the first axis.
        elements: number of elements.
    """

    edges: FloatArray
    parity: FloatArray
    magnitudes: FloatArray
    errors: FloatArray
    elements: int


def element_density(pairs: Iterable[tuple[FloatArray, FloatArray]], largest: float) -> ElementDensity:
    """Bin elements, one structure at a time.

    Args:
        pairs: reference (n,) and predicted (n,) values of each structure, unit of the operator.
        largest: largest |reference| of all; what lies beyond is counted in the outermost bin.

    Example:
        >>> density = element_density([(np.array([1.0, 0.5]), np.array([1.0, 0.4]))], largest=1.0)
        >>> density.elements, int(density.parity.sum()), int(density.parity[-1, -1])
        (2, 2, 1)
    """
    width = LINEAR * largest
    # asinh(x / width) is linear below ``width`` and sign(x) log|x| above: most elements are tiny, of either sign
    edges: FloatArray = width * np.sinh(np.linspace(-1, 1, BINS + 1) * np.arcsinh(largest / width))
    edges[[0, -1]] = -largest, largest  # exactly, not up to rounding: clipped values must fall inside
    magnitudes: FloatArray = np.geomspace(largest * 10.0**-DECADES, largest, BINS + 1)
    parity, errors = np.zeros((BINS, BINS)), np.zeros((BINS, BINS))
    elements = 0
    for reference, predicted in pairs:
        parity += _counts(np.clip(reference, -largest, largest), np.clip(predicted, -largest, largest), edges)
        # zeros are clipped to the lowest bin: a logarithmic axis has none
        size, error = (np.clip(np.abs(v), magnitudes[0], largest) for v in (reference, predicted - reference))
        errors += _counts(size, error, magnitudes)
        elements += len(reference)
    return ElementDensity(edges, parity, magnitudes, errors, elements)


def _counts(x: FloatArray, y: FloatArray, edges: FloatArray) -> FloatArray:
    """(BINS, BINS) numbers of points; the same bins along both axes."""
    column, row = (np.clip(np.searchsorted(edges, v, side="right") - 1, 0, BINS - 1) for v in (x, y))
    return np.bincount(column * BINS + row, minlength=BINS**2).reshape(BINS, BINS).astype(np.float64)


@styled
def plot_element_parity(density: ElementDensity, operator: str, unit: str) -> Figure:
    """Plot predicted against reference elements (left) and |error| against |reference| with its median (right).

    Args:
        density: from `element_density`.
        operator: whose elements.
        unit: of the operator.
    """
    figure = new_figure(3.1)
    left, right = figure.subplots(1, 2)
    symbol = SYMBOLS[operator]
    norm = LogNorm(1, max(density.parity.max(), density.errors.max(), 2))
    _mesh(left, density.edges, density.parity, norm)
    ends = density.edges[[0, -1]]
    left.plot(ends, ends, color="black", lw=0.5)
    width = LINEAR * density.edges[-1]
    left.set_xscale("asinh", linear_width=width)
    left.set_yscale("asinh", linear_width=width)
    decade = 10.0 ** np.floor(np.log10(density.edges[-1]))
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(FixedLocator([-decade, -decade / 100, 0, decade / 100, decade]))
        axis.set_minor_locator(NullLocator())
    left.set_box_aspect(1)
    left.set_xlabel(axis_label(f"reference {symbol}", unit))
    left.set_ylabel(axis_label(f"predicted {symbol}", unit))
    left.set_title(f"{density.elements:,} elements")
    mesh = _mesh(right, density.magnitudes, density.errors, norm)
    right.set_xscale("log")
    right.set_yscale("log")
    centres = np.sqrt(density.magnitudes[:-1] * density.magnitudes[1:])
    # median of |error| in each column of |reference|: the first bin at which half of the column is reached
    below = np.cumsum(density.errors, axis=1)
    filled = below[:, -1] >= 10  # fewer elements give a ragged line
    filled[0] = False  # the lowest bin holds the elements that are zero
    median = centres[np.argmax(below >= below[:, -1:] / 2, axis=1)]
    right.plot(centres[filled], median[filled], color="black", lw=1.2, label="median")
    right.legend(loc="upper left")
    _crop(right, density)
    right.set_xlabel(axis_label(f"|reference {symbol}|", unit))
    right.set_ylabel(axis_label(f"|error of {symbol}|", unit))
    figure.colorbar(mesh, ax=right, label="elements in a bin")
    return figure


def _mesh(ax: Axes, edges: FloatArray, counts: FloatArray, norm: LogNorm) -> QuadMesh:
    shown = np.ma.masked_equal(counts.T, 0)
    return ax.pcolormesh(edges, edges, shown, norm=norm, cmap=f"{COLORMAP}_r", rasterized=True)


def _crop(ax: Axes, density: ElementDensity) -> None:
    """Limit the axes to decades with elements, without the lowest bin, which holds the zeros."""
    for counts, set_limits in ((density.errors.sum(axis=1), ax.set_xlim), (density.errors.sum(axis=0), ax.set_ylim)):
        used = np.flatnonzero(counts[1:]) + 1
        if len(used):
            set_limits(density.magnitudes[used[0]], density.magnitudes[used[-1] + 1])
