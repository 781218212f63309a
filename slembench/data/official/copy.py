"""A local copy of an official set, whole or in part: the structures it holds, and their official row numbers.

Only names and numbers of atoms are read, so a copy of any size costs a few bytes a structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples
from slembench.data.formats.qh9.files import LmdbRows, open_rows
from slembench.data.formats.registry import find_format
from slembench.data.formats.safe.lmdb import LmdbFile, numbered
from slembench.data.formats.safe.sqlite import SqliteFile, sqlite_files
from slembench.data.official_card import OfficialCard
from slembench.data.official_rules import (
    FramesRule,
    Indices,
    MoleculesRule,
    SharesRule,
    SizesRule,
    by_shares,
    by_sizes,
    official_indices,
    restrict,
)
from slembench.operators.orbitals import IntArray

RowSpec = IntArray | Literal["first"] | None
"""Official row numbers as the user knows them: an array, "first" for the first rows of the set, None if not at all."""


@dataclass(frozen=True)
class LocalCopy:
    """Structures of an official set in a file or folder.

    Attributes:
        path: file or folder.
        format: name of its format.
        ids: structure ids in the order of the file.
        rows: (n,) int64 official row number of each.
        splits: split -> (m,) int64 official row numbers that are there, in the official order.
    """

    path: Path
    format: str
    ids: list[str]
    rows: IntArray
    splits: Indices

    @property
    def members(self) -> dict[str, list[str]]:
        """Split -> structure ids, in the official order; splits of which nothing is there are left out."""
        name_of = dict(zip(self.rows.tolist(), self.ids))
        return {split: [name_of[row] for row in rows.tolist()] for split, rows in self.splits.items() if len(rows)}


@dataclass(frozen=True)
class _Contents:
    """Ids, numbers of atoms where they are known, and numbers that the file itself gives its rows, if it does."""

    ids: list[str]
    atoms: IntArray | None = None
    keys: IntArray | None = None
    groups: IntArray | None = None


def open_copy(card: OfficialCard, path: Path, source: str | None = None, known: RowSpec = None) -> LocalCopy:
    """Read ids and numbers of atoms of a local copy, and split it by the official rule.

    Args:
        card: the set.
        path: file or folder in any format that is read.
        source: the format; detected where it is None.
        known: official row numbers, where the file does not tell them.

    Raises:
        DataError: no such file, structures that do not belong to the set, or row numbers that cannot be told.
    """
    found = find_format(source) if source is not None else detect_format(path)[0]
    contents = _contents(found.name, path, set(card.elements))
    if not contents.ids:
        raise DataError(f"{path}: holds no structures")
    if found.name == "qh9" and (contents.groups is not None) != (card.counted_in == "geometries"):
        here = "the stable" if contents.groups is None else "a dynamic"
        raise DataError(f"{path}: holds rows of {here} set, {card.name} is counted in {card.counted_in}")
    rows = _rows(card, path, contents, known)
    if contents.groups is not None:
        _check_order(path, rows, contents.groups)
    return LocalCopy(path, found.name, contents.ids, rows, _splits(card, path, rows, contents.atoms))


def _contents(name: str, path: Path, elements: set[str]) -> _Contents:
    if name == "qh9":
        return _qh9(path)
    if name == "schnorb":
        # SchNOrb's rows count from 1 in sqlite; official index arrays count from 0
        keys = [row[0] for file in sqlite_files(path) for row in SqliteFile(file).rows("SELECT id FROM systems")]
        ordered = sorted(keys)
        return _Contents([str(key) for key in ordered], keys=np.array(ordered, dtype=np.int64) - 1)
    ids, atoms = [], []
    for sample in read_samples(path, name):
        odd = sorted(set(sample.atoms.symbols) - elements)
        if odd:
            raise DataError(f"{path}: structure {sample.id!r}: holds {odd[0]}, the set {', '.join(sorted(elements))}")
        ids.append(sample.id)
        atoms.append(len(sample.atoms))
    return _Contents(ids, np.array(atoms, dtype=np.int64))


def _qh9(path: Path) -> _Contents:
    source = open_rows(path)
    labels = _lmdb_labels(source) if isinstance(source, LmdbRows) else _sqlite_labels(source.path, source.dynamic)
    try:
        table: IntArray = np.array(np.fromiter(labels, dtype=np.dtype((np.int64, 4))), dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{source.path}: a row without whole numbers for id and number of atoms: {error}") from error
    molecules, frames = table[:, 1].tolist(), table[:, 2].tolist()
    if not source.dynamic:
        return _Contents([str(molecule) for molecule in molecules], table[:, 3], table[:, 1])
    ids = [f"{molecule}_{frame}" for molecule, frame in zip(molecules, frames)]
    return _Contents(ids, table[:, 3], table[:, 0] if isinstance(source, LmdbRows) else None, table[:, 1])


def _lmdb_labels(source: LmdbRows) -> Iterator[tuple[int, int, int, int]]:
    """Key, molecule, frame and number of atoms of every row."""
    file = LmdbFile(source.path)
    text = any(len(key) != 4 for key in file.keys if key != b"length")
    for number, place in enumerate(numbered(file).tolist()):
        fields, key = source.fields(number), file.keys[place]
        value = int(key) if text else int.from_bytes(key, "big")
        yield value, fields["id"], fields.get("geo_id") or 0, fields["num_nodes"]


def _sqlite_labels(path: Path, dynamic: bool) -> Iterator[tuple[int, int, int, int]]:
    """Row id, molecule, frame and number of atoms of every row; the arrays are not read."""
    columns = "id, geo_id, N" if dynamic else "id, 0, N"
    for key, molecule, frame, atoms in SqliteFile(path).rows(f"SELECT rowid, {columns} FROM data ORDER BY rowid"):
        yield key, int.from_bytes(molecule, "little") if isinstance(molecule, bytes) else molecule, frame, atoms


def _rows(card: OfficialCard, path: Path, contents: _Contents, known: RowSpec) -> IntArray:
    count, total = len(contents.ids), card.splits.structures
    if total is not None and count > total:
        raise DataError(f"{path}: holds {count} structures, {card.name} has {total}; it is another set")
    if isinstance(known, np.ndarray):
        rows = known
    elif card.counted_in == "molecules" and contents.keys is not None:
        rows = contents.keys
    elif not card.splits.published:
        # no official order is published: rows are numbered in natural order of the ids, whatever order a file has
        rows = np.argsort(sorted(range(count), key=lambda place: _natural(contents.ids[place])))
    elif known == "first" or count == total:
        rows = np.arange(count)
    elif contents.keys is not None and contents.keys.tolist() != list(range(count)):
        rows = contents.keys
    else:
        raise DataError(
            f"{path}: holds {count} of the {total} {card.counted_in} of {card.name}, and nothing in it tells which;"
            " say --rows first if they are the first ones of the published file, or --rows FILE.npy with their row"
            " numbers there"
        )
    return _checked(path, rows.astype(np.int64), count, total)


def _checked(path: Path, rows: IntArray, count: int, total: int | None) -> IntArray:
    if rows.shape != (count,):
        raise DataError(f"{path}: holds {count} structures, but row numbers are given for {rows.size}")
    values, repeats = np.unique(rows, return_counts=True)
    if (repeats > 1).any():
        raise DataError(f"{path}: row {values[repeats > 1][0]} occurs {repeats.max()} times")
    if values[0] < 0 or (total is not None and values[-1] >= total):
        wrong = values[0] if values[0] < 0 else values[-1]
        raise DataError(f"{path}: row {wrong} does not exist; rows run from 0 to {(total or 0) - 1}")
    return rows


def _check_order(path: Path, rows: IntArray, molecules: IntArray, frames: int = 100) -> None:
    """Refuse rows of which a hundred consecutive ones are not one molecule, on which the official rule relies."""
    # each hundred of rows is one molecule and each molecule one hundred of rows; else the rule misassigns frames
    places, owners = np.unique(np.stack([rows // frames, molecules]), axis=1)
    for numbers, what in ((places, "rows of one hundred"), (owners, "molecule")):
        values, repeats = np.unique(numbers, return_counts=True)
        if (repeats > 1).any():
            raise DataError(
                f"{path}: {what} {values[repeats > 1][0]}: molecules do not have {frames} consecutive rows each, as"
                " in the published file; give the official row numbers with --rows FILE.npy"
            )


def _splits(card: OfficialCard, path: Path, rows: IntArray, atoms: IntArray | None) -> Indices:
    rule, whole = card.splits, len(rows) == card.splits.structures
    if isinstance(rule, SizesRule):
        if atoms is None:
            raise DataError(f"{path}: the numbers of atoms are needed to divide {card.name}")
        ordered = atoms[np.argsort(rows)]
        return official_indices(rule, atoms=ordered) if whole else by_sizes(rule, rows, atoms)
    if rule.published or whole or isinstance(rule, FramesRule | MoleculesRule):
        return restrict(official_indices(rule), rows)
    shares = rule.shares if isinstance(rule, SharesRule) else _proportions(rule.counts)
    return by_shares(SharesRule(rule="shares", seed=rule.seed, shares=shares, statement=rule.statement), len(rows))


def _proportions(counts: dict[str, int]) -> dict[str, float]:
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key in which 2 comes before 10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text))
