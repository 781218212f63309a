"""A page of tables and pictures, in Markdown and in HTML that needs no file beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slembench.core.files import write_text
from slembench.figures.picture import Picture
from slembench.figures.style import save, svg_text
from slembench.tables.cells import Section, grid
from slembench.tables.text import to_markdown

TEMPLATE = "study.html.j2"


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        text: a paragraph; empty for none.
        tables: its tables.
        pictures: its pictures.
    """

    text: str = ""
    tables: tuple[Section, ...] = ()
    pictures: tuple[Picture, ...] = ()


def write_page(title: str, parts: list[Part], stem: Path) -> list[Path]:
    """Write ``stem``.md with its pictures in ``pictures/`` beside it, and ``stem``.html, which has all in it."""
    markdown, drawn, paths = [f"# {title}"], dict[str, Markup](), list[Path]()
    for part in parts:
        if part.text:
            markdown.append(part.text)
        if part.tables:
            markdown.append(to_markdown(part.tables).rstrip())
        for picture in part.pictures:
            assert picture.draw is not None
            figure = picture.draw()
            drawn[picture.name] = Markup(svg_text(figure))
            paths += save(figure, stem.parent / "pictures" / picture.name, ("svg",))
            markdown.append(f"![{picture.title}](pictures/{picture.name}.svg)\n\n{picture.caption}")
    loader = PackageLoader("slembench.studies")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.get_template(TEMPLATE).render(title=title, parts=parts, drawn=drawn, grid=grid)
    paths.append(write_text(stem.with_suffix(".md"), "\n\n".join(markdown) + "\n"))
    paths.append(write_text(stem.with_suffix(".html"), page + "\n"))
    return paths
