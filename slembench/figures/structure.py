"""Picture of a structure: atoms as circles, bonds, edges of the cell, a scale bar."""

from __future__ import annotations

import ase
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from ase.neighborlist import natural_cutoffs, neighbor_list
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from slembench.figures.style import GREY, new_figure, styled
from slembench.operators.orbitals import FloatArray

BOND = 1.15
"""Atoms nearer than this times the sum of their covalent radii are drawn as bonded."""

ATOM_SIZE = 0.45
"""Radius of a drawn atom over its covalent radius."""

MARGIN = 1.2
LARGEST_SCALE = 0.6
"""Inches an Angstrom, for small molecules."""

BAR = 2.0
"""Length of the scale bar, Angstrom."""

METALS = np.isin(np.arange(119), [3, 4, *range(11, 14), *range(19, 32), *range(37, 51), *range(55, 85)])
"""By atomic number; in a compound with non-metals, metals are not bonded to each other."""

_TILT = np.radians([-75.0, 14.0])


@styled
def plot_structure(atoms: ase.Atoms, title: str = "") -> Figure:
    """Plot a structure: a layer from above and from the side, a bulk crystal tilted, a molecule flat.

    Args:
        atoms: positions and cell in Angstrom.
        title: stands above the picture.

    Example:
        >>> from ase.build import graphene
        >>> [axes.get_title("left") for axes in plot_structure(graphene(vacuum=10.0), "graphene").axes]
        ['graphene, from above', 'from the side']
    """
    views = _views(atoms)
    spans = [_span(atoms, rotation, name) for name, rotation in views.items()]
    widths = [float(span[0, 1] - span[0, 0]) for span in spans]
    height = max(float(span[1, 1] - span[1, 0]) for span in spans)
    # inches an Angstrom: all views in one scale, at most as wide and high as a page allows
    scale = min(6.6 / sum(widths), 2.6 / height, LARGEST_SCALE)
    figure = new_figure(height * scale + 0.35, sum(widths) * scale + 0.4)
    axes = figure.subplots(1, len(views), squeeze=False, width_ratios=widths)[0]
    for ax, (name, rotation), span in zip(axes, views.items(), spans):
        _draw(ax, atoms, rotation, span, scale)
        ax.set_title(", ".join(part for part in (title if ax is axes[0] else "", name) if part))
    _scale_bar(axes[0], spans[0])
    return figure


def _views(atoms: ase.Atoms) -> dict[str, FloatArray]:
    """Name of each view -> (3, 3) rotation whose rows are right, up and towards the reader."""
    periodic = int(atoms.pbc.sum())
    if periodic == 2:
        axis = int(np.flatnonzero(~atoms.pbc)[0])
        right, up = (axis + 1) % 3, (axis + 2) % 3
        above = np.eye(3)[[right, up, axis]]
        return {"from above": above, "from the side": above[[0, 2, 1]] * np.array([[1.0], [1.0], [-1.0]])}
    if periodic:
        x, y = _TILT
        about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
        about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        return {"": about_x @ about_y}
    # a molecule is seen along its shortest principal axis, so that planar ones lie in the plane of the page. The small
    # identity gives three axes to molecules of one or two atoms; signs are fixed, which singular vectors leave open.
    centred = atoms.positions - atoms.positions.mean(axis=0)
    _, _, axes = np.linalg.svd(np.vstack([centred, 1e-6 * np.eye(3)]), full_matrices=False)
    signs = np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])
    return {"": axes * signs[:, None]}


def _span(atoms: ase.Atoms, rotation: FloatArray, name: str) -> FloatArray:
    """(2, 2) | Angstrom | limits of both axes around the atoms and, except from the side, the cell."""
    points = [atoms.positions]
    if atoms.pbc.any() and name != "from the side":
        points.append(np.array([c @ _cell(atoms) for c in np.ndindex(2, 2, 2)]))
    flat = np.concatenate(points) @ rotation[:2].T
    return np.stack([flat.min(axis=0) - MARGIN, flat.max(axis=0) + MARGIN], axis=1)


def _cell(atoms: ase.Atoms) -> FloatArray:
    """Periodic lattice vectors; zero along the others, which only hold vacuum."""
    return np.asarray(atoms.cell.array * atoms.pbc[:, None])


def _draw(ax: Axes, atoms: ase.Atoms, rotation: FloatArray, span: FloatArray, scale: float) -> None:
    ax.set_aspect("equal")
    ax.set_xlim(*span[0])
    ax.set_ylim(*span[1])
    ax.axis("off")
    points = atoms.positions @ rotation.T
    # painter's algorithm: atoms and their half bonds in order of depth, the nearest last
    depth = points[:, 2].argsort()
    rank = np.empty(len(atoms), dtype=int)
    rank[depth] = np.arange(len(atoms))
    _draw_cell(ax, _cell(atoms) @ rotation.T)
    i, vector = _bonds(atoms)
    # each atom draws its half of a bond: across a boundary of the cell both halves point out of the picture
    half = points[i] + vector @ rotation.T / 2
    for atom in range(len(atoms)):
        own = [(points[atom, :2], end[:2]) for end in half[i == atom]]
        ax.add_collection(LineCollection(own, colors="#555555", linewidths=0.12 * scale * 72, zorder=2 + rank[atom]))
        number = int(atoms.numbers[atom])
        radius, colour = ATOM_SIZE * covalent_radii[number], jmol_colors[number]
        ax.add_patch(
            Circle(points[atom, :2], radius, facecolor=colour, edgecolor="black", lw=0.6, zorder=2.5 + rank[atom])
        )
        size = 1.1 * radius * scale * 72 / max(1.2, len(chemical_symbols[number]))
        if size >= 3:
            dark = np.dot(colour, [0.299, 0.587, 0.114]) < 0.45  # perceived brightness (Rec. 601)
            ax.text(
                points[atom, 0], points[atom, 1], chemical_symbols[number], size=size, ha="center",
                va="center_baseline", color="white" if dark else "black", zorder=2.6 + rank[atom],
            )  # fmt: skip


def _bonds(atoms: ase.Atoms) -> tuple[NDArray[np.int64], FloatArray]:
    """(B,) atom and (B, 3) | Angstrom | vector to its partner, both directions of every bond."""
    i, j, vector = neighbor_list("ijD", atoms, natural_cutoffs(atoms, mult=BOND))
    # by covalent radii alone the metal atoms of MoS2 or HfO2 would be bonded to each other
    metal = METALS[atoms.numbers]
    kept = ~(metal[i] & metal[j]) | metal.all()
    return i[kept], vector[kept]


def _draw_cell(ax: Axes, vectors: FloatArray) -> None:
    """Edges of the cell as thin lines; (3, 3) vectors in the view, zero ones left out."""
    edges = []
    for axis in range(3):
        if not vectors[axis].any():
            continue
        for corner in np.ndindex(2, 2, 2):
            if corner[axis] == 0:
                start = np.asarray(corner) @ vectors
                edges.append((start[:2], (start + vectors[axis])[:2]))
    ax.add_collection(LineCollection(edges, colors=GREY, linewidths=0.7, linestyles="--", zorder=1))


def _scale_bar(ax: Axes, span: FloatArray) -> None:
    x, y = span[0, 0] + 0.1, span[1, 0] + 0.1
    ax.plot([x, x + BAR], [y, y], color="black", lw=1.5, solid_capstyle="butt", zorder=10_000)
    ax.text(x + BAR / 2, y + 0.1, f"{BAR:g} Å", ha="center", va="bottom", size=6, zorder=10_000)
