"""Builds the whole site: every page, its assets and the tables as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from slembench.core.progress import progress
from slembench.leaderboard import Leaderboard
from slembench.leaderboard.export import FORMATS, STEM
from slembench.reports.site.board_pages import board_pages, home_page
from slembench.reports.site.pages import dataset_pages, metrics_page, model_pages, published_page, submit_page
from slembench.reports.site.run_pages import run_pages
from slembench.reports.site.study_pages import study_pages
from slembench.reports.site.urls import Urls, group_tasks
from slembench.reports.site.writer import Site, write_assets

FILES = "files"
"""Folder of the boards as Markdown, LaTeX, CSV and JSON."""


def build_site(
    leaderboard: Leaderboard,
    out: str | Path,
    *,
    results: Sequence[Path] = (),
    draw: bool = True,
) -> list[Path]:
    """Write the site.

    Each file is written atomically. Pages of entries and pictures of data sets are kept where nothing that they show
    has changed, so that an interrupted or repeated build is quick. Pages that no longer belong to the site are removed.

    Args:
        leaderboard: what the site shows.
        out: folder; made where it is missing.
        results: folders of results whose studies are shown.
        draw: draw the pictures of data sets.

    Returns:
        Paths of all files of the site.

    Raises:
        DataError: a record, table or card that is refused.
    """
    site = Site(Path(out), leaderboard, Urls(tuple(group_tasks(leaderboard.boards))))
    paths = list(progress(_write(site, results, draw), "files"))
    # only HTML, only in these folders: whatever else lies in ``out`` (a .git, a CNAME) is not ours to remove
    for folder in ("boards", "runs", "models", "datasets", "studies"):
        for path in (site.out / folder).rglob("*.html"):
            if path not in paths:
                path.unlink()
    return paths


def _write(site: Site, results: Sequence[Path], draw: bool) -> Iterator[Path]:
    yield from write_assets(site.out)
    yield from site.leaderboard.write(site.out / FILES)
    yield home_page(site, [f"{FILES}/{STEM}.{end}" for end in FORMATS])
    yield from board_pages(site)
    yield from model_pages(site)
    yield from dataset_pages(site, draw)
    yield published_page(site)
    yield metrics_page(site)
    yield submit_page(site)
    yield from study_pages(site, results)
    yield from run_pages(site)
