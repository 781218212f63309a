"""The per-block table: one error for each (element of i, shell of i, element of j, shell of j)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from slembench.metrics.matrix import PARTS, BlockType, OrbitalSums, add_sums, union_shells
from slembench.operators.orbitals import SHELL_LETTERS, Basis

COLUMNS = [
    "part", "element_i", "shell_i", "element_j", "shell_j", "l_i", "l_j", "reduced",
    "abs_sum", "sq_sum", "count", "max_abs", "mae", "rmse",
]  # fmt: skip


def shell_labels(basis: Basis, z: int) -> list[str]:
    """Labels of the shells of element ``z`` in order: letter of l and number of the zeta.

    Example:
        >>> shell_labels(Basis.parse({"O": "2s2p1d"}), 8)
        ['s1', 's2', 'p1', 'p2', 'd1']
    """
    shells = basis.shells[z]
    return [f"{SHELL_LETTERS[l]}{shells[:s].count(l) + 1}" for s, l in enumerate(shells)]


def block_table(sums: Mapping[BlockType, OrbitalSums], basis: Basis) -> pd.DataFrame:
    """`mae_block` as a table.

    Args:
        sums: error sums, of one structure or of many (`slembench.metrics.matrix.add_sums`).
        basis: shells per element.

    Returns:
        One row for each part (all, onsite, offsite), element and shell of i, element and shell of j: ``l_i``, ``l_j``,
        ``reduced`` (counted in the reduced counting), ``abs_sum``, ``sq_sum``, ``count``, ``max_abs``, ``mae`` =
        abs_sum / count and ``rmse`` = sqrt(sq_sum / count), in the unit of the operator. Rows of part "all" sum the two
        others; group by (l_i, l_j) and divide the sums for the table by angular momentum.

    Example:
        One H atom, of whose s-p block (three elements) every element is off by 0.1.

        >>> from slembench.metrics.matrix import error_blocks, orbital_sums
        >>> from slembench.operators.blocks import BlockMatrix
        >>> basis, delta = Basis.parse({"H": "1s1p"}), np.zeros((4, 4))
        >>> delta[0, 1:] = 0.1
        >>> h = BlockMatrix.from_dense(basis, np.array([1]), delta)
        >>> table = block_table(orbital_sums(error_blocks(h, h * 0.0)), basis)
        >>> print(table[table.part == "onsite"][["shell_i", "shell_j", "count", "mae"]].round(3).to_string(index=False))
        shell_i shell_j  count  mae
             s1      s1      1  0.0
             s1      p1      3  0.1
             p1      s1      3  0.0
             p1      p1      9  0.0
    """
    both = add_sums({(z_i, z_j, "all"): entry} for (z_i, z_j, _), entry in sums.items())
    order = {"all": 0} | {part: 1 + k for k, part in enumerate(PARTS)}
    entries = sorted((both | dict(sums)).items(), key=lambda item: (order[item[0][2]], item[0][:2]))
    if not entries:
        return pd.DataFrame(columns=COLUMNS)
    rows = [_rows(basis, *key, entry) for key, entry in entries]
    table = pd.DataFrame({name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
    counted = table["count"].where(table["count"] > 0)  # NaN, not a division by zero, where only extra blocks are
    return table.assign(mae=table["abs_sum"] / counted, rmse=np.sqrt(table["sq_sum"] / counted))[COLUMNS]


def _rows(basis: Basis, z_i: int, z_j: int, part: str, entry: OrbitalSums) -> dict[str, NDArray[Any]]:
    shells_i, shells_j = basis.shells[z_i], basis.shells[z_j]
    starts = basis.shell_offsets(z_i)[:-1], basis.shell_offsets(z_j)[:-1]

    # reduceat over rows, then columns: (n_i, n_j) orbitals -> (shells of i, shells of j), flattened row by row
    def over_shells(values: np.ndarray, how: np.ufunc) -> np.ndarray:
        return np.asarray(how.reduceat(how.reduceat(values, starts[0], axis=0), starts[1], axis=1)).reshape(-1)

    l_i, l_j = (grid.reshape(-1) for grid in np.meshgrid(shells_i, shells_j, indexing="ij"))
    united = (union_shells(basis, z)[basis.shell_offsets(z)[:-1]] for z in (z_i, z_j))
    u_i, u_j = np.meshgrid(*united, indexing="ij")
    size = len(l_i)
    return {
        "part": np.repeat(part, size),
        "element_i": np.repeat(chemical_symbols[z_i], size),
        "shell_i": np.repeat(shell_labels(basis, z_i), len(shells_j)),
        "element_j": np.repeat(chemical_symbols[z_j], size),
        "shell_j": np.tile(shell_labels(basis, z_j), len(shells_i)),
        "l_i": l_i,
        "l_j": l_j,
        "reduced": (u_i <= u_j).reshape(-1),
        "abs_sum": over_shells(entry.absolute, np.add),
        "sq_sum": over_shells(entry.square, np.add),
        "count": entry.count * (2 * l_i + 1) * (2 * l_j + 1),
        "max_abs": over_shells(entry.largest, np.maximum),
    }
