"""Decay of matrix elements: size of every block against the distance of its atoms, one panel an operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ase
import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slembench.figures.style import COLOURS, GREY, MARKERS, axis_label, new_figure, styled
from slembench.operators import SYMBOLS
from slembench.operators.blocks import BlockMatrix

FAR_BELOW = 100.0
"""Ratio of the smallest block to the numerical noise from which the noise is written, not drawn as a line."""

COLUMNS = ("operator", "elements", "distance", "norm")


def block_norms(structures: Iterable[tuple[ase.Atoms, Mapping[str, BlockMatrix]]]) -> pd.DataFrame:
    """Size of every block of some structures.

    Args:
        structures: atoms (Angstrom) and their operators, one triangle or all pairs.

    Returns:
        One row a block: ``operator``, ``elements`` ("Mo-S", symbols in alphabetical order), ``distance`` (Angstrom; 0
        on-site) and ``norm``, the root mean square of its elements, in the operator's unit.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
        >>> s = BlockMatrix.from_dense(Basis.parse({"H": "1s"}), atoms.numbers, np.array([[1.0, 0.66], [0.66, 1.0]]))
        >>> block_norms([(atoms, {"overlap": s})])[["distance", "norm"]].drop_duplicates().values.tolist()
        [[0.0, 1.0], [0.74, 0.66]]
    """
    frames = []
    for atoms, operators in structures:
        for name, matrix in operators.items():
            # blocks lie end to end in one flat array: sums between their offsets. Mean, not sum, of squares, so that a
            # d-d block of 25 elements is not larger than an s-s block by its size alone
            square = np.add.reduceat(np.abs(matrix.values) ** 2, matrix.offsets[:-1])
            symbols = np.array([chemical_symbols[z] for z in matrix.numbers.tolist()])
            # Mo-S and S-Mo are one kind of pair
            ends = np.sort(symbols[matrix.pair_index], axis=1)
            columns = {
                "operator": name,
                "elements": np.char.add(np.char.add(ends[:, 0], "-"), ends[:, 1]),
                "distance": np.linalg.norm(matrix.vectors(atoms.positions, atoms.cell.array), axis=1),
                "norm": np.sqrt(square / np.diff(matrix.offsets)),
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


@styled
def plot_decay(
    norms: pd.DataFrame, energy_unit: str, noise: Mapping[str, float] | None = None, title: str = ""
) -> Figure:
    """Plot the size of blocks, on a logarithmic axis, against distance.

    Args:
        norms: from `block_norms`.
        energy_unit: unit of the Hamiltonian.
        noise: operator -> root mean square noise of an element, in its unit; a line, or words where it is far below.
        title: stands above the first panel.
    """
    operators = list(dict.fromkeys(norms["operator"]))
    figure = new_figure(2.6)
    axes = figure.subplots(1, len(operators), squeeze=False, sharex=True)[0]
    # six element pairs in colours of their own, the rarest together
    common = norms["elements"].value_counts().index[: len(COLOURS) - 1].tolist()
    groups = norms["elements"].where(norms["elements"].isin(common), "others")
    for ax, operator in zip(axes, operators):
        unit = energy_unit if operator == "hamiltonian" else "1"
        for k, label in enumerate([*common, "others"]):
            rows = norms[(norms["operator"] == operator) & (groups == label) & (norms["norm"] > 0)]
            style = {"color": COLOURS[k], "marker": MARKERS[k], "label": label}
            ax.plot(rows["distance"], rows["norm"], ls="", ms=2.4, mew=0, alpha=0.6, rasterized=True, **style)
        floor = (noise or {}).get(operator)
        if floor:
            _noise_line(
                ax, floor, float(norms.loc[(norms["operator"] == operator) & (norms["norm"] > 0), "norm"].min())
            )
        ax.set_yscale("log")
        ax.set_xlim(left=-0.3)
        ax.set_xlabel("distance (Å)")
        ax.set_ylabel(axis_label(f"rms of a block of {SYMBOLS[operator]}", unit))
    used = [label for label in [*common, "others"] if (groups == label).any()]
    handles = [line for line in axes[0].lines if line.get_label() in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(used), markerscale=2)
    axes[0].set_title(title)
    return figure


def _noise_line(ax: Axes, noise: float, smallest: float) -> None:
    """Numerical noise of the elements as a line, or as words where it lies far below the smallest block."""
    if noise * FAR_BELOW >= smallest:
        ax.axhline(noise, color=GREY, lw=0.8, ls="--")
        ax.text(0.15, noise, "noise", transform=ax.get_yaxis_transform(), va="bottom", size=6)
    else:
        ax.text(0.03, 0.02, f"noise {noise:.0e}", transform=ax.transAxes, va="bottom", size=6)
