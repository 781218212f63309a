"""Sparsity of one structure's operators: map of the magnitude of H, and share of elements above a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from slembench.figures.style import COLORMAP, COLOURS, GREY, LINE_STYLES, axis_label, new_figure, styled
from slembench.operators import SYMBOLS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray

DECADES = 6
"""Decades below the largest element that the map shows; smaller ones are white."""

LINES_UP_TO = 40
"""Atoms up to which the map shows the border of every atom."""


@styled
def plot_sparsity(operators: Mapping[str, BlockMatrix], energy_unit: str, title: str = "") -> Figure:
    """Plot the sparsity of one structure.

    Left: the first operator's largest |element| over the lattice translations for each pair of orbitals. Right: for
    every operator, the share of its stored elements whose magnitude exceeds a threshold.

    Args:
        operators: name of an operator, or other words -> blocks of one structure, in either or both directions.
        energy_unit: unit of all but the overlap and the density matrix.
        title: stands above the picture.
    """
    figure = new_figure(3.0)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    name, operator = next(iter(operators.items()))
    _map(left, operator, SYMBOLS.get(name, name), _unit(name, energy_unit))
    left.set_title(f"{title}: {operator.n_orbitals} orbitals".removeprefix(": "))
    for k, (key, matrix) in enumerate(operators.items()):
        size = np.sort(np.abs(matrix.values))[::-1]
        size = size[size > 0]
        share = 100 * np.arange(1, len(size) + 1) / len(matrix.values)
        # 400 points, equidistant in the logarithm, of a curve with as many as there are elements (10^6)
        kept = np.unique(np.geomspace(1, len(size), 400).astype(int)) - 1
        label = axis_label(SYMBOLS.get(key, key), _unit(key, energy_unit))
        right.plot(size[kept], share[kept], color=COLOURS[k], ls=LINE_STYLES[k], label=label)
    right.set_xscale("log")
    right.set_xlabel("threshold")
    right.set_ylabel("elements above it (%)")
    right.set_ylim(0, 102)
    right.legend()
    return figure


def largest_over_translations(operator: BlockMatrix) -> FloatArray:
    """(n, n) | unit of the operator | largest |M_ab(R)| over R for each pair of orbitals; zero where no block is.

    Example:
        A chain of one s orbital: 1 on-site, 0.3 to both neighbours, so that the map has one element.

        >>> from slembench.operators.orbitals import Basis
        >>> shifts = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0]])
        >>> values = np.array([1, 0.3, 0.3])
        >>> chain = BlockMatrix(Basis.parse({"H": "1s"}), np.array([1]), np.zeros((3, 2)), shifts, values)
        >>> largest_over_translations(chain)
        array([[1.]])
    """
    full, n = operator.complete(), operator.n_orbitals
    largest = np.zeros((n, n))
    # unbuffered: an element of the map occurs once for every R, and all of them must be compared
    np.maximum.at(largest, (full.element_rows, full.element_columns), np.abs(full.values))
    return largest


def _unit(name: str, energy_unit: str) -> str:
    return "1" if name in ("overlap", "density") else energy_unit


def _map(ax: Axes, operator: BlockMatrix, symbol: str, unit: str) -> None:
    largest = largest_over_translations(operator)
    top = largest.max()
    bottom = top * 10.0**-DECADES
    shown = np.ma.masked_less(largest, bottom)
    image = ax.imshow(shown, norm=LogNorm(bottom, top), cmap=f"{COLORMAP}_r", interpolation="nearest")
    periodic = bool(operator.pair_shift.any())
    label = f"largest |{symbol}(R)| over R" if periodic else f"|{symbol}|"
    ax.figure.colorbar(image, ax=ax, extend="min", label=axis_label(label, unit), shrink=0.85)
    borders = operator.basis.orbital_offsets(operator.numbers)
    if len(operator.numbers) <= LINES_UP_TO:
        for border in borders[1:-1]:
            ax.axhline(border - 0.5, color=GREY, lw=0.25)
            ax.axvline(border - 0.5, color=GREY, lw=0.25)
    centres, labels, atom = [], [], 0
    for number, run in groupby(operator.numbers.tolist()):
        count = len(list(run))
        centres.append((borders[atom] + borders[atom + count]) / 2 - 0.5)
        labels.append(chemical_symbols[number] + (f"\u2009×\u2009{count}" if count > 1 else ""))
        atom += count
    for set_ticks in (ax.set_xticks, ax.set_yticks):
        set_ticks(centres, labels)
    ax.tick_params(length=0)
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
