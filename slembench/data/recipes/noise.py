"""Numerical noise of a generated crystal: the same structure computed twice, the second time shifted against the grid.

Operators do not depend on where a structure lies; what differs between the two is noise of the real-space grid that no
model can learn.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.data.recipes.records import Record, read_record
from slembench.data.recipes.verify import EMPTY_BANDS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray

NOISE_FOLDER = "noise"


def numerical_noise(workdir: Path) -> dict[str, float | str]:
    """The card's ``numerical_noise`` from ``noise/<id>.npz`` beside ``structures/<id>.npz``; empty without them.

    Raises:
        DataError: damaged files, or two calculations that do not belong to one structure.
    """
    files = sorted((workdir / NOISE_FOLDER).glob("*.npz"))
    if not files:
        return {}
    first, second = read_record(workdir / "structures" / files[0].name), read_record(files[0])
    shift, cells = rigid_shift(first, second, files[0])
    vector = ", ".join(f"{x:g}" for x in np.round(shift, 4))
    found: dict[str, float | str] = {
        "measured": f"{files[0].stem} computed again after a rigid shift by ({vector}) Angstrom against the grid"
    }
    for name, operator in first.sample.operators.items():
        error = np.abs(operator.values - aligned(second.sample.operators[name], cells, operator, files[0]))
        unit = f"_{first.sample.info.energy_unit}" if name == "hamiltonian" else ""
        found |= {
            f"{name}_mean_abs{unit}": digits(error.mean()),
            f"{name}_rms{unit}": digits(np.sqrt((error**2).mean())),
            f"{name}_max_abs{unit}": digits(error.max()),
        }
    bands = int(np.ceil(float(first.sample.info.electrons or 0.0) / 2)) + EMPTY_BANDS
    difference = np.abs(first.eigenvalues - second.eigenvalues)[:, :bands]
    found[f"occupied_and_{EMPTY_BANDS}_more_bands_max_meV"] = digits(1e3 * difference.max())
    return found


def rigid_shift(first: Record, second: Record, file: Path) -> tuple[FloatArray, IntArray]:
    """Shift (3,) in Angstrom of the second structure, and the cells (N, 3) by which its atoms were wrapped.

    Raises:
        DataError: the two differ by more than a shift and lattice translations.
    """
    atoms, other = first.sample.atoms, second.sample.atoms
    if np.array_equal(atoms.numbers, other.numbers):
        moved, cell = other.positions - atoms.positions, atoms.cell.array
        # whole cells by which atoms were wrapped: the median is the rigid shift, whatever the minority was wrapped by
        cells = np.round((moved - np.median(moved, axis=0)) @ np.linalg.inv(cell)).astype(np.int64)
        rest = moved - cells @ cell
        if np.allclose(rest, rest[0], atol=1e-6):
            return np.asarray(rest[0]), cells
    raise DataError(f"{file}: structure {file.stem!r} is not the shifted copy of the one in structures/")


def aligned(operator: BlockMatrix, cells: IntArray, like: BlockMatrix, file: Path) -> FloatArray:
    """Values of the wrapped structure's blocks in the order of ``like``'s pairs.

    Args:
        operator: triangle of the wrapped structure.
        cells: (N, 3) lattice translations that were added to each atom.
        like: triangle of the structure itself.
        file: named in errors.

    Raises:
        DataError: the pairs are not the same.
    """
    i, j = operator.pair_index.T
    # with r' = r + cell the same pair of images, r'_j + R' - r'_i = r_j + R - r_i, has R = R' + cell_j - cell_i
    unwrapped = replace(operator, pair_shift=operator.pair_shift + cells[j] - cells[i])
    found, missing, extra = unwrapped.align(like.pair_index, like.pair_shift)
    if len(missing) or len(extra):
        raise DataError(f"{file}: structure {file.stem!r}: key 'pair_shift': other pairs than before the shift")
    return found.values


def digits(value: float) -> float:
    """Value to three significant digits."""
    return float(f"{value:.3g}")
