"""Blocks of DeePTB files: a dict or an HDF5 group of ``i_j_Rx_Ry_Rz`` -> matrix; and its ways to write a basis.

Atoms count from 0 or from 1; one direction of a pair may stand for both; an absent block is zero; orbitals are in
canonical order, single or double precision. Source: files and readers of deepmodeling/DeePTB.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.orbital_order import check_hermitian
from slembench.operators.blocks import BlockMatrix, pair_keys
from slembench.operators.orbitals import SHELL_LETTERS, Basis, IntArray

Blocks = Mapping[str, NDArray[Any]]

_LARGEST = 1024  # orbitals of an atom, twice over for spin, that a sound file stays far below
_SHELL = re.compile(r"\d*([spdfghi])\*?")


def h5_blocks(file: Path, frame: int) -> dict[str, NDArray[Any]]:
    """Blocks of one frame of a file; groups are named by frame, from 0 or from 1.

    Raises:
        DataError: no such frame, something else than real or complex matrices, or a damaged file.
    """
    try:
        with h5py.File(file, "r") as source:
            name = str(frame) if "0" in source else str(frame + 1)  # frames count from 0 or from 1
            if name not in source:
                raise DataError(f"{file}: frame {frame}: missing; the file holds {', '.join(list(source)[:5])}")
            group = source[name].id
            return {key.decode(): _matrix(group, key, f"{file}: frame {frame}") for key in group}
    except DataError:
        raise
    except Exception as error:  # HDF5 raises whatever it trips over in a damaged file
        raise DataError(f"{file}: not readable as HDF5 (missing, cut short or damaged): {error}") from error


def _matrix(group: Any, key: bytes, place: str) -> NDArray[Any]:
    """One block, through HDF5's own functions: files hold tens of thousands, and h5py's objects cost more than they."""
    item = h5py.h5d.open(group, key)
    if len(item.shape) != 2 or max(item.shape) > _LARGEST or item.dtype.kind not in "fc":
        raise DataError(f"{place}: key {key.decode()!r}: is no matrix of numbers")
    array = np.empty(item.shape, item.dtype)
    item.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    return array


def to_operator(blocks: Blocks, numbers: IntArray, basis: Basis, place: str) -> BlockMatrix:
    """Operator of one frame, both directions of every pair, sorted by i, j, R; float64.

    Args:
        blocks: name -> (n_i, n_j) matrix.
        numbers: (N,) atomic numbers.
        basis: shells of the elements.
        place: file, frame and key, named in errors.

    Raises:
        DataError: a name that is none, atoms out of range, a block of the wrong shape, an atom without its own block,
            directions that contradict each other, or spin.
    """
    index, shift = block_names(blocks, len(numbers), place)
    order = np.lexsort((*shift.T[::-1], *index.T[::-1]))  # by i, j, R; the last key counts most
    arrays = list(blocks.values())
    sizes = basis.sizes(numbers)
    for name, array, (i, j) in zip(blocks, arrays, index.tolist()):
        _check_block(array, (int(sizes[i]), int(sizes[j])), f"{place}: block {name}")
    values = np.concatenate([np.zeros(0), *(arrays[k].astype(np.float64, copy=False).reshape(-1) for k in order)])
    matrix = BlockMatrix(basis, numbers, index[order], shift[order], values)
    lonely = np.setdiff1d(np.arange(len(numbers)), matrix.pair_index[matrix.onsite, 0])
    if len(lonely):
        raise DataError(f"{place}: atom {lonely[0]} has no block with itself")
    if not np.isfinite(values).all():
        bad = order[matrix.element_pair[int(np.flatnonzero(~np.isfinite(values))[0])]]
        raise DataError(f"{place}: block {list(blocks)[bad]}: holds values that are not finite")
    full = matrix.complete()
    check_hermitian(full, place, "blocks")
    return full


def block_names(blocks: Blocks, atoms: int, place: str) -> tuple[IntArray, IntArray]:
    """Atoms (P, 2), counted from 0, and translations (P, 3) that the names of blocks say.

    Raises:
        DataError: a name that is not five integers, two names of one pair, or atoms that are not there.
    """
    try:
        table = np.array([[int(part) for part in name.split("_")] for name in blocks], dtype=np.int64)
        index, shift = table.reshape(-1, 5)[:, :2], table.reshape(-1, 5)[:, 2:]
    except (ValueError, OverflowError) as error:
        raise DataError(f"{place}: names of blocks must be i_j_Rx_Ry_Rz: {error}") from error
    # the on-site block of atom 0 is always there if atoms count from 0
    index = index if "0_0_0_0_0" in blocks else index - 1
    if not len(index):
        raise DataError(f"{place}: holds no blocks")
    if index.min() < 0 or index.max() >= atoms:
        names = ", ".join(list(blocks)[:3])
        raise DataError(f"{place}: names of blocks ({names} ...) do not count {atoms} atoms from 0 or from 1")
    if np.abs(shift).max() > 511 or len(np.unique(pair_keys(index, shift))) < len(index):
        raise DataError(f"{place}: a block is named twice, or lies more than 511 cells away")
    return index, shift


def _check_block(array: NDArray[Any], shape: tuple[int, int], place: str) -> None:
    if array.shape == (2 * shape[0], 2 * shape[1]) or array.dtype.kind == "c":
        raise DataError(f"{place}: has spin (spin-orbit coupling), which is not supported")
    if array.shape != shape:
        raise DataError(f"{place}: is {array.shape}, the shells of its atoms make it {shape}")


def parse_basis(text: str, numbers: IntArray, place: str) -> Basis:
    """Basis of a ``basis.dat``: a dict such as ``{'Si': '1s1p'}`` or ``{'Si': ['3s', '3p']}``, or a line for each atom.

    Args:
        text: contents of the file.
        numbers: (N,) atomic numbers, which lines belong to.
        place: the file, named in errors.

    Raises:
        DataError: neither, an element without shells, or atoms of one element with different ones.
    """
    try:
        if text.lstrip().startswith("{"):
            # a Python dict as text: literal_eval builds literals and calls nothing
            content = {str(symbol): _shells(shells) for symbol, shells in ast.literal_eval(text.strip()).items()}
        else:
            lines = text.split()
            if len(lines) != len(numbers):
                raise DataError(f"{place}: has {len(lines)} lines for {len(numbers)} atoms")
            pairs = set(zip((chemical_symbols[int(z)] for z in numbers), lines))
            content = {symbol: _shells(shells) for symbol, shells in pairs}
            if len(pairs) > len(content):
                raise DataError(f"{place}: atoms of one element have different shells, which is not supported")
        basis = Basis.parse(content)
        basis.sizes(numbers)
    except DataError:
        raise
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError) as error:
        raise DataError(f"{place}: not readable as basis: {error}") from error
    return basis


def _shells(spec: Any) -> list[int]:
    """Angular momenta of the shells of ``2s2p1d`` or of a list ``["3s", "3p", "d*"]``."""
    if isinstance(spec, str):
        return list(Basis.parse({"H": spec}).shells[atomic_numbers["H"]])
    found = [_SHELL.fullmatch(item) for item in spec]
    if not all(found):
        raise ValueError(f"shells must look like '2s2p1d' or ['3s', '3p'], got {spec!r}")
    return sorted(SHELL_LETTERS.index(match[1]) for match in found if match)
