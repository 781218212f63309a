"""Pages of studies and of the claims of papers that were checked: the committed reports, with their pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.reports.site.urls import slug, unique_slugs
from slembench.reports.site.writer import Site, markdown

REPORT = "report.md"
CLAIMS = Path("docs") / "reproduction.md"
"""Report on the claims, beside the folder of results."""


def study_pages(site: Site, roots: Sequence[Path]) -> Iterator[Path]:
    """Write the page of every study, and the list of them with the report on the claims below.

    Args:
        site: the site.
        roots: folders of results; reports are looked for in their ``studies``.

    Raises:
        DataError: a report or a picture that is not readable as UTF-8.
    """
    lines = []
    for folder, stem in _studies(roots).items():
        address, text = f"studies/{stem}", _read(folder / REPORT)
        for picture in sorted((folder / "pictures").glob("*.svg")):
            yield write_text(site.out / address / "pictures" / picture.name, _read(picture))
        # the number that made two studies of one name distinct belongs to the title, too
        words = (folder.name + stem.removeprefix(slug(folder.name))).replace("-", " ")
        title = words[:1].upper() + words[1:]
        # the heading of the report names the kind of study only; the page has its own above
        own = re.sub(r"\A# .*\n", "", text)
        body = markdown(f"# {title}\n\n[All studies](../../studies.html)\n\n{own}")
        yield site.page(f"{address}/index.html", "text.html.j2", title=title, text=body, tables=[])
        lines.append(f"- [{title}]({address}/index.html)")
    studies = "Studies:\n\n" + "\n".join(lines) if lines else "No study is among these results."
    body = markdown(f"# Studies\n\n{studies}")
    claims = next((path for path in (root.parent / CLAIMS for root in roots) if path.is_file()), None)
    if claims is not None:
        body += markdown(_read(claims), deeper=1)
    yield site.page("studies.html", "text.html.j2", title="Studies", text=body, tables=[])


def _studies(roots: Sequence[Path]) -> dict[Path, str]:
    """Folder of every report, each once (roots may overlap) -> unique last part of its URL."""
    reports = {path.resolve(): path.parent for root in roots for path in (root / "studies").glob(f"*/{REPORT}")}
    return unique_slugs({folder: folder.name for folder in sorted(reports.values())})


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as UTF-8 text: {error}") from error
