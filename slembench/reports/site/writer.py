"""Writing pages: one environment for all templates, and what stands on every page."""

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
from slembench.reports.site.addresses import Addresses
from slembench.tables.cells import Cell, Section
from slembench.tables.html import HtmlTable, html_table

MENU = (
    ("index.html", "Boards"), ("models.html", "Models"), ("datasets.html", "Data sets"),
    ("published.html", "Published"), ("findings.html", "Findings"), ("metrics.html", "Metrics"),
    ("submit.html", "Submit"),
)  # fmt: skip
"""Pages that every page leads to."""

SECTIONS = {
    "boards": "index.html", "runs": "index.html", "models": "models.html", "datasets": "datasets.html",
    "studies": "findings.html",
}  # fmt: skip
"""Folder of pages -> the page of the menu that they belong to."""


@dataclass(frozen=True)
class Site:
    """A site that is being written.

    Attributes:
        out: its folder.
        leaderboard: what it shows.
        addresses: of its pages.
    """

    out: Path
    leaderboard: Leaderboard
    addresses: Addresses

    @cached_property
    def environment(self) -> Environment:
        """Environment of the site's templates."""
        environment = html_environment("slembench.reports.site")
        environment.filters["code_marked"] = code_marked
        environment.globals |= {"zip": zip, "menu": MENU, "version": __version__}
        return environment

    def page(self, address: str, template: str, source: str = "", **content: Any) -> Path:
        """Write one page, atomically.

        Args:
            address: relative to the root of the site.
            template: its name.
            source: what the page follows from, in a few words.
            content: of the template.
        """
        root = "../" * address.count("/")
        part = SECTIONS.get(address.partition("/")[0], "")
        frame = {"root": root, "current": address, "part": part, "source": source}
        text = self.environment.get_template(template).render(frame, **content)
        return write_text(self.out / address, text + "\n")

    def table(self, section: Section, name: str = "", caption: str = "") -> HtmlTable:
        """A section whose entries, models and data sets lead to their pages."""
        return html_table(section, self.link, name, caption)

    def link(self, row: dict[str, Cell], key: str) -> str:
        """Where a cell leads; empty for nowhere."""
        pages = self.addresses
        entry, model = str(row.get("entry", "")), str(row.get("model", ""))
        if key == "name" and entry in pages.entries:
            return pages.entry(entry)
        if key == "model" and entry in pages.entries and model in pages.models:
            return pages.model(model)
        return str(row.get(f"link {key}", ""))


def markdown(text: str, deeper: int = 0) -> Markup:
    """Markdown as HTML; HTML inside it is shown, not obeyed.

    Args:
        text: the Markdown.
        deeper: levels by which its headings stand lower, for a text that is part of a page.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + deeper)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def code_marked(text: str) -> Markup:
    """Words with what stands between backticks as code; everything else is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_assets(out: Path) -> list[Path]:
    """Write styles and the script, with the tables' library inside it, into ``out``/assets; returns their paths."""
    bundle, static = files("itables") / "html", files("slembench.reports.site") / "static"
    code = b64encode((bundle / "dt_bundle.js").read_bytes()).decode()
    script = (static / "tables.js").read_text(encoding="utf-8")
    return [
        write_text(out / "assets" / "tables.css", (bundle / "dt_bundle.css").read_text(encoding="utf-8")),
        write_text(out / "assets" / "style.css", (static / "style.css").read_text(encoding="utf-8")),
        write_text(out / "assets" / "tables.js", f'const BUNDLE = "data:text/javascript;base64,{code}";\n{script}'),
    ]


def numbered(tables: Sequence[HtmlTable]) -> list[HtmlTable]:
    """The tables, with names that are unique on their page."""
    return [replace(table, name=f"{table.name}-{k}") for k, table in enumerate(tables, start=1)]
