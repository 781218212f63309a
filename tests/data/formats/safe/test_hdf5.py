"""Damaged heaps of texts in HDF5 files, over which the library would not end."""

import struct

import h5py
import pytest

from slembench.core.errors import DataError
from slembench.data.formats.safe.hdf5 import check_heaps


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.h5"
    with h5py.File(path, "w") as target:
        for number in range(5):
            target[f"text{number}"] = "x" * (10 + number)
    return path


def test_sound_files_pass(file, tmp_path):
    check_heaps(file)
    with h5py.File(tmp_path / "plain.h5", "w") as target:
        target["numbers"] = [1.0, 2.0]
    check_heaps(tmp_path / "plain.h5")


@pytest.mark.parametrize(
    ("place", "value"), [(4, b"\x02"), (8, struct.pack("<Q", 1 << 40)), (24, struct.pack("<Q", 1 << 40)), (16, b"\x07")]
)
def test_damage_is_named(file, place, value):
    content = bytearray(file.read_bytes())
    start = content.index(b"GCOL")
    content[start + place : start + place + len(value)] = value
    if place == 16:  # the number of the second object, which then occurs twice
        content[start + 48 : start + 49] = value
    file.write_bytes(content)
    with pytest.raises(DataError, match=f"texts.h5: not readable as HDF5 .*byte {start}"):
        check_heaps(file)


def test_cut_short(file):
    content = file.read_bytes()
    file.write_bytes(content[: content.index(b"GCOL") + 200])
    with pytest.raises(DataError, match="a heap of texts"):
        check_heaps(file)
    with pytest.raises(DataError, match="not readable"):
        check_heaps(file.with_name("none"))
