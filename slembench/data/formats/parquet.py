"""This project's own Parquet files as a format among others; `slembench.data.store` describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from slembench.core.errors import DataError
from slembench.data.formats.orbital_order import check_hermitian
from slembench.data.sample import Sample, on_common_pairs
from slembench.data.store import METADATA_KEY, Header, stream_samples, write_samples
from slembench.operators.orbitals import Basis


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is such a file or a folder of a data set."""
    return [f"{file.name}: Parquet with the metadata key '{METADATA_KEY.decode()}'" for file in _files(path)[:1]]


def read(path: Path) -> Iterator[Sample]:
    """Samples of a file, or of all files of a folder.

    Raises:
        DataError: no such file, a block of an atom with itself that is not symmetric, or what `stream_samples` refuses.
    """
    files = _files(path)
    if not files:
        raise DataError(f"{path}: no Parquet file of samples at or below it")
    return (_checked(sample, str(file)) for file in files for sample in stream_samples(file))


def _checked(sample: Sample, where: str) -> Sample:
    for name, operator in sample.operators.items():
        check_hermitian(operator.complete(), f"{where}: structure {sample.id!r}", name)
    return sample


def write(samples: Iterable[Sample], path: Path) -> None:
    """Write samples to one file. They are gone through twice, so that an iterator is first made a list.

    Raises:
        DataError: samples of different shells, units, energy zeros or operators.
    """
    again = list(samples) if isinstance(samples, Iterator) else samples
    write_samples(path, map(aligned, again), common_header(again, str(path)))


def aligned(sample: Sample) -> Sample:
    """The sample with all operators on the same pairs."""
    return replace(sample, operators=on_common_pairs(sample.operators))


def common_header(samples: Iterable[Sample], where: str) -> Header:
    """Header for a file of these samples: all their elements, the rest as in the first.

    Raises:
        DataError: no samples, or an element with different shells in two of them.
    """
    first: Sample | None = None
    shells: dict[int, tuple[int, ...]] = {}
    for sample in samples:
        first = first or sample
        for z in set(sample.atoms.numbers.tolist()):
            if shells.setdefault(z, sample.basis.shells[z]) != sample.basis.shells[z]:
                one, other = Basis({z: shells[z]}).to_dict(), Basis({z: sample.basis.shells[z]}).to_dict()
                raise DataError(f"{where}: structure {sample.id!r}: key 'basis': {other}, another structure has {one}")
    if first is None:
        raise DataError(f"{where}: no structures to write")
    info = first.info
    return Header(Basis(shells).to_dict(), info.energy_unit, info.energy_zero, tuple(first.operators))


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
    return [file for file in found if file.suffix == ".parquet" and _is_ours(file)]


def _is_ours(file: Path) -> bool:
    try:
        metadata = pq.read_metadata(file).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    return METADATA_KEY in metadata
