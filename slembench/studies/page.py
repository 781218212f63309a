"""A page of tables and pictures, in Markdown and in HTML that needs no file beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slembench.core.files import write_text
from slembench.figures.page import PageSection, draw_sections, html_environment
from slembench.tables.text import to_markdown

TEMPLATE = "study.html.j2"


def write_page(title: str, sections: Sequence[PageSection], stem: Path) -> list[Path]:
    """Write ``stem``.md with its pictures in ``pictures/`` beside it, and ``stem``.html, which has all in it."""
    folder = stem.parent / "pictures"
    drawn, paths = draw_sections(sections, lambda section, picture: folder / picture.name, ("svg",))
    markdown = [f"# {title}"]
    for section in sections:
        if section.text:
            markdown.append(section.text)
        if section.tables:
            markdown.append(to_markdown(section.tables).rstrip())
        for picture in section.pictures:
            markdown.append(f"![{picture.title}](pictures/{picture.name}.svg)\n\n{picture.caption}")
    template = html_environment("slembench.studies").get_template(TEMPLATE)
    page = template.render(title=title, sections=sections, drawn=drawn)
    paths.append(write_text(stem.with_suffix(".md"), "\n\n".join(markdown) + "\n"))
    paths.append(write_text(stem.with_suffix(".html"), page + "\n"))
    return paths
