"""Rows of the project's Parquet files: header and columns, and their conversion to samples or padded blocks.

Used by `slembench.data.store` (random access through a memory map) and by the reader of files that somebody hands in.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.padded import MoleculeBlocks
from slembench.data.sample import ENERGY_WORDS, Sample, SampleInfo, check_sample, element_name
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray, IntArray

METADATA_KEY = b"slembench"
FORMAT = "slembench-samples"
VERSION = 1

# list column -> type of its elements; arrays are stored flat, in row-major order
ARRAYS = {
    "numbers": pa.int16(),
    "positions": pa.float64(),
    "cell": pa.float64(),
    "pbc": pa.bool_(),
    "pair_i": pa.int32(),
    "pair_j": pa.int32(),
    "pair_shift": pa.int32(),
}
SCALARS = ("electrons", "energy", "fermi_level", "smearing")


@dataclass(frozen=True)
class Header:
    """Metadata of a file: what all of its structures share.

    Attributes:
        basis: chemical symbol -> shells such as "3s2p2d".
        energy_unit: "eV" or "Hartree".
        energy_zero: what energies are measured from.
        operators: names of the operator columns.
        rounding: operator -> quantum (a power of two, in the operator's unit) that values were rounded to.
        length_unit: always "Angstrom".
        convention: always "slembench", the canonical order of `slembench.operators.orbitals`.
    """

    basis: dict[str, str]
    energy_unit: str
    energy_zero: str
    operators: tuple[str, ...]
    rounding: dict[str, float] = field(default_factory=dict)
    length_unit: str = "Angstrom"
    convention: str = "slembench"
    format: str = FORMAT
    version: int = VERSION


def schema(header: Header) -> pa.Schema:
    """Arrow schema of a file with this header, the header in its metadata."""
    fields = [pa.field("id", pa.string(), nullable=False), pa.field("group", pa.string(), nullable=False)]
    fields += [pa.field(name, pa.list_(kind)) for name, kind in ARRAYS.items()]
    fields += [pa.field(name, pa.list_(pa.float64())) for name in header.operators]
    fields += [pa.field(name, pa.float64()) for name in SCALARS] + [pa.field("kmesh", pa.list_(pa.int32()))]
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(asdict(header)).encode()})


class StoredRows:
    """Samples of an Arrow table with the columns of `schema`.

    Attributes:
        header: what holds for all rows.
        basis: shells per element.
        ids: structure ids in row order.

    Args:
        table: in memory or memory-mapped; arrays of a sample are views of it.
        header: of the file.
        file_of: row -> file, named in errors.
    """

    def __init__(self, table: pa.Table, header: Header, file_of: Callable[[int], str]) -> None:
        self.header, self.basis, self.file_of = header, Basis.parse(header.basis), file_of
        self._scalars = {name: table.column(name) for name in (*SCALARS, "group", "kmesh")}
        self._columns = {name: _ListColumn(table.column(name)) for name in (*ARRAYS, *header.operators)}
        self.ids: list[str] = table.column("id").to_pylist()

    def sample(self, row: int) -> Sample:
        """One structure with its operators on the stored triangle.

        Raises:
            DataError: arrays of wrong length, an unknown element or a value that is not finite.
        """
        numbers, positions, index, shift, length = self._structure(row)
        operators = {
            name: BlockMatrix(self.basis, numbers, index, shift, self._array(name, row, length))
            for name in self.header.operators
        }
        cell = self._array("cell", row, 9).reshape(3, 3)
        atoms = ase.Atoms(numbers=numbers, positions=positions, cell=cell, pbc=self._array("pbc", row, 3))
        sample = Sample(self.ids[row], atoms, self.basis, operators, self._info(row))
        return check_sample(sample, self.file_of(row))

    def molecule(self, row: int, operator: str) -> MoleculeBlocks:
        """Blocks of one operator of one molecule.

        Raises:
            DataError: as in `sample`; no such operator, or a structure that couples to other cells.
        """
        place = self._place(row)
        if operator not in self.header.operators:
            raise DataError(
                f"{place}: key {operator!r}: no such operator; there are {', '.join(self.header.operators)}"
            )
        numbers, positions, index, shift, length = self._structure(row)
        values = self._array(operator, row, length)
        for key, array in (("positions", positions), (operator, values)):
            if not np.isfinite(array).all():
                raise DataError(f"{place}: key {key!r}: holds a value that is not finite")
        if shift.any() or (index[:, 0] > index[:, 1]).any():
            raise DataError(f"{place}: key 'pair_shift': padded blocks are for molecules, pairs i <= j")
        return MoleculeBlocks(numbers, positions, index, values)

    def _array(self, name: str, row: int, length: int | None = None) -> NDArray[Any]:
        """Flat values of one list cell, without a copy for numbers; ``length`` is what they must be."""
        values = self._columns[name].cell(row)
        if values is None or (length is not None and len(values) != length):
            place = f"{self._place(row)}: key {name!r}"
            if values is None:
                raise DataError(f"{place}: missing values")
            raise DataError(f"{place}: has {len(values)} values, must have {length}")
        return values

    def _structure(self, row: int) -> tuple[IntArray, FloatArray, IntArray, IntArray, int]:
        """Atomic numbers, positions, pairs, translations and the number of values that an operator must have."""
        numbers = self._array("numbers", row).astype(np.int64)
        place = self._place(row)
        unknown = sorted(set(numbers.tolist()) - set(self.basis.elements))
        if unknown:
            raise DataError(f"{place}: key 'numbers': element {element_name(unknown[0])} is not in the basis")
        positions = self._array("positions", row, 3 * len(numbers)).reshape(-1, 3)
        first = self._array("pair_i", row)
        index = np.empty((len(first), 2), dtype=np.int64)
        index[:, 0], index[:, 1] = first, self._array("pair_j", row, len(first))
        shift = self._array("pair_shift", row, 3 * len(first)).reshape(-1, 3).astype(np.int64)
        # before anything is indexed with them: a negative number would silently mean an atom from the end
        if index.size and (index.min() < 0 or index.max() >= len(numbers)):
            raise DataError(f"{place}: key 'pair_i': atom numbers must lie in 0..{len(numbers) - 1}")
        # values of an operator: the sum over pairs of n_i n_j
        sizes = self.basis.sizes(numbers)
        return numbers, positions, index, shift, int((sizes[index[:, 0]] * sizes[index[:, 1]]).sum())

    def _info(self, row: int) -> SampleInfo:
        scalars = {name: column[row].as_py() for name, column in self._scalars.items()}
        mesh = scalars.pop("kmesh")
        return SampleInfo(
            energy_unit=self.header.energy_unit,
            energy_zero=self.header.energy_zero,
            kmesh=None if mesh is None else tuple(mesh),
            **scalars,
        )

    def _place(self, row: int) -> str:
        return f"{self.file_of(row)}: structure {self.ids[row]!r}"


def stream_samples(file: Path) -> Iterator[Sample]:
    """Samples of one file, a row group in memory at a time; the checksums of its pages are compared where it has them.

    Raises:
        DataError: a file that is missing, truncated or damaged, lacks a column or its header; or a row that is.
    """
    header, _ = read_header(file)
    seen: set[str] = set()
    try:
        source = pq.ParquetFile(file, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{file}: not readable as Parquet (missing, truncated or damaged): {one_line(error)}"
        ) from error
    with source:
        for group in range(source.num_row_groups):
            try:
                table = source.read_row_group(group)
                # full: offsets of list columns are compared with the lengths of their values; else Arrow trusts them
                table.validate(full=True)
            except (OSError, ValueError, pa.ArrowException) as error:
                raise DataError(f"{file}: not readable as Parquet (damaged): {one_line(error)}") from error
            rows = StoredRows(table, header, lambda row: str(file))
            for row, identifier in enumerate(rows.ids):
                if identifier in seen:
                    raise DataError(f"{file}: structure {identifier!r}: key 'id': occurs more than once")
                seen.add(identifier)
                yield rows.sample(row)


def read_header(file: Path) -> tuple[Header, int]:
    """Header and number of rows of a file.

    Raises:
        DataError: not readable, no header, a version or unit that is not known, or columns that the header calls for
            missing or of another type.
    """
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{file}: not readable as Parquet (missing, truncated or damaged): {one_line(error)}"
        ) from error
    found = metadata.schema.to_arrow_schema()
    try:
        content: Mapping[str, Any] = json.loads((found.metadata or {})[METADATA_KEY])
        header = Header(**{**content, "operators": tuple(content["operators"])})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: key 'slembench' of the metadata is missing or malformed ({error})") from error
    if (header.format, header.version) != (FORMAT, VERSION):
        raise DataError(
            f"{file}: key 'version': {header.format} {header.version}, this program reads {FORMAT} {VERSION}"
        )
    if header.energy_unit not in ENERGY_WORDS:
        raise DataError(f"{file}: key 'energy_unit': {header.energy_unit!r} is not one of {', '.join(ENERGY_WORDS)}")
    if header.length_unit != "Angstrom":
        raise DataError(f"{file}: key 'length_unit': {header.length_unit!r} is not Angstrom")
    for column in schema(header):
        if column.name not in found.names:
            raise DataError(f"{file}: key {column.name!r}: column is missing")
        if found.field(column.name).type != column.type:
            raise DataError(f"{file}: key {column.name!r}: type {found.field(column.name).type}, must be {column.type}")
    return header, metadata.num_rows


def one_line(error: BaseException) -> str:
    """Message of an error without line breaks."""
    return " ".join(str(error).split())


class _ListColumn:
    """Cells of a list column as views of the memory map, without copying values or offsets."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._chunks = column.chunks
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks]).tolist()
        self._parts = [self._views(chunk) for chunk in self._chunks]

    @staticmethod
    def _views(chunk: pa.ListArray) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Offsets and values of a chunk; None where a value may be missing or is no plain number."""
        values = chunk.values
        if chunk.null_count or values.null_count or pa.types.is_boolean(values.type):
            return None
        return chunk.offsets.to_numpy(), values.to_numpy()

    def cell(self, row: int) -> NDArray[Any] | None:
        """Values of one row; None where it, or one of them, is missing."""
        # chunk of the row, then its place in the chunk
        number = bisect_right(self._ends, row)
        place = row - (self._ends[number - 1] if number else 0)
        part = self._parts[number]
        if part is not None:
            offsets, values = part
            # a slice of a NumPy view: no copy, read-only as the map is
            return values[offsets[place] : offsets[place + 1]]
        cell = self._chunks[number][place]
        if not cell.is_valid or cell.values.null_count:
            return None
        found: NDArray[Any] = cell.values.to_numpy(zero_copy_only=False)
        return found
