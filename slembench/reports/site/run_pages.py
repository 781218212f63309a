"""Pages of entries: ranks, scores and pictures of a run; a page is kept where nothing that it shows has changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from slembench._version import __version__
from slembench.core.files import sha256
from slembench.leaderboard.facts import inputs
from slembench.leaderboard.runs import Entry
from slembench.leaderboard.sections import score_cell, score_column
from slembench.reports.run_folder import RunFolder, SplitResult
from slembench.reports.run_page import draw_run_page
from slembench.reports.site.writer import Site
from slembench.submission.submission import SUBMISSION_FILE, Submission, read_submission
from slembench.tables.cells import Cell, Column, Section


def run_pages(site: Site) -> Iterator[Path]:
    """Write the page of every model's entry."""
    for key, entries in site.urls.entries.items():
        yield _run_page(site, key, entries)


def _run_page(site: Site, key: str, entries: Sequence[Entry]) -> Path:
    address, source = site.urls.entry(key), _fingerprint(site, entries)
    path = site.out / address
    # drawing a page takes seconds, and a board has hundreds of them: those that would not change are left alone
    if _page_source(path) == source:
        return path
    first = entries[0].runs[0]
    # of several seeds the first stands for the entry; the ranks above are those of all
    splits = tuple(SplitResult(entry.runs[0].folder, entry.record) for entry in entries)
    page, _ = draw_run_page(RunFolder(first.folder.parent, splits))
    record = first.record
    state = first.state if first.state.kind != "active" else None
    about = [("data set", record.dataset), ("given", inputs(entries[0])), ("evidence", entries[0].evidence)]
    return site.page(
        address,
        "run.html.j2",
        source=source,
        title=f"{record.name}: {record.model} on {record.dataset}",
        ranks=site.table(_ranks(site, key), caption="Where it stands"),
        about=[*about, *_stated_facts(first.folder), *page.about[1:]],
        settings=page.settings,
        sections=page.sections,
        drawn=page.drawn,
        state=state,
    )


def _ranks(site: Site, key: str) -> Section:
    """Rank and official score of an entry on each of its boards."""
    columns = [Column("dataset", "board", align="left", names_row=True), Column("rank", "rank"), Column("of", "of")]
    columns += [Column("value", "value"), Column("unit", "unit", align="left"), Column("metric", "score", align="left")]
    columns += [Column("seeds", "seeds")]
    rows = []
    for task in site.urls.tasks:
        board = task.main
        for row in board.models:
            if row.entry.key != key:
                continue
            column = score_column(board, board.metric)
            cells: dict[str, Cell] = {"dataset": f"{board.key.operator}, {board.key.split}", "metric": column.heading}
            cells |= {"link dataset": site.urls.board(board), "rank": str(row.rank or "-"), "unit": column.unit}
            cells |= {"of": str(len(board.models)), "seeds": str(len(row.entry.runs))}
            cells["value"] = score_cell(board, row.entry, board.metric, row.number).get(board.metric, "-")
            rows.append(cells)
    return Section("ranks", "measured", tuple(columns), tuple(rows), (), "ranks")


def _stated_facts(folder: Path) -> list[tuple[str, str]]:
    """Rows of key and text that the author of a submission stated; none for runs of this program."""
    if not (folder / SUBMISSION_FILE).is_file():
        return []
    stated: Submission = read_submission(folder)
    rows = [("licence of the code", stated.code_licence), ("licence of the weights", stated.weights_licence)]
    rows += [("code", stated.code)] if stated.code else []
    rows += [("trained on", stated.training.data), ("budget", stated.training.budget)]
    return [*rows, *(("reference", text) for text in stated.references)]


def _fingerprint(site: Site, entries: Sequence[Entry]) -> str:
    """sha256 over the files of an entry, its ranks, its state, and the version of slembench: what its page shows."""
    # the version is part of it: a new version may draw or compute something else from the same files
    whole = hashlib.sha256(__version__.encode())
    for entry in entries:
        for run in entry.runs:
            for path in sorted(run.folder.iterdir()):
                if path.is_file():
                    whole.update(f"{path.name} {sha256(path)}\n".encode())
            whole.update(f"{run.state} {run.evidence}\n".encode())
    for row in _ranks(site, entries[0].key).rows:
        whole.update(repr(sorted(row.items(), key=str)).encode())
    return whole.hexdigest()


def _page_source(path: Path) -> str:
    """Fingerprint that an existing page was written from; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8") as stream:
        # the tag stands in the head, within the first characters
        found = re.search(r'<meta name="source" content="([0-9a-f]*)">', stream.read(2000))
    return found[1] if found else ""
