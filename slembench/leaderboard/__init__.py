"""The leaderboard: ranked tables of measured runs, with floors and published rows standing apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from slembench.core.assets import asset_roots
from slembench.core.errors import ConfigError, DataError
from slembench.data import list_datasets, load_card
from slembench.leaderboard.boards import Board, Official, build_boards, official_of
from slembench.leaderboard.export import LONG_COLUMNS, long_rows, write_exports
from slembench.leaderboard.published import published_section
from slembench.leaderboard.runs import Run, collect_runs
from slembench.leaderboard.sections import board_sections, brief_section
from slembench.results.index import State, states
from slembench.results.published import load_published, related_sets
from slembench.tables.cells import Section
from slembench.tables.text import to_text

__all__ = ["Board", "Leaderboard", "Section", "board"]

MEASURED = ("runs", "submissions", "floors")
"""Folders of results that hold records."""


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Boards of one or more data sets, and the published rows related to them.

    Attributes:
        boards: official counting and average first.
        published: tables of published rows, by data set.
        runs: that the boards are made of.
    """

    boards: tuple[Board, ...]
    published: dict[str, tuple[Section, ...]]
    runs: tuple[Run, ...] = ()

    def sections(self, everything: bool = False, full: bool = False) -> list[Section]:
        """All tables, data set by data set; published ones after those measured here.

        Args:
            everything: also the countings and averages that are not official.
            full: also the groups of further metrics, blocks, other splits, physics checks and costs.
        """
        sections = []
        for dataset in sorted(self.published):
            boards = [board for board in self.boards if board.key.dataset == dataset]
            chosen = [board for board in boards if everything or board.is_official]
            sections += [section for board in chosen for section in board_sections(board, boards, full)]
            sections += self.published[dataset]
        return sections

    def brief(self, everything: bool = False) -> list[Section]:
        """One table a task, at most 80 characters wide: models by rank, then floors.

        Args:
            everything: also the countings and averages that are not official; their titles name them.
        """
        official = [board for board in self.boards if everything or board.is_official]
        # Results of an older revision of the data are shown where there are no others; their titles say so.
        chosen = [board for board in official if everything or board.is_current] or official
        sections = [brief_section(board) for board in chosen]
        return [replace(s, title=b.title) if everything else s for s, b in zip(sections, chosen)]

    def group(self, name: str, everything: bool = False) -> list[Section]:
        """The tables of one group alone, such as "levels", "physics", "cost", "floors" or "published".

        Raises:
            ConfigError: no table of that group; names those there are.
        """
        sections = self.sections(everything, full=True)
        names = list(dict.fromkeys(section.group for section in sections))
        if name not in names:
            raise ConfigError(f"--group {name}: no such group of tables here; there are: {', '.join(names)}")
        return [section for section in sections if section.group == name]

    def frame(self) -> pd.DataFrame:
        """Every score of every row as a long table, units as in the records; without published rows.

        Returns:
            Columns as `slembench.leaderboard.export.LONG_COLUMNS`.
        """
        return pd.DataFrame(long_rows(self.boards), columns=list(LONG_COLUMNS))

    def text(self, everything: bool = False, width: int = 80) -> str:
        """The brief tables as plain text of at most ``width`` characters a line."""
        return to_text(self.brief(everything), width)

    def write(self, folder: str | Path, everything: bool = False) -> list[Path]:
        """Write leaderboard.md, .tex (booktabs), .csv and .json (every score, long form), each atomically.

        Args:
            folder: made where it is missing.
            everything: as in `sections`; CSV and JSON always have everything.

        Returns:
            Paths of the files.
        """
        return write_exports(folder, self.sections(everything, full=True), self.frame())


def board(
    dataset: str | None = None,
    runs: Sequence[str | Path] | None = None,
    committed: bool = True,
    results: str | Path | None = None,
) -> Leaderboard:
    """Tables of the runs there are.

    Args:
        dataset: only this data set; all with a run by default.
        runs: folders searched for ``record.yaml``; by default ``runs`` in the current folder, where there is one.
        committed: also the results that ship with the package.
        results: folder of results to take instead of the shipped ones, with runs/, submissions/, floors/ and index.csv
            as far as they are there.

    Raises:
        DataError: a folder that does not exist, or a record, index, card or published file that is refused.
        ConfigError: no run of that data set.

    Example:
        >>> shipped = board("si-mini", runs=())
        >>> first = shipped.boards[0]
        >>> first.task, first.metric, first.models[0].entry.record.model
        ('si-mini r1, test, hamiltonian', 'mae_all', 'slem')
    """
    if results is not None and not Path(results).is_dir():
        raise DataError(f"{results}: no such folder of results")
    roots = [Path(results)] if results is not None else asset_roots("results") if committed else []
    folders = [root / name for root in roots for name in MEASURED if (root / name).is_dir()] + _own(runs)
    # An index speaks of its own results alone; a user's runs have none and are all active.
    retired: dict[Path, State] = {}
    for root in roots:
        retired |= states(root)
    found = collect_runs(folders, retired, dataset)
    if not found:
        what = f"of data set {dataset!r} " if dataset else ""
        none = [
            f"{root} (no {', '.join(MEASURED)} in it)" for root in roots if not any(root in f.parents for f in folders)
        ]
        searched = ", ".join([*map(str, folders), *none]) or "no folder"
        raise ConfigError(
            f"no run {what}found (searched {searched}); make one with `slembench run`, or name --runs DIR"
        )
    names = sorted({run.record.dataset for run in found})
    boards = build_boards(found, _official(names))
    operators = {name: sorted({b.key.operator for b in boards if b.key.dataset == name}) for name in names}
    published = {name: _published(name, operators[name]) for name in names}
    return Leaderboard(tuple(boards), published, tuple(found))


def _own(runs: Sequence[str | Path] | None) -> list[Path]:
    return [Path("runs")] if runs is None and Path("runs").is_dir() else [Path(folder) for folder in runs or ()]


def _official(names: Iterable[str]) -> dict[str, Official]:
    known = set(list_datasets())
    return {name: official_of(load_card(name)) for name in names if name in known}


def _published(dataset: str, operators: Sequence[str]) -> tuple[Section, ...]:
    rows = load_published()
    tables = [published_section(rows, related, operators) for related in related_sets(dataset)]
    return tuple(table for table in tables if table is not None)
