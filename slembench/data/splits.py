"""Train, validation and test splits: a JSON file of structure ids, its checks, and nested training partitions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import write_text

PARTITIONS = (100, 80, 60, 40, 20)
"""Sizes in per cent of the nested training subsets."""

Splits = dict[str, list[str]]


def read_splits(path: str | Path, known: Collection[str]) -> Splits:
    """Splits from a JSON file ``{"train": [id, ...], "val": [...], ...}``, checked.

    Args:
        path: the file.
        known: ids that the data set holds.

    Raises:
        DataError: no such file, not JSON, not of that form, or any problem that `check_splits` finds.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; the card's key 'splits.file' names it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: must map split names to lists of structure ids")
    for name, ids in content.items():
        if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
            raise DataError(f"{path}: key {name!r}: must be a list of structure ids (strings)")
    check_splits(content, known, str(path))
    return content


def write_splits(path: str | Path, splits: Mapping[str, Sequence[str]]) -> Path:
    """Write splits as JSON, one id a line, atomically; returns the path.

    Example:
        >>> path = write_splits("splits.json", {"train": ["a", "b"], "test": ["c"]})
        >>> read_splits(path, known=["a", "b", "c"])
        {'train': ['a', 'b'], 'test': ['c']}
    """
    return write_text(Path(path), json.dumps({name: list(ids) for name, ids in splits.items()}, indent=1) + "\n")


def check_splits(splits: Mapping[str, Sequence[str]], known: Collection[str], where: str) -> None:
    """Refuse splits that repeat, share or invent a structure.

    Args:
        splits: name -> ids.
        known: ids that exist.
        where: file, named in errors.

    Raises:
        DataError: an id twice in one split, in two splits, or not in the data set; names the splits and the ids.

    Example:
        >>> check_splits({"train": ["a", "b"], "test": ["b"]}, ["a", "b"], "splits.json")
        Traceback (most recent call last):
        slembench.core.errors.DataError: splits.json: key 'test': also in split 'train': 'b'
    """
    existing = set(known)
    owner: dict[str, str] = {}
    for name, ids in splits.items():
        _refuse(where, name, "listed twice", [i for i, count in Counter(ids).items() if count > 1])
        _refuse(where, name, "not in the data set", [i for i in ids if i not in existing])
        # a test structure in the training split is the leak that makes every score worthless
        for other in dict.fromkeys(owner[i] for i in ids if i in owner):
            _refuse(where, name, f"also in split {other!r}", [i for i in ids if owner.get(i) == other])
        owner.update(dict.fromkeys(ids, name))


def partition(ids: Sequence[str], percent: int, seed: int) -> list[str]:
    """Nested training subset: the first ``percent`` of one permutation of the sorted ids.

    Every smaller partition lies within every larger one (`numpy.random.RandomState`, whose stream is frozen).

    Args:
        ids: the whole training split, any order.
        percent: one of `PARTITIONS`.
        seed: the card's ``splits.seed``.

    Returns:
        round(n * percent / 100) ids, at least one, in the order of the permutation.

    Raises:
        DataError: another percentage.

    Example:
        >>> ids = [f"s{k}" for k in range(10)]
        >>> partition(ids, 40, seed=1)
        ['s2', 's9', 's6', 's4']
        >>> set(partition(ids, 20, seed=1)) <= set(partition(ids, 40, seed=1))
        True
    """
    if percent not in PARTITIONS:
        raise DataError(f"partition {percent} % does not exist; use one of {', '.join(map(str, PARTITIONS))}")
    return shuffled(ids, seed)[: max(1, round(len(ids) * percent / 100))]


def shuffled(ids: Sequence[str], seed: int) -> list[str]:
    """The sorted ids in the order of one seeded permutation (frozen stream of `numpy.random.RandomState`)."""
    # sorted first: the permutation must not depend on the order in which a file lists the ids
    ordered = sorted(ids)
    return [ordered[k] for k in np.random.RandomState(seed).permutation(len(ordered))]


def _refuse(where: str, name: str, problem: str, ids: Sequence[str]) -> None:
    if ids:
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        raise DataError(f"{where}: key {name!r}: {problem}: {', '.join(map(repr, ids[:5]))}{more}")
