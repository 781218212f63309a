"""The leaderboard: ranked tables of measured runs, with floors and published rows standing apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from slembench.assets import asset_roots
from slembench.data import list_datasets, load_card
from slembench.errors import ConfigError
from slembench.files import write_text
from slembench.leaderboard.cells import Section
from slembench.leaderboard.long import LONG_COLUMNS, long_rows
from slembench.leaderboard.render import to_latex, to_markdown, to_text
from slembench.leaderboard.runs import collect_runs
from slembench.leaderboard.table import Board, Official, board_sections, build_boards, published_section
from slembench.results.published import load_published, related_sets

__all__ = ["Board", "Leaderboard", "Section", "leaderboard"]


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Boards of one or more data sets, and the published rows related to them.

    Attributes:
        boards: official counting and average first.
        published: tables of published rows, by data set.
    """

    boards: tuple[Board, ...]
    published: dict[str, tuple[Section, ...]]

    def sections(self, everything: bool = False) -> list[Section]:
        """All tables, data set by data set; published ones after those measured here.

        Args:
            everything: also the countings and averages that are not official.
        """
        sections = []
        for dataset in sorted(self.published):
            boards = [board for board in self.boards if board.key.dataset == dataset]
            sections += [s for board in boards if everything or board.official for s in board_sections(board)]
            sections += self.published[dataset]
        return sections

    def frame(self) -> pd.DataFrame:
        """Every score of every row as a long table, units as in the records; without published rows.

        Returns:
            Columns as `slembench.leaderboard.long.LONG_COLUMNS`.
        """
        return pd.DataFrame(long_rows(self.boards), columns=list(LONG_COLUMNS))

    def text(self, everything: bool = False, width: int = 160) -> str:
        """Plain text of at most ``width`` characters a line."""
        return to_text(self.sections(everything), width)

    def write(self, folder: str | Path, everything: bool = False) -> list[Path]:
        """Write leaderboard.md, leaderboard.tex and leaderboard.csv (every score, long form), each atomically.

        Args:
            folder: made where it is missing.
            everything: as in `sections`; the CSV file always has everything.

        Returns:
            Paths of the files.
        """
        folder, sections = Path(folder), self.sections(everything)
        stream = io.StringIO()
        self.frame().to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        contents = {"md": to_markdown(sections), "tex": to_latex(sections), "csv": stream.getvalue()}
        return [write_text(folder / f"leaderboard.{end}", text) for end, text in contents.items()]


def leaderboard(
    dataset: str | None = None, runs: Sequence[str | Path] | None = None, committed: bool = True
) -> Leaderboard:
    """Tables of the runs there are.

    Args:
        dataset: only this data set; all with a run by default.
        runs: folders searched for ``record.yaml``; by default ``runs`` in the current folder, where there is one.
        committed: also the runs that ship with the package (``results/runs``).

    Raises:
        DataError: a folder that does not exist, or a record, card or published file that is refused.
        ConfigError: no run of that data set.
    """
    folders = _folders(runs, committed)
    found = [run for run in collect_runs(folders) if dataset in (None, run.record.dataset)]
    if not found:
        what = f"of data set {dataset!r} " if dataset else ""
        searched = ", ".join(map(str, folders)) or "no folder"
        raise ConfigError(
            f"no run {what}found (searched {searched}); make one with `slembench run`, or name --runs DIR"
        )
    names = sorted({run.record.dataset for run in found})
    boards = build_boards(found, _official(names))
    operators = {name: sorted({b.key.operator for b in boards if b.key.dataset == name}) for name in names}
    return Leaderboard(tuple(boards), {name: _published(name, operators[name]) for name in names})


def _folders(runs: Sequence[str | Path] | None, committed: bool) -> list[Path]:
    shipped = [root / "runs" for root in asset_roots("results") if committed and (root / "runs").is_dir()]
    own = [Path("runs")] if runs is None and Path("runs").is_dir() else [Path(folder) for folder in runs or ()]
    return shipped + own


def _official(names: Iterable[str]) -> dict[str, Official]:
    known = set(list_datasets())
    cards = {name: load_card(name).official for name in names if name in known}
    return {name: Official(tuple(o.metrics), o.counting, o.average) for name, o in cards.items()}


def _published(dataset: str, operators: Sequence[str]) -> tuple[Section, ...]:
    rows = load_published()
    tables = [published_section(rows, related, operators) for related in related_sets(dataset)]
    return tuple(table for table in tables if table is not None)
