"""What a predictions file from a stranger must satisfy before any of its content is read.

A small HDF5 file can name other files, declare petabytes, or unpack to more than it holds. Allowed is what NumPy
arrays written plainly with h5py give: hard links, data stored in the file itself, no filters, nothing declared that is
not stored.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import h5py

from slembench.errors import PredictionError
from slembench.predictions.checks import reading
from slembench.predictions.header import OPERATORS
from slembench.predictions.layout import INTEGERS

ATTRIBUTE_BYTES = 1 << 14
"""Longest attribute, bytes of text."""

IDS_AT_ONCE = 1 << 28
"""Bytes of ids read at a time, at most, whatever the file refers to."""


def check_untrusted(path: Path, max_bytes: int, max_structures: int) -> None:
    """Refuse a predictions file that is not plain; `slembench.predictions.read_predictions` may follow.

    Args:
        path: the file.
        max_bytes: largest size of the file.
        max_structures: largest number of ids.

    Raises:
        PredictionError: too large, not HDF5, a link that is not a hard link, an unknown key, data stored outside the
            file or through a filter, a shape that declares more than is stored, or text without measure; names the key.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise PredictionError(f"{path}: {size} bytes, more than the {max_bytes} that this data set can need")
    file = reading(path, lambda: h5py.File(path, "r"))
    with file:
        reading(path, lambda: _check(path, file, size, max_structures))


def _check(path: Path, file: h5py.File, size: int, max_structures: int) -> None:
    _attributes(path, file)
    names = _datasets(path, file)
    declared = sum(_declared(path, name, file[name]) for name in names)
    if declared > size:
        raise PredictionError(f"{path}: its keys declare {declared} bytes, the file has {size}")
    if "ids" in names:
        _ids(path, file["ids"], size, max_structures)


def _datasets(path: Path, file: h5py.File) -> list[str]:
    """Full names of the datasets; every link is looked at before it is followed."""
    names: list[str] = []
    groups: list[tuple[str, set[str]]] = [("", {"ids", *INTEGERS, "operators"})]
    while groups:
        prefix, allowed = groups.pop()
        group: Any = file[prefix] if prefix else file
        for key in group:
            name = f"{prefix}/{key}" if prefix else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise PredictionError(f"{path}: key {name!r} is a soft or external link; store the data in the file")
            if key not in allowed:
                raise PredictionError(f"{path}: unknown key {name!r}; remove it")
            kind = group.get(key, getclass=True)
            inner = name == "operators" or prefix == "operators"
            if kind is not (h5py.Group if inner else h5py.Dataset):
                raise PredictionError(f"{path}: key {name!r} is a {kind.__name__.lower()}, which does not belong there")
            if inner:
                groups.append((name, set(OPERATORS) if name == "operators" else {"values", "offsets"}))
            else:
                names.append(name)
    return names


def _declared(path: Path, name: str, dataset: h5py.Dataset) -> int:
    """Bytes that a dataset declares, after checking that they stand in the file as they are."""
    where, layout = f"{path}: key {name!r}", dataset.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.VIRTUAL or layout.get_external_count():
        raise PredictionError(f"{where} is stored in another file; store the data in this one")
    if layout.get_nfilters():
        raise PredictionError(f"{where} is compressed or filtered; write it without filters")
    if dataset.shape is None:
        raise PredictionError(f"{where} has no shape")
    declared = math.prod(dataset.shape) * dataset.id.get_type().get_size()
    if declared > dataset.id.get_storage_size():
        raise PredictionError(f"{where}: shape {dataset.shape} declares more than the file stores")
    return int(declared)


def _attributes(path: Path, file: h5py.File) -> None:
    for key in file.attrs:
        attribute = file.attrs.get_id(key)
        value = file.attrs[key] if math.prod(attribute.shape) == 1 else None
        if value is None or len(str(value)) > ATTRIBUTE_BYTES:
            raise PredictionError(f"{path}: attribute {key!r} is no single word or number of reasonable length")
        if key == "basis" and (re.search(r"\d{3}", str(value)) or re.search(r"[\[{].*[\[{]", str(value))):
            raise PredictionError(f'{path}: attribute \'basis\': write it as {{"Mo": "4s2p2d1f"}}, found {value!r:.80}')


def _ids(path: Path, ids: h5py.Dataset, size: int, max_structures: int) -> None:
    """Few, and of measured length: several ids may refer to the same stored text."""
    if ids.ndim != 1 or len(ids) > max_structures:
        raise PredictionError(f"{path}: key 'ids' has shape {ids.shape}; the data set has {max_structures} structures")
    if h5py.check_string_dtype(ids.dtype) is None:
        return
    step = max(1, IDS_AT_ONCE // max(size, 1))
    for start in range(0, len(ids), step):
        longest = max(map(len, ids[start : start + step]))
        if longest > 256:
            raise PredictionError(f"{path}: key 'ids' holds an id of {longest} bytes")
