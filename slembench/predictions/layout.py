"""Names and types of the datasets of a predictions file, and its checksum."""

from __future__ import annotations

import hashlib

import h5py
import numpy as np

FORMAT = "slembench-predictions"
VERSION = 1
CONVENTION = "slembench"
INTEGERS = {"numbers": 1, "atom_offsets": 1, "pair_index": 2, "pair_shift": 3, "pair_offsets": 1}
"""Integer dataset -> columns (1: one-dimensional)."""

CHUNK = 1 << 22
"""Rows read at a time when a whole file is gone through."""


def checksum(file: h5py.File) -> str:
    """sha256 over all datasets of an open predictions file.

    Datasets in the order of their sorted full names; of each the text ``name dtype shape;`` (such as
    ``pair_index int64 (720, 2);``; dtype "utf-8" for the ids), then its little-endian bytes (ids: each one's UTF-8
    bytes and a zero byte).
    """
    digest = hashlib.sha256()
    for name in sorted(dataset_names(file)):
        dataset = file[name]
        text = h5py.check_string_dtype(dataset.dtype) is not None
        digest.update(f"{name} {'utf-8' if text else dataset.dtype.name} {dataset.shape};".encode())
        for start in range(0, len(dataset), CHUNK):
            if text:
                digest.update(b"".join(i.encode() + b"\0" for i in dataset.asstr()[start : start + CHUNK]))
            else:
                part = dataset[start : start + CHUNK]
                digest.update(np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def dataset_names(file: h5py.File) -> list[str]:
    """Full names of all datasets of an open file."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names
