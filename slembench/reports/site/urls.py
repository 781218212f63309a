"""Relative URLs of the pages of the site, and the boards and entries that each page shows.

URLs are made from names of data sets, models and runs, which submissions choose: `slug` keeps only what is harmless in
a path, and names that become equal get numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from slembench.leaderboard.boards import Board
from slembench.leaderboard.runs import Entry

K = TypeVar("K")


@dataclass(frozen=True)
class Task:
    """One data set, split and operator, with its boards; a page of the site shows one task.

    Attributes:
        boards: one for each counting (full, reduced) and average (pooled, per structure), the official one first.
    """

    boards: tuple[Board, ...]

    @property
    def main(self) -> Board:
        """The official board, or the first one where the data set has no card."""
        return self.boards[0]


def group_tasks(boards: Sequence[Board]) -> list[Task]:
    """Boards grouped by data (revision, fingerprint, split) and operator, in the order of their first boards."""
    groups: dict[tuple[object, ...], list[Board]] = {}
    for board in boards:
        key = board.key
        task = (key.dataset, key.split, key.operator, key.revision, key.fingerprint, key.split_hash)
        groups.setdefault(task, []).append(board)
    return [Task(tuple(sorted(group, key=lambda board: not board.is_official))) for group in groups.values()]


@dataclass(frozen=True)
class Urls:
    """URLs of all pages, relative to the root of the site.

    Attributes:
        tasks: all tasks.
    """

    tasks: tuple[Task, ...]

    def board(self, board: Board) -> str:
        """URL of the page of the task that a board belongs to."""
        return self._boards[board.key.dataset, board.key.split, board.key.operator, board.key.fingerprint,
                            board.key.split_hash]  # fmt: skip

    def entry(self, key: str) -> str:
        """URL of the page of an entry, by its key."""
        return self._entries[key]

    def model(self, name: str) -> str:
        """URL of the page of a model."""
        return self._models[name]

    def dataset(self, name: str) -> str:
        """URL of the page of a data set."""
        return f"datasets/{slug(name)}.html"

    @cached_property
    def entries(self) -> dict[str, list[Entry]]:
        """Key of every model's entry -> the entry on each of its boards, official ones first, each split once."""
        entries: dict[str, list[Entry]] = {}
        for task in self.tasks:
            board = task.main
            for entry in [*(row.entry for row in board.models), *board.retired]:
                # one page shows all splits of an entry; H, S and D of one split are the same record
                known = entries.setdefault(entry.key, [])
                if entry.record.split not in [other.record.split for other in known]:
                    known.append(entry)
        return entries

    @cached_property
    def models(self) -> list[str]:
        """Names of all models, sorted."""
        return sorted({entries[0].record.model for entries in self.entries.values()})

    @cached_property
    def _boards(self) -> dict[tuple[str, str, str, str, str], str]:
        names = {}
        for task in self.tasks:
            key, current = task.main.key, task.main.is_current
            # older data than the card's keep their page beside the current one, told apart by their fingerprint
            words = [key.dataset, f"r{key.revision}", key.split, key.operator, "" if current else key.fingerprint[:8]]
            names[key.dataset, key.split, key.operator, key.fingerprint, key.split_hash] = "-".join(filter(None, words))
        return _unique("boards", names)

    @cached_property
    def _entries(self) -> dict[str, str]:
        records = {key: entries[0].record for key, entries in self.entries.items()}
        return _unique("runs", {key: f"{r.dataset}-{r.model}-{r.name}" for key, r in records.items()})

    @cached_property
    def _models(self) -> dict[str, str]:
        return _unique("models", {name: name for name in self.models})


def slug(text: str) -> str:
    """Text as part of a URL or file name: small letters, digits and dashes, at most 100 characters.

    Example:
        >>> slug("MoS2 (2x2)/../evil"), slug("%%%")
        ('mos2-2x2-evil', 'unnamed')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:100].strip("-") or "unnamed"


def unique_slugs(names: Mapping[K, str]) -> dict[K, str]:
    """Key -> slug of its name; a slug that is taken already gets a number.

    Example:
        >>> unique_slugs({1: "SLEM", 2: "slem", 3: "LEM"})
        {1: 'slem', 2: 'slem-2', 3: 'lem'}
    """
    pages: dict[K, str] = {}
    for key, name in names.items():
        stem, k = slug(name), 2
        candidate = stem
        while candidate in pages.values():
            candidate, k = f"{stem}-{k}", k + 1
        pages[key] = candidate
    return pages


def _unique(folder: str, names: Mapping[K, str]) -> dict[K, str]:
    return {key: f"{folder}/{stem}.html" for key, stem in unique_slugs(names).items()}
