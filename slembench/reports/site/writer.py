"""Writes one page of the site: the frame that all pages share, tables with links, Markdown as HTML, static files."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from slembench._version import __version__
from slembench.core.files import write_text
from slembench.figures.page import html_environment
from slembench.leaderboard import Leaderboard
from slembench.reports.site.urls import Urls
from slembench.tables.cells import Cell, Section
from slembench.tables.html import HtmlTable, html_table

MENU = (
    ("index.html", "Boards"), ("models.html", "Models"), ("datasets.html", "Data sets"),
    ("published.html", "Published"), ("studies.html", "Studies"), ("metrics.html", "Metrics"),
    ("submit.html", "Submit"),
)  # fmt: skip
"""URL and name of the pages in the navigation of every page."""

SECTIONS = {
    "boards": "index.html", "runs": "index.html", "models": "models.html", "datasets": "datasets.html",
    "studies": "studies.html",
}  # fmt: skip
"""Folder of pages -> the page of the navigation that is marked on them."""


@dataclass(frozen=True)
class Site:
    """The site that is being written.

    Attributes:
        out: its folder.
        leaderboard: boards and published tables that it shows.
        urls: of its pages.
    """

    out: Path
    leaderboard: Leaderboard
    urls: Urls

    @cached_property
    def environment(self) -> Environment:
        """Environment of the site's templates."""
        environment = html_environment("slembench.reports.site")
        environment.filters["inline_code"] = inline_code
        environment.globals |= {"zip": zip, "menu": MENU, "version": __version__}
        return environment

    def page(self, address: str, template: str, source: str = "", **content: Any) -> Path:
        """Write one page, atomically.

        Args:
            address: URL relative to the root of the site.
            template: name of the template.
            source: fingerprint of what the page shows; kept in the page, so that a later build can leave it as it is.
            content: variables of the template.
        """
        # links are relative, so that the site works from a folder, a subfolder of a server, or a zip file
        root = "../" * address.count("/")
        part = SECTIONS.get(address.partition("/")[0], "")
        frame = {"root": root, "current": address, "part": part, "source": source}
        text = self.environment.get_template(template).render(frame, **content)
        return write_text(self.out / address, text + "\n")

    def table(self, section: Section, name: str = "", caption: str = "") -> HtmlTable:
        """HTML table of a section, in which names of entries, models and data sets are links to their pages."""
        return html_table(section, self.link, name, caption)

    def link(self, row: dict[str, Cell], key: str) -> str:
        """URL that a cell links to, relative to the root; empty for none."""
        pages = self.urls
        entry, model = str(row.get("entry", "")), str(row.get("model", ""))
        if key == "name" and entry in pages.entries:
            return pages.entry(entry)
        if key == "model" and entry in pages.entries and model in pages.models:
            return pages.model(model)
        return str(row.get(f"link {key}", ""))


def markdown(text: str, deeper: int = 0) -> Markup:
    r"""Markdown as HTML; HTML inside it is escaped.

    Args:
        text: the Markdown (CommonMark with tables).
        deeper: levels by which its headings stand lower, for a text that is part of a page.

    Example:
        >>> print(markdown("# Title\n\nA <b>tag</b>.", deeper=1).strip())
        <h2>Title</h2>
        <p>A &lt;b&gt;tag&lt;/b&gt;.</p>
    """
    # READMEs of models come from contributors: html off, so that a script in them is shown as text
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + deeper)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def inline_code(text: str) -> Markup:
    """Text with what stands between backticks as ``<code>``; everything else is escaped.

    Example:
        >>> print(inline_code("run `slembench run` & <wait>"))
        run <code>slembench run</code> &amp; &lt;wait&gt;
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_assets(out: Path) -> list[Path]:
    """Write style sheets and the script into ``out``/assets; returns their paths.

    DataTables (sorting, filtering) is the bundle that the package itables ships. It is an ES module, which browsers
    refuse to import from ``file://``; as a data URL inside the script it works without a server.
    """
    bundle, static = files("itables") / "html", files("slembench.reports.site") / "static"
    code = b64encode((bundle / "dt_bundle.js").read_bytes()).decode()
    script = (static / "tables.js").read_text(encoding="utf-8")
    return [
        write_text(out / "assets" / "tables.css", (bundle / "dt_bundle.css").read_text(encoding="utf-8")),
        write_text(out / "assets" / "style.css", (static / "style.css").read_text(encoding="utf-8")),
        write_text(out / "assets" / "tables.js", f'const BUNDLE = "data:text/javascript;base64,{code}";\n{script}'),
    ]


def unique_names(tables: Sequence[HtmlTable]) -> list[HtmlTable]:
    """The tables, with names (HTML ids) that are unique on their page."""
    return [replace(table, name=f"{table.name}-{k}") for k, table in enumerate(tables, start=1)]
