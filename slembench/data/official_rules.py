"""Split rules of the official data sets: each rule as data on a card, and the row numbers that it gives.

Row numbers count the structures of the published file from 0, as the index arrays of the official releases do.
`RandomState` and `random.Random` are used because their streams are frozen: they give what the releases hold.
"""

from __future__ import annotations

import hashlib
import random
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from slembench.core.config import StrictModel
from slembench.core.errors import DataError
from slembench.operators.orbitals import IntArray

Indices = dict[str, IntArray]
"""Split -> (n,) int64 official row numbers, in the order of the release."""


class _Rule(StrictModel):
    """Fields that every split rule has.

    Attributes:
        counts: split -> structures of the complete set; asserted.
        sha256: split -> sha256 of its row numbers as little-endian int64; asserted where given.
        published: whether the members of the splits are fixed by what is published; `statement` says what is not.
        statement: the rule in words, and where it is stated.
    """

    counts: dict[str, int] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)
    published: bool = True
    statement: str

    @property
    def structures(self) -> int | None:
        """Structures of the complete set, where they are known."""
        return sum(self.counts.values()) or None


class PermutationRule(_Rule):
    """One permutation of all rows, ``RandomState(seed).permutation(n)``, cut in the order of ``counts``."""

    rule: Literal["permutation"]
    seed: int


class SharesRule(_Rule):
    """One permutation of the rows there are, each split int(share * n) of them, in the order of ``shares``."""

    rule: Literal["shares"]
    seed: int
    shares: dict[str, float]


class SizesRule(_Rule):
    """By number of atoms: split -> smallest and largest number, rows in their order."""

    rule: Literal["sizes"]
    sizes: dict[str, tuple[int, int]]


class FramesRule(_Rule):
    """Frames of every molecule divided: ``RandomState(number of its last row).permutation(frames)``, cut by ``cut``."""

    rule: Literal["frames"]
    frames: int
    cut: dict[str, int]


class MoleculesRule(_Rule):
    """Molecules divided: `random.Random(seed)` shuffles their numbers, which are cut in shares; all frames in order."""

    rule: Literal["molecules"]
    seed: int
    frames: int
    shares: dict[str, float]


SplitRule = Annotated[
    PermutationRule | SharesRule | SizesRule | FramesRule | MoleculesRule, Field(discriminator="rule")
]


def official_indices(rule: SplitRule, atoms: IntArray | None = None, count: int | None = None) -> Indices:
    """Row numbers of every split of the complete set.

    Args:
        rule: from a card.
        atoms: (n,) number of atoms of every row; for rule "sizes".
        count: number of rows; for rule "shares" on a set whose size is not on the card.

    Raises:
        DataError: ``atoms`` or ``count`` is needed and missing, or the result is not what the card asserts.
    """
    total = rule.structures or count
    if isinstance(rule, SizesRule):
        if atoms is None:
            raise DataError("this set is divided by number of atoms, so the data are needed; give them with --source")
        found = by_sizes(rule, np.arange(len(atoms)), atoms)
    elif total is None:
        raise DataError("the number of structures is not published, so the data are needed; give them with --source")
    elif isinstance(rule, PermutationRule):
        found = _cut(_permutation(rule.seed, total), rule.counts)
    elif isinstance(rule, SharesRule):
        found = by_shares(rule, total)
    elif isinstance(rule, FramesRule):
        found = _frames(rule, total)
    else:
        found = _molecules(rule, total)
    _check(rule, found)
    return found


def by_sizes(rule: SizesRule, rows: IntArray, atoms: IntArray) -> Indices:
    """Row numbers by number of atoms, of as many rows as there are.

    Args:
        rule: the rule.
        rows: (n,) official row numbers.
        atoms: (n,) number of atoms of each.
    """
    order = np.argsort(rows, kind="stable")
    rows, atoms = rows[order], atoms[order]
    return {name: rows[(low <= atoms) & (atoms <= high)] for name, (low, high) in rule.sizes.items()}


def by_shares(rule: SharesRule, count: int) -> Indices:
    """Positions 0..count-1 divided in the rule's shares; what rounding leaves over belongs to no split.

    Example:
        >>> rule = SharesRule(rule="shares", seed=1, shares={"train": 0.6, "test": 0.4}, statement="at random")
        >>> {name: rows.tolist() for name, rows in by_shares(rule, 5).items()}
        {'train': [2, 1, 4], 'test': [0, 3]}
    """
    return _cut(_permutation(rule.seed, count), {name: int(share * count) for name, share in rule.shares.items()})


def restrict(indices: Indices, rows: IntArray) -> Indices:
    """The part of every split whose rows are among ``rows``, in the official order."""
    return {name: members[np.isin(members, rows)] for name, members in indices.items()}


def index_hash(members: IntArray) -> str:
    """sha256 of row numbers as little-endian int64."""
    return hashlib.sha256(np.ascontiguousarray(members, dtype="<i8").tobytes()).hexdigest()


def _permutation(seed: int, count: int) -> IntArray:
    # the legacy generator: its stream is frozen, and the official splits were drawn with it
    return np.random.RandomState(seed).permutation(count).astype(np.int64)


def _cut(members: IntArray, sizes: dict[str, int]) -> Indices:
    bounds = np.cumsum([0, *sizes.values()]).tolist()
    return {name: members[a:b] for name, a, b in zip(sizes, bounds[:-1], bounds[1:])}


def _frames(rule: FramesRule, total: int) -> Indices:
    parts: dict[str, list[IntArray]] = {name: [] for name in rule.cut}
    for first in range(0, total, rule.frames):
        last = first + rule.frames - 1  # QH9's loader seeds each molecule with the number of its last row
        for name, members in _cut(_permutation(last, rule.frames), rule.cut).items():
            parts[name].append(first + members)
    return {name: np.concatenate(members) for name, members in parts.items()}


def _molecules(rule: MoleculesRule, total: int) -> Indices:
    order = list(range(total // rule.frames))
    random.Random(rule.seed).shuffle(order)  # the standard library's generator here, as the release used it
    names, shares = list(rule.shares), list(rule.shares.values())
    sizes = {name: int(len(order) * share) for name, share in zip(names[:-1], shares[:-1])}
    sizes[names[-1]] = len(order) - sum(sizes.values())
    frames = np.arange(rule.frames)
    return {
        name: (np.sort(members)[:, None] * rule.frames + frames).ravel()
        for name, members in _cut(np.array(order, dtype=np.int64), sizes).items()
    }


def _check(rule: SplitRule, found: Indices) -> None:
    for name, wanted in rule.counts.items():
        if len(found.get(name, ())) != wanted:
            raise DataError(f"split {name!r}: {len(found.get(name, ()))} structures, the official one has {wanted}")
    for name, wanted_hash in rule.sha256.items():
        if index_hash(found[name]) != wanted_hash:
            raise DataError(f"split {name!r}: sha256 of the row numbers differs from the card's {wanted_hash}")
