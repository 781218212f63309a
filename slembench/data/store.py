"""Samples in Parquet files, read back memory-mapped through Hugging Face `datasets`, float64 throughout.

One row a structure; every array is one flat column. Blocks are those of one triangle of the pairs (i < j, or i = j and
R lexicographically >= 0), row-major, end to end in pair order; where each begins follows from basis and pairs. What
holds for the whole file (basis, units, energy zero, rounding) stands in its metadata, see `Header`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.core.files import atomic_file
from slembench.data.padded import PaddedBlocks, PaddedLayout, padded_blocks
from slembench.data.sample import Sample, check_sample
from slembench.data.stored_rows import METADATA_KEY, SCALARS, Header, StoredRows, read_header, schema, stream_samples

__all__ = ["METADATA_KEY", "Header", "SampleStore", "round_values", "size_report", "stream_samples", "write_samples"]

GROUP_BYTES = 1 << 26
"""Operator values held in memory before they are written as one row group."""

LEVEL = 19
"""zstd level of files that are written once and shipped."""


def write_samples(path: str | Path, samples: Iterable[Sample], header: Header, level: int = LEVEL) -> None:
    """Write samples to one Parquet file, atomically: BYTE_STREAM_SPLIT and zstd on every float column.

    Rounding to a power of two leaves the low bytes of each float64 zero; with one long page a row group, so that the
    streams of equal bytes are long, a value then takes 1-2 bytes.

    Args:
        path: the file; replaced where it exists.
        samples: streamed, one row group in memory at a time; operators in any pair order, all on the same pairs.
        header: what holds for all of them.
        level: of zstd, 1 to 22; for values that were not rounded 9 is thirty times faster than 19 and 2 % larger.

    Raises:
        DataError: a sample that `check_sample` refuses, lacks an operator, has another unit or energy zero than the
            header, operators on different pairs, or an id that came before.
    """
    columns = schema(header)
    seen: set[str] = set()
    with (
        atomic_file(path) as temporary,
        pq.ParquetWriter(temporary, columns, **writer_options(header.operators, level)) as writer,
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


def writer_options(operators: Sequence[str] = ("hamiltonian",), level: int = LEVEL) -> dict[str, Any]:
    """Options of pyarrow's writer for a file with these operators, compressed to a level of zstd."""
    return {
        "compression": "zstd",
        "compression_level": level,
        # integers repeat: atomic numbers, cells; not the operators, every value of which would be an entry of its own
        "use_dictionary": ["numbers.list.element", "pair_i.list.element", "pair_shift.list.element", "group"],
        # the k-th bytes of all float64 of a page stand together: signs and exponents compress, rounded low bytes vanish
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in ("positions", "cell", *operators)},
        # one page for a whole row group: the longer the streams of equal bytes, the better they compress
        "data_page_size": 2 * GROUP_BYTES,
        "write_page_checksum": True,
    }


def round_values(values: NDArray[np.float64], quantum: float) -> NDArray[np.float64]:
    """Values rounded to multiples of ``quantum``, a power of two, so that the result is exact in binary.

    Raises:
        DataError: a quantum that is not a power of two.

    Example:
        >>> round_values(np.array([0.3, -0.123]), 2.0**-4)
        array([ 0.3125, -0.125 ])
    """
    # frexp gives mantissa 0.5 for powers of two and for nothing else
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
        headers = [read_header(file) for file in self._files]
        self.header = headers[0][0]
        for file, (header, _) in zip(self._files, headers, strict=True):
            if header != self.header:
                raise DataError(f"{file}: header differs from that of {self._files[0]}: {header} and {self.header}")
        # row -> file by bisection, for messages
        self._first_row = np.cumsum([0, *(rows for _, rows in headers)]).tolist()
        self._rows = StoredRows(_memory_map(self._files, cache), self.header, self._file)
        self.basis, self.ids = self._rows.basis, self._rows.ids
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
        return self._rows.sample(self._find(identifier))

    def file_of(self, identifier: str) -> str:
        """File that holds a structure, for messages."""
        return self._file(self._row[identifier])

    def _file(self, row: int) -> str:
        return str(self._files[bisect_right(self._first_row, row) - 1])

    def padded(self, identifiers: Iterable[str], operator: str = "hamiltonian") -> PaddedBlocks:
        """Padded blocks of one operator of some molecules, straight from the file.

        Args:
            identifiers: their ids.
            operator: a column of the file.

        Raises:
            DataError: as in `sample`; an operator that the file lacks, or a structure that couples to other cells.
        """
        return padded_blocks([self._rows.molecule(self._find(name), operator) for name in identifiers], self._padding)

    @cached_property
    def _padding(self) -> PaddedLayout:
        return PaddedLayout(self.basis)

    def _find(self, identifier: str) -> int:
        if identifier not in self._row:
            raise DataError(f"{self._files[0].parent}: no structure {identifier!r}; it holds {len(self)} others")
        return self._row[identifier]


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
        **{name: getattr(sample.info, name) for name in SCALARS},
    }
    for name, half in halves.items():
        if not (
            np.array_equal(half.pair_index, first.pair_index) and np.array_equal(half.pair_shift, first.pair_shift)
        ):
            raise DataError(f"{place}: key {name!r}: is on other pairs than {header.operators[0]!r}; align them first")
        row[name] = round_values(half.values, header.rounding[name]) if name in header.rounding else half.values
    return row


def _memory_map(files: Sequence[Path], cache: str | Path | None) -> pa.Table:
    """Arrow table over the files, by `datasets`, memory-mapped from its cache; columns keep their types."""
    import datasets  # a second of start-up, and names of its own for "data set"

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
