"""Samples in Parquet files, read back memory-mapped through Hugging Face `datasets`, float64 throughout.

One row a structure; every array is one flat column. Blocks are those of one triangle of the pairs (i < j, or i = j and
R lexicographically >= 0), row-major, end to end in pair order; where each begins follows from basis and pairs. What
holds for the whole file (basis, units, energy zero, rounding) stands in its metadata, see `Header`.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix
from slembench.data.padded import MoleculeBlocks, PaddedBlocks, PaddedLayout, padded_blocks
from slembench.data.sample import ENERGY_WORDS, Sample, SampleInfo, check_sample, element_name
from slembench.errors import DataError
from slembench.files import atomic_file
from slembench.orbitals import Basis, FloatArray, IntArray

METADATA_KEY = b"slembench"
FORMAT = "slembench-samples"
VERSION = 1
GROUP_BYTES = 1 << 26
"""Operator values held in memory before they are written as one row group."""

LEVEL = 19
"""Of zstd: files are written once and shipped."""

_ARRAYS = {
    "numbers": pa.int16(),
    "positions": pa.float64(),
    "cell": pa.float64(),
    "pbc": pa.bool_(),
    "pair_i": pa.int32(),
    "pair_j": pa.int32(),
    "pair_shift": pa.int32(),
}
_SCALARS = ("electrons", "energy", "fermi_level", "smearing")


@dataclass(frozen=True)
class Header:
    """What holds for every structure of a file.

    Attributes:
        basis: chemical symbol -> shells such as "3s2p2d".
        energy_unit: "eV" or "Hartree".
        energy_zero: what energies are measured from.
        operators: names of the operator columns.
        rounding: operator -> quantum (a power of two, in the operator's unit) that values were rounded to.
        length_unit: always "Angstrom".
        convention: always "slembench", the canonical order of `slembench.orbitals`.
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
    fields += [pa.field(name, pa.list_(kind)) for name, kind in _ARRAYS.items()]
    fields += [pa.field(name, pa.list_(pa.float64())) for name in header.operators]
    fields += [pa.field(name, pa.float64()) for name in _SCALARS] + [pa.field("kmesh", pa.list_(pa.int32()))]
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(asdict(header)).encode()})


def write_samples(path: str | Path, samples: Iterable[Sample], header: Header) -> None:
    """Write samples to one Parquet file, atomically: BYTE_STREAM_SPLIT and zstd on every float column.

    Rounding to a power of two leaves the low bytes of each float64 zero; with one long page a row group, so that the
    streams of equal bytes are long, a value then takes 1-2 bytes.

    Args:
        path: the file; replaced where it exists.
        samples: streamed, one row group in memory at a time; operators in any pair order, all on the same pairs.
        header: what holds for all of them.

    Raises:
        DataError: a sample that `check_sample` refuses, lacks an operator, has another unit or energy zero than the
            header, operators on different pairs, or an id that came before.
    """
    columns = schema(header)
    seen: set[str] = set()
    with (
        atomic_file(path) as temporary,
        pq.ParquetWriter(temporary, columns, **writer_options(header.operators)) as writer,
    ):
        rows: list[dict[str, Any]] = []
        size = 0
        for sample in samples:
            if sample.id in seen:
                raise DataError(f"{path}: structure {sample.id!r}: key 'id': a structure of this id came before")
            seen.add(sample.id)
            rows.append(_to_row(sample, header, str(path)))
            size += sum(rows[-1][name].nbytes for name in header.operators)
            if size >= GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(rows, schema=columns))
                rows, size = [], 0
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema=columns))


def writer_options(operators: Sequence[str] = ("hamiltonian",)) -> dict[str, Any]:
    """Options of pyarrow's writer for a file with these operators."""
    return {
        "compression": "zstd",
        "compression_level": LEVEL,
        "use_dictionary": ["numbers.list.element", "pair_i.list.element", "pair_shift.list.element", "group"],
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in ("positions", "cell", *operators)},
        "data_page_size": 2 * GROUP_BYTES,
    }


def round_values(values: NDArray[np.float64], quantum: float) -> NDArray[np.float64]:
    """Values rounded to multiples of ``quantum``, a power of two, so that the result is exact in binary.

    Raises:
        DataError: a quantum that is not a power of two.
    """
    if quantum <= 0 or np.frexp(quantum)[0] != 0.5:
        raise DataError(f"key 'rounding': {quantum} is not a power of two")
    return np.asarray(np.round(values / quantum) * quantum)


def size_report(path: str | Path) -> dict[str, tuple[int, int]]:
    """Bytes on disk and number of values of each column of a Parquet file."""
    metadata = pq.ParquetFile(path).metadata
    sizes: dict[str, tuple[int, int]] = {}
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            name = column.path_in_schema.split(".")[0]
            size, count = sizes.get(name, (0, 0))
            sizes[name] = size + column.total_compressed_size, count + column.num_values
    return sizes


class SampleStore:
    """Rows of one or more Parquet files of `write_samples`, memory-mapped.

    Opening converts the files once to an Arrow file in the cache of `datasets`; from then on a row costs no more than
    looking at it.

    Attributes:
        header: of the files, the same in all.
        ids: structure ids in row order.

    Args:
        files: the Parquet files.
        cache: folder for the Arrow file; the cache of `datasets` (HF_DATASETS_CACHE) where not given.

    Raises:
        DataError: a file that is missing, truncated, lacks a column or its header, or has other columns or units than
            the first one; an id that occurs twice.
    """

    def __init__(self, files: Sequence[str | Path], cache: str | Path | None = None) -> None:
        self._files = [Path(file) for file in files]
        if not self._files:
            raise DataError("a sample store needs at least one Parquet file")
        headers = [_read_header(file) for file in self._files]
        self.header = headers[0][0]
        for file, (header, _) in zip(self._files, headers, strict=True):
            if header != self.header:
                raise DataError(f"{file}: header differs from that of {self._files[0]}: {header} and {self.header}")
        self._first_row = np.cumsum([0, *(rows for _, rows in headers)]).tolist()
        self.basis = Basis.parse(self.header.basis)
        self._table = _memory_map(self._files, cache)
        self._columns = {name: _ListColumn(self._table.column(name)) for name in (*_ARRAYS, *self.header.operators)}
        self.ids: list[str] = self._table.column("id").to_pylist()
        self._row = {identifier: row for row, identifier in enumerate(self.ids)}
        double = [identifier for identifier, count in Counter(self.ids).items() if count > 1]
        if double:
            row = self.ids.index(double[0])
            raise DataError(f"{self._file(row)}: structure {double[0]!r}: key 'id': occurs more than once")

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, identifier: str) -> Sample:
        """One structure with its operators on the stored triangle; operator values are read-only views of the file.

        Raises:
            DataError: unknown id, arrays of wrong length, an unknown element or a value that is not finite.
        """
        row = self._find(identifier)
        return check_sample(self._build(row), self._file(row))

    def file_of(self, identifier: str) -> str:
        """File that holds a structure, for messages."""
        return self._file(self._row[identifier])

    def _file(self, row: int) -> str:
        return str(self._files[bisect_right(self._first_row, row) - 1])

    def _array(self, name: str, row: int, length: int | None = None) -> NDArray[Any]:
        """Flat values of one list cell, without a copy for numbers; ``length`` is what they must be."""
        values = self._columns[name].cell(row)
        if values is None or (length is not None and len(values) != length):
            place = f"{self._file(row)}: structure {self.ids[row]!r}: key {name!r}"
            if values is None:
                raise DataError(f"{place}: missing values")
            raise DataError(f"{place}: has {len(values)} values, must have {length}")
        return values

    def _structure(self, row: int) -> tuple[IntArray, FloatArray, IntArray, IntArray, int]:
        """Atomic numbers, positions, pairs, translations and the number of values that an operator must have."""
        numbers = self._array("numbers", row).astype(np.int64)
        place = f"{self._file(row)}: structure {self.ids[row]!r}"
        unknown = sorted(set(numbers.tolist()) - set(self.basis.elements))
        if unknown:
            raise DataError(f"{place}: key 'numbers': element {element_name(unknown[0])} is not in the basis")
        positions = self._array("positions", row, 3 * len(numbers)).reshape(-1, 3)
        first = self._array("pair_i", row)
        index = np.empty((len(first), 2), dtype=np.int64)
        index[:, 0], index[:, 1] = first, self._array("pair_j", row, len(first))
        shift = self._array("pair_shift", row, 3 * len(first)).reshape(-1, 3).astype(np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(numbers)):
            raise DataError(f"{place}: key 'pair_i': atom numbers must lie in 0..{len(numbers) - 1}")
        sizes = self.basis.sizes(numbers)
        return numbers, positions, index, shift, int((sizes[index[:, 0]] * sizes[index[:, 1]]).sum())

    def _build(self, row: int) -> Sample:
        numbers, positions, index, shift, length = self._structure(row)
        operators = {
            name: BlockMatrix(self.basis, numbers, index, shift, self._array(name, row, length))
            for name in self.header.operators
        }
        cell = self._array("cell", row, 9).reshape(3, 3)
        atoms = ase.Atoms(numbers=numbers, positions=positions, cell=cell, pbc=self._array("pbc", row, 3))
        return Sample(self.ids[row], atoms, self.basis, operators, self._info(row))

    def padded(self, identifiers: Iterable[str], operator: str = "hamiltonian") -> PaddedBlocks:
        """Padded blocks of one operator of some molecules, straight from the file.

        Args:
            identifiers: their ids.
            operator: a column of the file.

        Raises:
            DataError: as in `sample`; an operator that the file lacks, or a structure that couples to other cells.
        """
        if operator not in self.header.operators:
            raise DataError(f"{self._files[0]}: key {operator!r}: no such operator; there are {self.header.operators}")
        parts = []
        for identifier in identifiers:
            row = self._find(identifier)
            numbers, positions, index, shift, length = self._structure(row)
            values = self._array(operator, row, length)
            place = f"{self._file(row)}: structure {identifier!r}"
            for key, array in (("positions", positions), (operator, values)):
                if not np.isfinite(array).all():
                    raise DataError(f"{place}: key {key!r}: holds a value that is not finite")
            if shift.any() or (index[:, 0] > index[:, 1]).any():
                raise DataError(f"{place}: key 'pair_shift': padded blocks are for molecules, pairs i <= j")
            parts.append(MoleculeBlocks(numbers, positions, index, values))
        return padded_blocks(parts, self._padding)

    @cached_property
    def _padding(self) -> PaddedLayout:
        return PaddedLayout(self.basis)

    def _find(self, identifier: str) -> int:
        if identifier not in self._row:
            raise DataError(f"{self._files[0].parent}: no structure {identifier!r}; it holds {len(self)} others")
        return self._row[identifier]

    def _info(self, row: int) -> SampleInfo:
        scalars = {name: self._table.column(name)[row].as_py() for name in (*_SCALARS, "group", "kmesh")}
        mesh = scalars.pop("kmesh")
        return SampleInfo(
            energy_unit=self.header.energy_unit,
            energy_zero=self.header.energy_zero,
            kmesh=None if mesh is None else tuple(mesh),
            **scalars,
        )


class _ListColumn:
    """Cells of a list column as views of the memory map; the offsets of each chunk are looked at, not copied."""

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
        number = bisect_right(self._ends, row)
        place = row - (self._ends[number - 1] if number else 0)
        part = self._parts[number]
        if part is not None:
            offsets, values = part
            return values[offsets[place] : offsets[place + 1]]
        cell = self._chunks[number][place]
        if not cell.is_valid or cell.values.null_count:
            return None
        found: NDArray[Any] = cell.values.to_numpy(zero_copy_only=False)
        return found


def _to_row(sample: Sample, header: Header, where: str) -> dict[str, Any]:
    check_sample(sample, where)
    place = f"{where}: structure {sample.id!r}"
    for key in ("energy_unit", "energy_zero"):
        if getattr(sample.info, key) != getattr(header, key):
            raise DataError(
                f"{place}: key {key!r}: {getattr(sample.info, key)!r}, the file's is {getattr(header, key)!r}"
            )
    missing = [name for name in header.operators if name not in sample.operators]
    if missing:
        raise DataError(f"{place}: key {missing[0]!r}: operator is missing")
    halves = {name: sample.operators[name].triangle() for name in header.operators}
    first = halves[header.operators[0]]
    row = {
        "id": sample.id,
        "group": sample.info.group,
        "numbers": sample.atoms.numbers,
        "positions": sample.atoms.positions.ravel(),
        "cell": sample.atoms.cell.array.ravel(),
        "pbc": sample.atoms.pbc,
        "pair_i": first.pair_index[:, 0],
        "pair_j": first.pair_index[:, 1],
        "pair_shift": first.pair_shift.ravel(),
        "kmesh": sample.info.kmesh,
        **{name: getattr(sample.info, name) for name in _SCALARS},
    }
    for name, half in halves.items():
        if not (
            np.array_equal(half.pair_index, first.pair_index) and np.array_equal(half.pair_shift, first.pair_shift)
        ):
            raise DataError(f"{place}: key {name!r}: is on other pairs than {header.operators[0]!r}; align them first")
        row[name] = round_values(half.values, header.rounding[name]) if name in header.rounding else half.values
    return row


def _read_header(file: Path) -> tuple[Header, int]:
    """Header and number of rows of a file whose columns are those that its header calls for."""
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file}: not readable as Parquet (missing, truncated or damaged): {error}") from error
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


def _memory_map(files: Sequence[Path], cache: str | Path | None) -> pa.Table:
    """Arrow table over the files, by `datasets`, memory-mapped from its cache; no cast is made on the way."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        paths, folder = [str(file.resolve()) for file in files], None if cache is None else str(cache)
        return datasets.Dataset.from_parquet(paths, cache_dir=folder).data.table
    except (OSError, pa.ArrowException, datasets.exceptions.DatasetsError) as error:
        names = ", ".join(map(str, files))
        raise DataError(f"{names}: not readable as Parquet (damaged): {error.__cause__ or error}") from error
    finally:
        if shown:
            datasets.enable_progress_bars()
