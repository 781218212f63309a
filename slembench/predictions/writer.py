"""Writing predictions files one structure at a time, and templates of them for programs that use h5py alone."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import PredictionError
from slembench.core.files import atomic_file
from slembench.operators import OPERATORS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, IntArray
from slembench.predictions.checks import element_sizes
from slembench.predictions.format import (
    CHUNK,
    CONVENTION,
    FORMAT,
    INTEGERS,
    VERSION,
    PredictionHeader,
    checksum,
)

Structure = tuple[str, IntArray, Mapping[str, BlockMatrix]]
"""Id, (N,) atomic numbers and the reference operators, whose pairs are to be predicted."""


class PredictionWriter:
    """Writes a predictions file structure by structure; the file appears, whole, when the ``with`` block ends well.

    Memory does not grow with the number of structures. If the block raises, nothing is left behind.

    Args:
        path: file to write; replaced if it exists.
        dataset, dataset_fingerprint, split, model, basis, energy_unit, length_unit: see `PredictionHeader`.
        dtype: type of the stored values.

    Raises:
        PredictionError: an unknown unit word, or no such folder.

    Example:
        >>> from slembench.predictions import read_predictions
        >>> basis, numbers = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> matrix = BlockMatrix.from_dense(basis, numbers, np.array([[-1.0, -0.5], [-0.5, -1.0]]))
        >>> about = dict(dataset="h2", dataset_fingerprint="", split="test", model="mine", energy_unit="Hartree")
        >>> with PredictionWriter("predictions.h5", basis=basis, **about) as writer:
        ...     writer.add("h2-0", numbers, {"hamiltonian": matrix})
        >>> with read_predictions("predictions.h5") as predictions:
        ...     predictions.ids, predictions["h2-0"]["hamiltonian"].dense().tolist()
        (['h2-0'], [[-1.0, -0.5], [-0.5, -1.0]])
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
        self._open: str | None = None
        # a name of its own for every process: two runs that write one file do not write into each other's
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._file = h5py.File(self._temporary, "w")
        self._create("ids", h5py.string_dtype())
        for name, width in INTEGERS.items():
            self._create(name, np.int64, width)
        for name in ("atom_offsets", "pair_offsets"):
            _append(self._file[name], np.zeros(1, np.int64))

    def _create(self, name: str, dtype: Any, width: int = 1) -> None:
        tail = (width,) if width > 1 else ()
        # resizable datasets are stored in chunks; 2^15 values are 256 kB, small tables do not need as much
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
        numbers = np.asarray(numbers, dtype=np.int64)
        self._check(f"{self.path}: structure {id!r}", id, numbers, operators)
        blocks = _one_pair_list(operators)
        first = next(iter(blocks.values()))
        self.begin(id, numbers, tuple(blocks))
        self.extend(first.pair_index, first.pair_shift, {name: matrix.values for name, matrix in blocks.items()})
        self.end()

    def begin(self, id: str, numbers: IntArray, operators: Sequence[str]) -> None:
        """Open a structure whose blocks come in portions: `extend` as often as it takes, then `end`.

        Args:
            id: structure id.
            numbers: (N,) atomic numbers.
            operators: names of the operators; the same for every structure.

        Raises:
            PredictionError: a repeated id, an element without shells, an unknown or another operator.
        """
        where = f"{self.path}: structure {id!r}"
        self._numbers = np.asarray(numbers, dtype=np.int64)
        self._check_names(where, id, operators)
        self._sizes = element_sizes(where, self.attrs.basis, self._numbers)
        if self._operators is None:
            self._operators = tuple(operators)
            for name in operators:
                self._create(f"operators/{name}/values", self._dtype)
                self._create(f"operators/{name}/offsets", np.int64)
                _append(self._file[f"operators/{name}/offsets"], np.zeros(1, np.int64))
        self._open = id

    def extend(self, pair_index: IntArray, pair_shift: IntArray, values: Mapping[str, NDArray[Any]]) -> None:
        """Blocks of some pairs of the open structure; every pair once in all portions together.

        Args:
            pair_index: (P, 2) atoms.
            pair_shift: (P, 3) translations.
            values: operator -> (sum n_i n_j,) row-major blocks in pair order.

        Raises:
            PredictionError: no open structure, values that are not finite or of another number than the pairs need.
        """
        if self._open is None:
            raise PredictionError(f"{self.path}: begin a structure before its blocks are written")
        where = f"{self.path}: structure {self._open!r}"
        # a pair (i, j) has n_i * n_j values
        wanted = int(self._sizes[pair_index].prod(axis=1).sum())
        for name, flat in values.items():
            if np.shape(flat) != (wanted,):
                raise PredictionError(f"{where}: operator {name} has {np.size(flat)} values, its pairs need {wanted}")
            if not np.isfinite(flat).all():
                raise PredictionError(f"{where}: operator {name} holds values that are NaN or infinite")
            _append(self._file[f"operators/{name}/values"], flat.astype(self._dtype))
        _append(self._file["pair_index"], pair_index)
        _append(self._file["pair_shift"], pair_shift)

    def end(self) -> None:
        """Close the open structure: offsets, numbers and, last, its id."""
        for name in self._operators or ():
            length = len(self._file[f"operators/{name}/values"])
            _append(self._file[f"operators/{name}/offsets"], np.array([length], dtype=np.int64))
        _append(self._file["numbers"], self._numbers)
        for name, target in (("atom_offsets", "numbers"), ("pair_offsets", "pair_index")):
            _append(self._file[name], np.array([len(self._file[target])], dtype=np.int64))
        _append(self._file["ids"], np.array([self._open], dtype=object))
        self._seen.add(str(self._open))
        self._open = None

    def _check_names(self, where: str, id: str, operators: Collection[str]) -> None:
        if self._open is not None:
            raise PredictionError(f"{where}: structure {self._open!r} is still open; end it first")
        if id in self._seen:
            raise PredictionError(f"{where}: added twice; every structure is predicted once")
        unknown = [name for name in operators if name not in OPERATORS]
        if unknown or not operators:
            raise PredictionError(f"{where}: operators {unknown or 'none'}; use one or more of {', '.join(OPERATORS)}")
        if self._operators is not None and set(operators) != set(self._operators):
            raise PredictionError(
                f"{where}: operators {sorted(operators)}, earlier structures {sorted(self._operators)}"
            )

    def _check(self, where: str, id: str, numbers: IntArray, operators: Mapping[str, BlockMatrix]) -> None:
        self._check_names(where, id, operators)
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
        if self._operators is None or self._open is not None:
            self.abort()
            reason = "no structure was added" if self._open is None else f"structure {self._open!r} was not ended"
            raise PredictionError(f"{self.path}: {reason}; nothing written")
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


def write_template(
    path: str | Path,
    structures: Iterable[Structure],
    operators: Sequence[str],
    *,
    dataset: str,
    dataset_fingerprint: str,
    split: str,
    basis: Basis,
    energy_unit: str,
    filled: bool = False,
) -> Path:
    """Write a predictions file in which everything stands but the values, which are NaN, and the checksum.

    With ``filled`` the values are the reference: what a model is trained on, in the form in which it is to answer.

    Args:
        path: file to write; replaced if it exists.
        structures: what is to be predicted; one triangle of the pairs is enough.
        operators: hamiltonian, overlap, density.
        dataset: name of the data set.
        dataset_fingerprint: sha256 of its content.
        split: name of the split.
        basis: shells per element.
        energy_unit: unit of the Hamiltonian. The model is named "unnamed"; whoever fills in the file changes that.
        filled: write the reference values; the model is named "reference".

    Raises:
        PredictionError: a repeated id, an unknown operator or unit word, or no structure at all.
    """
    with atomic_file(path) as temporary:
        with PredictionWriter(
            temporary,
            dataset=dataset,
            dataset_fingerprint=dataset_fingerprint,
            split=split,
            model="reference" if filled else "unnamed",
            basis=basis,
            energy_unit=energy_unit,
        ) as writer:
            for name, numbers, reference in structures:
                blocks = {key: reference[key] if filled else _emptied(reference[key]) for key in operators}
                writer.add(name, numbers, blocks)
        if not filled:
            _erase(temporary, operators)
    return Path(path)


def _one_pair_list(operators: Mapping[str, BlockMatrix]) -> dict[str, BlockMatrix]:
    """All operators on the united pair list; absent blocks are zero."""
    union, *others = operators.values()
    if all(np.array_equal(union.pair_keys(), matrix.pair_keys()) for matrix in others):
        return dict(operators)
    # a sum stands on the pairs of both terms; zero times a matrix adds pairs and no values
    for matrix in others:
        union = union + matrix * 0.0
    return {name: matrix.align(union.pair_index, union.pair_shift)[0] for name, matrix in operators.items()}


def _append(dataset: h5py.Dataset, rows: NDArray[Any]) -> None:
    start = len(dataset)
    dataset.resize(start + len(rows), axis=0)
    dataset[start:] = rows


def _emptied(blocks: BlockMatrix) -> BlockMatrix:
    return blocks.with_values(np.zeros_like(blocks.values))


def _erase(path: Path, operators: Sequence[str]) -> None:
    """Set all values to NaN, which the reader refuses until they are filled in, and drop the checksum they break."""
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
        for operator in operators:
            values = file[f"operators/{operator}/values"]
            for start in range(0, len(values), CHUNK):
                values[start : start + CHUNK] = np.nan
