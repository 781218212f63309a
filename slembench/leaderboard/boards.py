"""Boards: who is ranked with whom.

One board for each data set, split, operator, counting and average; only records with the same fingerprint of the data
and of the split share one, so that a revision that changes the data starts boards of its own. Floors and entries that
were superseded or withdrawn stand apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from slembench.data.card import Card
from slembench.leaderboard.ranking import Ranked, rank
from slembench.leaderboard.runs import Entry, Run, join_seeds
from slembench.metrics.catalogue import catalogue
from slembench.metrics.scores import ScoreName
from slembench.operators import OPERATORS


@dataclass(frozen=True, order=True)
class BoardKey:
    """What rows must have in common to be ranked together."""

    dataset: str
    split: str
    operator: str
    counting: str
    average: str
    revision: int
    fingerprint: str
    split_hash: str

    def score(self, metric: str) -> str:
        """Name in a record of ``metric`` on this board."""
        return str(ScoreName.of(self.operator, metric, self.counting, self.average))


@dataclass(frozen=True)
class Official:
    """What a card names as official, and which revision of the data it is of.

    Attributes:
        metrics: that order the rows, the first one there is.
        counting, average: of the official numbers.
        theory: level of theory in one line; empty where there is no card.
        flag: program and functional; empty where there is no card.
        fingerprint: of the data that the card describes; empty where there is no card.
    """

    metrics: tuple[str, ...] = ("mae_all",)
    counting: str = "full"
    average: str = "pooled"
    theory: str = ""
    flag: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, eq=False)
class Board:
    """Entries of one `BoardKey`.

    Attributes:
        key: what the entries have in common.
        official: of the data set.
        entries: models and floors, one for all seeds of a model; also retired ones.
    """

    key: BoardKey  # the fingerprints in it keep revisions of the data apart
    official: Official
    entries: tuple[Entry, ...]

    @property
    def is_official(self) -> bool:
        """Whether counting and average are the card's official ones."""
        return (self.key.counting, self.key.average) == (self.official.counting, self.official.average)

    @property
    def is_current(self) -> bool:
        """Whether the entries are of the revision of the data that the card describes."""
        return self.official.fingerprint in ("", self.key.fingerprint)

    @property
    def title(self) -> str:
        """Task, counting and average."""
        key, mark = self.key, ", official" if self.is_official else ""
        return f"{self.task} ({key.counting}, {key.average}{mark})"

    @property
    def task(self) -> str:
        """Data set with revision, split and operator."""
        key, mark = self.key, "" if self.is_current else " (not the present data)"
        return f"{key.dataset} r{key.revision}{mark}, {key.split}, {key.operator}"

    @cached_property
    def metric(self) -> str:
        """Metric that orders the rows."""
        # The first official metric that any entry has: a card may name one that needs data older runs did not keep.
        metrics = (m for m in self.official.metrics if m in catalogue())
        return next((m for m in metrics if any(e.number(self.key.score(m)) for e in self.entries)), "mae_all")

    @cached_property
    def models(self) -> tuple[Ranked, ...]:
        """Ranked models, best first."""
        return self._ranked("model")

    @cached_property
    def floors(self) -> tuple[Ranked, ...]:
        """Floors, best first."""
        return self._ranked("floor")

    @property
    def retired(self) -> tuple[Entry, ...]:
        """Entries that were superseded or withdrawn; they are shown, and not ranked."""
        return tuple(entry for entry in self.entries if entry.state.kind != "active")

    def unit(self, metric: str) -> str:
        """Unit word of a metric in the records."""
        score = self.key.score(metric)
        # All records of a board are of the same data, so of the same unit; the first that has the score tells it.
        scores = (run.record.scores.get(score) for entry in self.entries for run in entry.runs)
        return next((found.unit for found in scores if found), "1")

    def _ranked(self, kind: str) -> tuple[Ranked, ...]:
        higher = catalogue()[self.metric].direction == "higher"
        chosen = [e for e in self.entries if e.record.model_kind == kind and e.state.kind == "active"]
        return tuple(rank(chosen, self.key.score(self.metric), higher))


def official_of(card: Card) -> Official:
    """What a card says about its boards."""
    official, theory = card.official, card.level_of_theory
    program = re.split(r" \(|[;,]", theory.code)[0].strip()
    words = [
        f"{program} {theory.version}{theory.code[len(program) :]}",
        theory.functional,
        re.split(r" \(|;", theory.basis)[0].strip(),
        theory.pseudopotential,
    ]
    return Official(
        tuple(official.metrics),
        official.counting,
        official.average,
        theory=", ".join(filter(None, words)),
        flag=f"{program}, {theory.functional}",
        fingerprint=card.fingerprint,
    )


def build_boards(runs: Iterable[Run], official: dict[str, Official]) -> list[Board]:
    """Boards of all runs: official counting and average first, then by name; those of other revisions of the data last.

    Args:
        runs: records and folders.
        official: data set -> what its card names as official; `Official()` for others.
    """
    groups: dict[BoardKey, list[Run]] = {}
    for run in runs:
        for key in _keys(run):
            groups.setdefault(key, []).append(run)
    boards = [
        Board(key, official.get(key.dataset, Official()), tuple(join_seeds(group))) for key, group in groups.items()
    ]
    return sorted(boards, key=_order)


def other_splits(board: Board, boards: Sequence[Board]) -> list[Board]:
    """Boards of the same data, operator, counting and average on other splits, in order of their names."""
    key = board.key
    form = (key.dataset, key.operator, key.counting, key.average, key.fingerprint)
    found = [
        b for b in boards
        if (b.key.dataset, b.key.operator, b.key.counting, b.key.average, b.key.fingerprint) == form
        and b.key.split != key.split
    ]  # fmt: skip
    return sorted(found, key=lambda b: b.key.split)


def _order(board: Board) -> tuple[str, bool, str, int, bool, BoardKey]:
    key = board.key
    return (
        key.dataset,
        not board.is_current,
        key.split,
        OPERATORS.index(key.operator),
        not board.is_official,
        key,
    )


def _keys(run: Run) -> list[BoardKey]:
    r = run.record
    # Scores without a counting, such as those of levels, stand on every board of their operator and make none.
    names = [ScoreName.parse(name) for name in r.scores]
    data = r.dataset_revision, r.dataset_fingerprint, r.split_hash
    return sorted({BoardKey(r.dataset, r.split, n.operator, n.counting, n.average, *data) for n in names if n.counting})
