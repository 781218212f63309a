"""Writing the whole site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from slembench.leaderboard import Leaderboard
from slembench.leaderboard.export import FORMATS, STEM
from slembench.reports.site.addresses import Addresses, tasks_of
from slembench.reports.site.boards import board_pages, home_page
from slembench.reports.site.entries import entry_pages
from slembench.reports.site.findings import finding_pages
from slembench.reports.site.lists import dataset_pages, metrics_page, model_pages, published_page, submit_page
from slembench.reports.site.writer import Site, write_assets

FILES = "files"
"""Folder of the tables as files."""


def build_site(
    leaderboard: Leaderboard,
    out: str | Path,
    *,
    results: Sequence[Path] = (),
    draw: bool = True,
    progress: Callable[[Iterable[Path]], Iterable[Path]] = iter,
) -> list[Path]:
    """Write the site.

    Each file is written atomically. Pages of entries and pictures of data sets are kept where nothing that they show
    has changed, so that an interrupted or repeated build goes on quickly. Pages that no longer belong to the site are
    removed.

    Args:
        leaderboard: what the site shows.
        out: folder; made where it is missing.
        results: folders of results whose studies are shown.
        draw: draw the pictures of data sets.
        progress: wraps the iteration over the files as they are written.

    Returns:
        Paths of all files of the site.

    Raises:
        DataError: a record, table or card that is refused.
    """
    site = Site(Path(out), leaderboard, Addresses(tuple(tasks_of(leaderboard.boards))))
    paths = list(progress(_write(site, results, draw)))
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
    yield from finding_pages(site, results)
    yield from entry_pages(site)
