"""Checks of a predictions file: `check_file` of every file that is opened, `check_untrusted` of submitted ones first.

`check_file` verifies attributes, dataset types and shapes, offsets, pairs, finite values and the checksum. It reads the
content, and a small HDF5 file can name other files (links, external and virtual storage), declare petabytes, or
decompress to more than it holds. `check_untrusted` therefore admits only what NumPy arrays written plainly with h5py
give: hard links, data stored in the file itself, no filters, no dataset larger than what is stored.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import PredictionError
from slembench.operators import OPERATORS
from slembench.operators.blocks import pair_keys
from slembench.operators.orbitals import Basis, IntArray
from slembench.predictions.format import (
    CHUNK,
    CONVENTION,
    FORMAT,
    INTEGERS,
    VERSION,
    PredictionHeader,
    checksum,
    dataset_names,
)

Result = TypeVar("Result")

ATTRIBUTE_BYTES = 1 << 14
"""Longest attribute, bytes of text."""

IDS_AT_ONCE = 1 << 28
"""Most bytes of ids read at a time, even if every id refers to the whole file."""


def check_file(path: Path, file: h5py.File) -> tuple[PredictionHeader, list[str]]:
    """Header and ids of an open predictions file after all of it has been checked.

    Raises:
        PredictionError: see `slembench.predictions.read_predictions`.
    """
    header = _header(path, file)
    operators = _check_datasets(path, file)
    _check_offsets(path, file, operators)
    ids = [str(i) for i in file["ids"].asstr()[:]]
    # offsets hold from here on, so that every index below can be traced to its structure and named
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        raise PredictionError(f"{path}: key 'ids': structure {repeated[0]!r} stands there more than once")
    expected = _values_per_structure(path, file, header.basis, ids)
    for op in operators:
        _check_values(path, file, op, ids, expected)
    if "checksum" in file.attrs and str(file.attrs["checksum"]) != checksum(file):
        raise PredictionError(f"{path}: attribute 'checksum' does not match the content; write the file again")
    return header, ids


def check_untrusted(path: Path, max_bytes: int, max_structures: int) -> None:
    """Refuse a predictions file that is not plain; `slembench.predictions.read_predictions` may follow.

    Args:
        path: the file.
        max_bytes: largest size of the file.
        max_structures: largest number of ids.

    Raises:
        PredictionError: too large, not HDF5, a link that is not a hard link, an unknown key, data stored outside the
            file or through a filter, a shape that declares more than is stored, or text of excessive length; names the
            key.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise PredictionError(f"{path}: {size} bytes, more than the {max_bytes} that this data set can need")
    file = reading(path, lambda: h5py.File(path, "r"))
    with file:
        reading(path, lambda: _check(path, file, size, max_structures))


def reading(path: Path, action: Callable[[], Result]) -> Result:
    """The action's result; whatever HDF5 raises on a broken file becomes one PredictionError naming ``path``."""
    try:
        return action()
    except PredictionError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise PredictionError(f"{path}: truncated or not an HDF5 file ({error})") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path}: {error}") from error


def element_sizes(where: str, basis: Basis, numbers: NDArray[np.integer[Any]]) -> IntArray:
    """Orbitals of each atom (N,); a PredictionError that names ``where`` for an element without shells."""
    try:
        return basis.sizes(numbers)
    except ValueError as error:
        raise PredictionError(f"{where}: {error}") from error


def _header(path: Path, file: h5py.File) -> PredictionHeader:
    attributes = dict(file.attrs)
    for key in ("format", "version", "convention", *PredictionHeader.__dataclass_fields__):
        if key not in attributes:
            raise PredictionError(f"{path}: attribute {key!r} is missing; write the file with PredictionWriter")
    for key, value in (("format", FORMAT), ("version", VERSION), ("convention", CONVENTION)):
        if attributes[key] != value:
            raise PredictionError(f"{path}: attribute {key!r} is {attributes[key]!r}, this program reads {value!r}")
    try:
        basis = Basis.parse(json.loads(attributes["basis"]))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PredictionError(f"{path}: attribute 'basis': {error}") from error
    words = {key: str(attributes[key]) for key in PredictionHeader.__dataclass_fields__ if key != "basis"}
    header = PredictionHeader(**words, basis=basis)
    header.check_units(str(path))
    return header


def _check_datasets(path: Path, file: h5py.File) -> list[str]:
    """Presence, type and shape of every dataset; returns the operators."""
    names = set(dataset_names(file))
    operators = sorted({name.split("/")[1] for name in names if name.startswith("operators/")})
    integers = INTEGERS | {f"operators/{op}/offsets": 1 for op in operators}
    values = [f"operators/{op}/values" for op in operators]
    for name in ["ids", *integers, *values]:
        if name not in names:
            raise PredictionError(f"{path}: key {name!r} is missing")
    unknown = sorted(names - {"ids", *integers, *values}) + [
        f"operators/{op}" for op in operators if op not in OPERATORS
    ]
    if unknown:
        raise PredictionError(f"{path}: unknown key {unknown[0]!r}; remove it")
    if not operators:
        raise PredictionError(f"{path}: no operator in the file; it needs one of {', '.join(OPERATORS)}")
    for name, width in integers.items():
        tail = (width,) if width > 1 else ()
        if file[name].dtype.kind not in "iu" or file[name].ndim != 1 + len(tail) or file[name].shape[1:] != tail:
            _bad_dataset(path, file, name, f"integers {('n', *tail)}")
    for name in values:
        if file[name].dtype.name not in ("float32", "float64") or file[name].ndim != 1:
            _bad_dataset(path, file, name, "float32 or float64 (n,)")
    if h5py.check_string_dtype(file["ids"].dtype) is None or file["ids"].ndim != 1:
        _bad_dataset(path, file, "ids", "utf-8 strings (n,)")
    return operators


def _bad_dataset(path: Path, file: h5py.File, name: str, wanted: str) -> NoReturn:
    found = f"{file[name].dtype} {file[name].shape}"
    raise PredictionError(f"{path}: key {name!r} must hold {wanted}, found {found}")


def _check_offsets(path: Path, file: h5py.File, operators: list[str]) -> None:
    targets = {"atom_offsets": "numbers", "pair_offsets": "pair_index"}
    targets |= {f"operators/{op}/offsets": f"operators/{op}/values" for op in operators}
    structures = len(file["ids"])
    for name, target in targets.items():
        offsets, length = file[name][:].astype(np.int64), len(file[target])
        rising = len(offsets) == structures + 1 and offsets[0] == 0 and (np.diff(offsets) >= 0).all()
        if not rising or offsets[-1] != length:
            raise PredictionError(
                f"{path}: key {name!r} must rise from 0 to {length} (length of {target!r}) in {structures + 1} entries"
            )
    if len(file["pair_index"]) != len(file["pair_shift"]):
        raise PredictionError(f"{path}: keys 'pair_index' and 'pair_shift' have different lengths")


def _values_per_structure(path: Path, file: h5py.File, basis: Basis, ids: list[str]) -> IntArray:
    """(S,) | values that numbers, pairs and basis ask for in each structure; checks all three."""
    atoms, pairs, numbers, index, shift = (
        np.asarray(file[key][:], dtype=np.int64)
        for key in ("atom_offsets", "pair_offsets", "numbers", "pair_index", "pair_shift")
    )
    owner = np.repeat(np.arange(len(ids)), np.diff(pairs))  # structure of each pair
    unknown = np.flatnonzero(~np.isin(numbers, basis.elements))
    if len(unknown):
        structure = ids[int(np.searchsorted(atoms, unknown[0], side="right")) - 1]
        element_sizes(f"{path}: key 'numbers': structure {structure!r}", basis, numbers[unknown])
    outside = ((index < 0) | (index >= np.diff(atoms)[owner, None])).any(axis=1)
    if outside.any():
        found = f"structure {ids[owner[outside][0]]!r} has a pair {index[outside][0].tolist()} beyond its atoms"
        raise PredictionError(f"{path}: key 'pair_index': {found}")
    # sorted by structure, then key: a pair that is there twice stands beside itself
    keys = pair_keys(index, shift)
    order = np.lexsort((keys, owner))
    same = np.flatnonzero((np.diff(keys[order]) == 0) & (np.diff(owner[order]) == 0))
    if len(same):
        pair = order[same[0]]
        found = f"pair {index[pair].tolist()} with shift {shift[pair].tolist()}"
        raise PredictionError(f"{path}: key 'pair_index': structure {ids[owner[pair]]!r} has {found} twice")
    # atoms are numbered within their structure: the structure's first atom makes them positions in `numbers`
    sizes = basis.sizes(numbers)[index + atoms[owner, None]].prod(axis=1)
    return np.bincount(owner, weights=sizes, minlength=len(ids)).astype(np.int64)


def _check_values(path: Path, file: h5py.File, op: str, ids: list[str], expected: IntArray) -> None:
    offsets, key = file[f"operators/{op}/offsets"][:], f"operators/{op}/values"
    wrong = np.flatnonzero(np.diff(offsets) != expected)
    if len(wrong):
        m = wrong[0]
        found = f"{offsets[m + 1] - offsets[m]} values, its pairs and the basis need {expected[m]}"
        raise PredictionError(f"{path}: key {key!r}: structure {ids[m]!r} has {found}")
    # in portions: one operator of a large split need not fit into memory
    for start in range(0, len(file[key]), CHUNK):
        bad = np.flatnonzero(~np.isfinite(file[key][start : start + CHUNK]))
        if len(bad):
            m = int(np.searchsorted(offsets, start + bad[0], side="right")) - 1
            raise PredictionError(
                f"{path}: key {key!r}: structure {ids[m]!r} holds a value that is NaN or infinite; "
                "fill it in, or leave the structure out of all arrays"
            )


def _check(path: Path, file: h5py.File, size: int, max_structures: int) -> None:
    _attributes(path, file)
    names = _datasets(path, file)
    declared = sum(_declared(path, name, file[name]) for name in names)
    if declared > size:
        raise PredictionError(f"{path}: its keys declare {declared} bytes, the file has {size}")
    if "ids" in names:
        _ids(path, file["ids"], size, max_structures)


def _datasets(path: Path, file: h5py.File) -> list[str]:
    """Full names of the datasets; the type of every link is known before it is followed."""
    # not `visititems`, which passes over soft and external links without a word
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
    # Python integers: a product of declared dimensions may not overflow into something small
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
        # before it is parsed: 100 shells of an l, or nested JSON, cost time and memory far beyond their length
        if key == "basis" and (re.search(r"\d{3}", str(value)) or re.search(r"[\[{].*[\[{]", str(value))):
            raise PredictionError(f'{path}: attribute \'basis\': write it as {{"Mo": "4s2p2d1f"}}, found {value!r:.80}')


def _ids(path: Path, ids: h5py.Dataset, size: int, max_structures: int) -> None:
    """Check number and length of the ids; variable-length texts in HDF5 are references, and may share their target."""
    if ids.ndim != 1 or len(ids) > max_structures:
        raise PredictionError(f"{path}: key 'ids' has shape {ids.shape}; the data set has {max_structures} structures")
    if h5py.check_string_dtype(ids.dtype) is None:
        return
    # each of the ids may be as long as the file, as they may all point to one stored text
    step = max(1, IDS_AT_ONCE // max(size, 1))
    for start in range(0, len(ids), step):
        longest = max(map(len, ids[start : start + step]))
        if longest > 256:
            raise PredictionError(f"{path}: key 'ids' holds an id of {longest} bytes")
