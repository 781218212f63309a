"""Challenging structures and the challenging block of a data set: where a named reference baseline is worst.

The baseline is trained with a seed of its own that never enters a board; the card holds what it found, so every model
is scored on the same ones.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from slembench.metrics.block_table import shell_labels
from slembench.metrics.matrix import PARTS, ErrorBlocks, structure_of_pairs
from slembench.operators.orbitals import Basis, FloatArray

SHARE = 0.1
"""Share of the test structures that are challenging; at least one."""

Block = tuple[str, str, str, str]
"""Element of i, shell of i such as ``d1``, element of j, shell of j."""


def challenging_samples(table: pd.DataFrame, operator: str) -> list[str]:
    """Ids of the structures with the largest mean absolute error, a tenth of them and at least one; worst first.

    Args:
        table: per-structure table of the baseline.
        operator: hamiltonian, overlap or density.

    Example:
        >>> table = pd.DataFrame({"id": ["a", "b", "c"]})
        >>> for part, errors in (("onsite", [1.0, 6.0, 3.0]), ("offsite", [0.0, 2.0, 1.0])):
        ...     table[f"hamiltonian.{part}.full.abs_sum"], table[f"hamiltonian.{part}.full.count"] = errors, 4
        >>> challenging_samples(table, "hamiltonian")
        ['b']
    """
    absolute, count = (
        sum(table[f"{operator}.{part}.full.{column}"].to_numpy(np.float64) for part in PARTS)
        for column in ("abs_sum", "count")
    )
    errors = pd.Series(absolute / count, index=table["id"])  # mae_all of each structure, full counting
    number = max(1, math.floor(SHARE * len(errors)))
    return [str(name) for name in errors.sort_values(ascending=False, kind="stable").index[:number]]


def challenging_block(blocks: pd.DataFrame, operator: str) -> Block:
    """The block of shells with the largest mean absolute error.

    Args:
        blocks: per-block table of the baseline (`slembench.metrics.block_table.block_table`).
        operator: hamiltonian, overlap or density.

    Example:
        >>> shells = {"element_i": "Mo", "shell_i": ["s1", "d1"], "element_j": "S", "shell_j": "p1"}
        >>> blocks = pd.DataFrame({**shells, "operator": "hamiltonian", "part": "all", "mae": [0.01, 0.04]})
        >>> challenging_block(blocks, "hamiltonian")
        ('Mo', 'd1', 'S', 'p1')
    """
    rows = blocks[(blocks["operator"] == operator) & (blocks["part"] == "all")]
    worst = rows.loc[rows["mae"].idxmax()]
    return (str(worst["element_i"]), str(worst["shell_i"]), str(worst["element_j"]), str(worst["shell_j"]))


def block_sums(errors: ErrorBlocks, starts: np.ndarray, basis: Basis, block: Block) -> tuple[FloatArray, FloatArray]:
    """`mae_challenging_block`: error sums of one block of shells in each structure.

    Args:
        errors: of joined operators.
        starts: (S + 1,) first atom of each structure.
        basis: shells per element.
        block: which one.

    Returns:
        Sum of |Delta| (S,) in the unit of the operator, and number of scored elements (S,).

    Raises:
        ValueError: an element or shell that the basis lacks.

    Example:
        An H atom with s and p, whose s-p block (three elements) is off by 0.1.

        >>> from slembench.metrics.matrix import error_blocks, first_atoms
        >>> from slembench.operators.blocks import BlockMatrix
        >>> basis, delta = Basis.parse({"H": "1s1p"}), np.zeros((4, 4))
        >>> delta[0, 1:] = 0.1
        >>> h = BlockMatrix.from_dense(basis, np.array([1]), delta)
        >>> absolute, count = block_sums(error_blocks(h, h * 0.0), first_atoms([1]), basis, ("H", "s1", "H", "p1"))
        >>> absolute.round(6), count
        (array([0.3]), array([3.]))
    """
    delta, n = errors.delta, len(starts) - 1
    z_i, rows = _shell(basis, *block[:2])
    z_j, columns = _shell(basis, *block[2:])
    numbers = delta.numbers[delta.pair_index]
    pairs = np.flatnonzero((numbers[:, 0] == z_i) & (numbers[:, 1] == z_j))
    if not len(pairs):
        return np.zeros(n), np.zeros(n)
    part = np.abs(delta.gather(pairs)[:, rows, columns])
    structure = structure_of_pairs(delta, starts)[pairs]
    elements = (pairs < errors.n_scored) * float(part[0].size)  # extra pairs add error, but no elements
    absolute = part.sum(axis=(1, 2))
    sums = np.bincount(structure, absolute, minlength=n), np.bincount(structure, elements, minlength=n)
    return np.asarray(sums[0], dtype=np.float64), np.asarray(sums[1], dtype=np.float64)


def _shell(basis: Basis, element: str, label: str) -> tuple[int, slice]:
    """Atomic number and orbitals of a labelled shell."""
    z = atomic_numbers.get(element, 0)
    labels = shell_labels(basis, z) if z in basis.shells else []
    if label not in labels:
        raise ValueError(f"basis has no shell {label!r} of element {element!r}")
    first = basis.shell_offsets(z)
    number = labels.index(label)
    return int(z), slice(int(first[number]), int(first[number + 1]))
