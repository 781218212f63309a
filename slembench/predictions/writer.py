"""Writing a predictions file, one structure at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix
from slembench.errors import PredictionError
from slembench.orbitals import Basis, IntArray
from slembench.predictions.checks import element_sizes
from slembench.predictions.header import OPERATORS, PredictionHeader
from slembench.predictions.layout import CONVENTION, FORMAT, INTEGERS, VERSION, checksum


class PredictionWriter:
    """Writes a predictions file structure by structure; the file appears, whole, when the ``with`` block ends well.

    Memory does not grow with the number of structures. If the block raises, nothing is left behind.

    Args:
        path: file to write; replaced if it exists.
        dataset, dataset_fingerprint, split, model, basis, energy_unit, length_unit: see `PredictionHeader`.
        dtype: type of the stored values.

    Raises:
        PredictionError: an unknown unit word, or no such folder.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dataset: str,
        dataset_fingerprint: str,
        split: str,
        model: str,
        basis: Basis,
        energy_unit: str,
        length_unit: str = "Angstrom",
        dtype: Literal["float64", "float32"] = "float64",
    ) -> None:
        self.path = Path(path)
        self.attrs = PredictionHeader(dataset, dataset_fingerprint, split, model, basis, energy_unit, length_unit)
        self.attrs.check_units(str(path))
        if not self.path.parent.is_dir():
            raise PredictionError(f"{self.path}: folder {self.path.parent} does not exist; make it first")
        self._dtype = dtype
        self._seen: set[str] = set()
        self._operators: tuple[str, ...] | None = None
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._file = h5py.File(self._temporary, "w")
        self._create("ids", h5py.string_dtype())
        for name, width in INTEGERS.items():
            self._create(name, np.int64, width)
        for name in ("atom_offsets", "pair_offsets"):
            _append(self._file[name], np.zeros(1, np.int64))

    def _create(self, name: str, dtype: Any, width: int = 1) -> None:
        tail = (width,) if width > 1 else ()
        chunks = ((1 << 15 if name.endswith("values") else 1 << 10), *tail)
        self._file.create_dataset(name, shape=(0, *tail), maxshape=(None, *tail), dtype=dtype, chunks=chunks)

    def add(self, id: str, numbers: IntArray, operators: Mapping[str, BlockMatrix]) -> None:
        """Append one structure.

        Args:
            id: structure id.
            numbers: (N,) atomic numbers.
            operators: hamiltonian, overlap, density -> blocks; the same names for every structure. Operators with
                different pairs are brought to the united list, absent blocks as zeros.

        Raises:
            PredictionError: a repeated id, other atoms or another basis, a value that is not finite, an element without
                shells, an unknown operator name; names the structure and the operator.
        """
        where = f"{self.path}: structure {id!r}"
        numbers = np.asarray(numbers, dtype=np.int64)
        self._check(where, id, numbers, operators)
        blocks = _one_pair_list(operators)
        first = next(iter(blocks.values()))
        if self._operators is None:
            self._operators = tuple(blocks)
            for name in blocks:
                self._create(f"operators/{name}/values", self._dtype)
                self._create(f"operators/{name}/offsets", np.int64)
                _append(self._file[f"operators/{name}/offsets"], np.zeros(1, np.int64))
        for name, rows in (("numbers", numbers), ("pair_index", first.pair_index), ("pair_shift", first.pair_shift)):
            _append(self._file[name], rows)
        for name, matrix in blocks.items():
            _append(self._file[f"operators/{name}/values"], matrix.values.astype(self._dtype))
            _append_offset(self._file[f"operators/{name}/offsets"], len(matrix.values))
        _append_offset(self._file["atom_offsets"], len(numbers))
        _append_offset(self._file["pair_offsets"], first.n_pairs)
        _append(self._file["ids"], np.array([id], dtype=object))
        self._seen.add(id)

    def _check(self, where: str, id: str, numbers: IntArray, operators: Mapping[str, BlockMatrix]) -> None:
        if id in self._seen:
            raise PredictionError(f"{where}: added twice; every structure is predicted once")
        unknown = [name for name in operators if name not in OPERATORS]
        if unknown or not operators:
            raise PredictionError(f"{where}: operators {unknown or 'none'}; use one or more of {', '.join(OPERATORS)}")
        if self._operators is not None and set(operators) != set(self._operators):
            raise PredictionError(
                f"{where}: operators {sorted(operators)}, earlier structures {sorted(self._operators)}"
            )
        element_sizes(where, self.attrs.basis, numbers)
        for name, matrix in operators.items():
            if not np.array_equal(matrix.numbers, numbers):
                raise PredictionError(f"{where}: operator {name} belongs to other atoms than 'numbers'")
            if matrix.basis.restrict(numbers).shells != self.attrs.basis.restrict(numbers).shells:
                raise PredictionError(f"{where}: operator {name} has another basis than the file")
            if np.iscomplexobj(matrix.values) or not np.isfinite(matrix.values).all():
                raise PredictionError(f"{where}: operator {name} holds values that are complex, NaN or infinite")
            if len(np.unique(matrix.pair_keys())) < matrix.n_pairs:
                raise PredictionError(f"{where}: operator {name} holds a pair (i, j, R) twice")

    def close(self) -> None:
        """Write the attributes and the checksum and give the file its name.

        Raises:
            PredictionError: no structure was added.
        """
        if self._operators is None:
            self.abort()
            raise PredictionError(f"{self.path}: no structure was added; nothing written")
        attributes = asdict(self.attrs) | {"basis": json.dumps(self.attrs.basis.to_dict())}
        attributes |= {"format": FORMAT, "version": VERSION, "convention": CONVENTION}
        try:
            self._file.attrs.update(attributes | {"checksum": checksum(self._file)})
            self._file.close()
            self._temporary.replace(self.path)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop everything written so far."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> PredictionWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def _one_pair_list(operators: Mapping[str, BlockMatrix]) -> dict[str, BlockMatrix]:
    """All operators on the united pair list; absent blocks are zero."""
    union, *others = operators.values()
    if all(np.array_equal(union.pair_keys(), matrix.pair_keys()) for matrix in others):
        return dict(operators)
    for matrix in others:
        union = union + matrix * 0.0
    return {name: matrix.align(union.pair_index, union.pair_shift)[0] for name, matrix in operators.items()}


def _append(dataset: h5py.Dataset, rows: NDArray[Any]) -> None:
    start = len(dataset)
    dataset.resize(start + len(rows), axis=0)
    dataset[start:] = rows


def _append_offset(offsets: h5py.Dataset, length: int) -> None:
    _append(offsets, np.array([offsets[-1] + length], dtype=np.int64))
