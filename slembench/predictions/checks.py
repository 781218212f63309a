"""Every check that a predictions file goes through when it is opened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.blocks import pair_keys
from slembench.errors import PredictionError
from slembench.orbitals import Basis, IntArray
from slembench.predictions.header import OPERATORS, PredictionHeader
from slembench.predictions.layout import CHUNK, CONVENTION, FORMAT, INTEGERS, VERSION, checksum, dataset_names

Result = TypeVar("Result")


def check_file(path: Path, file: h5py.File) -> tuple[PredictionHeader, list[str]]:
    """Header and ids of an open predictions file after all of it has been checked.

    Raises:
        PredictionError: see `slembench.predictions.read_predictions`.
    """
    header = _header(path, file)
    operators = _check_datasets(path, file)
    _check_offsets(path, file, operators)
    ids = [str(i) for i in file["ids"].asstr()[:]]
    repeated = [i for i, count in Counter(ids).items() if count > 1]
    if repeated:
        raise PredictionError(f"{path}: key 'ids': structure {repeated[0]!r} stands there more than once")
    expected = _values_per_structure(path, file, header.basis, ids)
    for op in operators:
        _check_values(path, file, op, ids, expected)
    if "checksum" in file.attrs and str(file.attrs["checksum"]) != checksum(file):
        raise PredictionError(f"{path}: attribute 'checksum' does not match the content; write the file again")
    return header, ids


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
    owner = np.repeat(np.arange(len(ids)), np.diff(pairs))
    unknown = np.flatnonzero(~np.isin(numbers, basis.elements))
    if len(unknown):
        structure = ids[int(np.searchsorted(atoms, unknown[0], side="right")) - 1]
        element_sizes(f"{path}: key 'numbers': structure {structure!r}", basis, numbers[unknown])
    outside = ((index < 0) | (index >= np.diff(atoms)[owner, None])).any(axis=1)
    if outside.any():
        found = f"structure {ids[owner[outside][0]]!r} has a pair {index[outside][0].tolist()} beyond its atoms"
        raise PredictionError(f"{path}: key 'pair_index': {found}")
    keys = pair_keys(index, shift)
    order = np.lexsort((keys, owner))
    same = np.flatnonzero((np.diff(keys[order]) == 0) & (np.diff(owner[order]) == 0))
    if len(same):
        pair = order[same[0]]
        found = f"pair {index[pair].tolist()} with shift {shift[pair].tolist()}"
        raise PredictionError(f"{path}: key 'pair_index': structure {ids[owner[pair]]!r} has {found} twice")
    sizes = basis.sizes(numbers)[index + atoms[owner, None]].prod(axis=1)
    return np.bincount(owner, weights=sizes, minlength=len(ids)).astype(np.int64)


def _check_values(path: Path, file: h5py.File, op: str, ids: list[str], expected: IntArray) -> None:
    offsets, key = file[f"operators/{op}/offsets"][:], f"operators/{op}/values"
    wrong = np.flatnonzero(np.diff(offsets) != expected)
    if len(wrong):
        m = wrong[0]
        found = f"{offsets[m + 1] - offsets[m]} values, its pairs and the basis need {expected[m]}"
        raise PredictionError(f"{path}: key {key!r}: structure {ids[m]!r} has {found}")
    for start in range(0, len(file[key]), CHUNK):
        bad = np.flatnonzero(~np.isfinite(file[key][start : start + CHUNK]))
        if len(bad):
            m = int(np.searchsorted(offsets, start + bad[0], side="right")) - 1
            raise PredictionError(
                f"{path}: key {key!r}: structure {ids[m]!r} holds a value that is NaN or infinite; "
                "fill it in, or leave the structure out of all arrays"
            )
