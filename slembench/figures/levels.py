"""Orbital energies of molecules, one column a molecule, and densities of states of crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, axis_label, new_figure, styled
from slembench.operators.orbitals import FloatArray


@dataclass(frozen=True)
class Levels:
    """Orbital energies of one molecule.

    Attributes:
        label: name of the molecule.
        eps: (n,) ascending.
        occupied: number of occupied ones.
    """

    label: str
    eps: FloatArray
    occupied: int


@dataclass(frozen=True)
class DensityOfStates:
    """Density of states, both spins.

    Attributes:
        energy: (n_e,) above the zero of the axis.
        density: (n_e,) states of both spins per energy unit and atom.
        edges: energies of the highest occupied and the lowest empty state; equal in a metal.
    """

    energy: FloatArray
    density: FloatArray
    edges: tuple[float, float]


@styled
def plot_levels(molecules: Sequence[Levels], unit: str, below: float, above: float) -> Figure:
    """Plot orbital energies, HOMO and LUMO thick.

    Args:
        molecules: one column each.
        unit: of the energies.
        below: depth below the deepest HOMO down to which levels are drawn; the number of deeper ones is written.
        above: height above the highest LUMO up to which they are drawn.

    Example:
        >>> import numpy as np
        >>> water = Levels("water", np.array([-500.0, -25.0, -13.0, -9.0, -7.0, 1.0, 3.0]), occupied=5)
        >>> [text.get_text() for text in plot_levels([water], "eV", below=30, above=10).axes[0].texts]
        ['1 deeper']
    """
    figure = new_figure(3.0)
    ax = figure.subplots()
    # core levels lie hundreds of eV deeper: on one axis with them the valence levels would be one line
    bottom = min(m.eps[m.occupied - 1] for m in molecules) - below
    top = max(m.eps[min(m.occupied, len(m.eps) - 1)] for m in molecules) + above
    for column, molecule in enumerate(molecules):
        below_gap, above_gap = molecule.eps[: molecule.occupied], molecule.eps[molecule.occupied :]
        for levels, frontier, colour, style in (
            (below_gap, below_gap[-1:], COLOURS[0], "-"),
            (above_gap, above_gap[:1], COLOURS[1], "--"),
        ):
            drawn = levels[(levels > bottom) & (levels < top)]
            ax.hlines(drawn, column - 0.3, column + 0.3, color=colour, lw=0.8, ls=style)
            ax.hlines(frontier, column - 0.36, column + 0.36, color=colour, lw=2)
        deeper = int((molecule.eps <= bottom).sum())
        ax.text(column, bottom, f"{deeper} deeper" if deeper else "", ha="center", va="bottom", size=6)
    ax.plot([], [], color=COLOURS[0], label="occupied")
    ax.plot([], [], color=COLOURS[1], ls="--", label="empty")
    figure.legend(loc="outside upper right", ncols=2)
    ax.set_xticks(range(len(molecules)), [m.label for m in molecules], rotation=20 if len(molecules) > 4 else 0)
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(bottom - 0.04 * (top - bottom), top)
    ax.set_ylabel(axis_label("orbital energy", unit))
    return figure


@styled
def plot_dos(
    reference: DensityOfStates, unit: str, zero: str, predicted: DensityOfStates | None = None, title: str = ""
) -> Figure:
    """Plot a density of states, occupied states filled, and a predicted one over it.

    Args:
        reference: the density of states.
        unit: of the energies.
        zero: what the energies are measured from, for the label of the axis.
        predicted: drawn as a dashed line.
        title: stands above the picture.
    """
    figure = new_figure(2.4)
    ax = figure.subplots()
    filled = reference.energy <= reference.edges[0]
    ax.fill_between(reference.energy, reference.density, where=filled, color=COLOURS[0], alpha=0.3, lw=0)
    ax.plot(reference.energy, reference.density, color=COLOURS[0], label="reference")
    if predicted is not None:
        ax.plot(predicted.energy, predicted.density, color=COLOURS[1], ls="--", label="predicted")
        ax.legend(loc="upper left")
    for edge in dict.fromkeys(reference.edges):  # once where both are the Fermi level
        ax.axvline(edge, color=GREY, lw=0.7, ls=":")
    gap = reference.edges[1] - reference.edges[0]
    text = f"gap {gap:.2f} {unit}" if gap > 0 else "Fermi level"
    ax.text(sum(reference.edges) / 2, 1.0, text, transform=ax.get_xaxis_transform(), ha="center", va="bottom", size=7)
    ax.set_xlim(reference.energy[0], reference.energy[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(axis_label(f"energy from {zero}", unit))
    ax.set_ylabel(f"states per {unit} and atom")
    ax.set_title(title)
    return figure
