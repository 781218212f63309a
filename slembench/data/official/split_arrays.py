"""Row numbers of the splits of a data set as a NumPy file, for programs that keep the data in their own way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.core.files import atomic_file
from slembench.data.catalogue import load_dataset
from slembench.data.official.copy import RowSpec, open_copy
from slembench.data.official_card import list_official, load_official
from slembench.data.official_rules import official_indices


def split_arrays(
    name: str, source: Path | None = None, *, format_name: str | None = None, rows: RowSpec = None
) -> dict[str, NDArray[Any]]:
    """Row numbers of every split.

    Args:
        name: an official set, or any other data set.
        source: a copy of an official set, whole or in part.
        format_name: its format; detected where None.
        rows: official row numbers of its structures, where it does not tell them.

    Returns:
        split -> (n,) int64. Of an official set: official row numbers, in the order of the release; with ``source``
        only those that it holds, and also "rows" (official row number of each of its structures, in its order) and
        "ids" (their names). Of another data set: positions in its `ids`.

    Raises:
        DataError: no such set, ``source`` with another than an official set, or anything that `official_indices` or
            `open_copy` refuse.
    """
    if name not in list_official():
        if source is not None:
            raise DataError(f"{name} is no official set, so a copy of it is not divided by an official rule")
        dataset = load_dataset(name)
        place = {identifier: number for number, identifier in enumerate(dataset.ids)}
        return {split: np.array([place[i] for i in dataset.split(split)], dtype=np.int64) for split in dataset.splits}
    card = load_official(name)
    if source is None:
        return dict(official_indices(card.splits))
    copy = open_copy(card, source, format_name, rows)
    return {**copy.splits, "rows": copy.rows, "ids": np.array(copy.ids)}


def write_split(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays as an NPZ file, atomically; nothing in it needs pickle."""
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_rows(text: str | None) -> RowSpec:
    """Official row numbers as they are given on the command line: "first", or an NPY file of integers.

    Raises:
        DataError: neither.
    """
    if text is None or text == "first":
        return None if text is None else "first"
    try:
        rows = np.load(text, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"--rows {text}: neither the word first nor an NPY file: {error}") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise DataError(f"--rows {text}: must hold one row of integers")
    return rows.astype(np.int64)
