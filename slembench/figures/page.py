"""What a page is made of: sections with tables and pictures, and the one environment of all HTML templates.

Pages of runs, of studies and of the site are rendered here: one way of escaping, one layout of a section.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slembench.core.progress import progress
from slembench.figures.picture import Picture
from slembench.figures.style import save, svg_text
from slembench.tables.cells import Section, grid

Drawn = dict[tuple[str, str], Markup]
"""(title of the section, name of the picture) -> SVG element."""


@dataclass(frozen=True)
class PageSection:
    """A section of a page.

    Attributes:
        title: heading; empty for none.
        text: a paragraph; empty for none.
        tables: its tables.
        unavailable: lines that say what is missing in the tables, and why; folded up on the page.
        pictures: its pictures.
    """

    title: str = ""
    text: str = ""
    tables: tuple[Section, ...] = ()
    unavailable: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


def html_environment(*packages: str) -> Environment:
    """Jinja environment of the templates in the folder ``templates`` of packages, and of those that all pages share.

    Args:
        packages: dotted names; a template is taken from the first that has it.

    Example:
        What is filled in is escaped, and a name that the page does not know is an error, not an empty place:

        >>> environment = html_environment()
        >>> environment.from_string("<td>{{ name }}</td>").render(name="<script>")
        '<td>&lt;script&gt;</td>'
        >>> environment.from_string("{{ nmae }}").render(name="slem")
        Traceback (most recent call last):
        jinja2.exceptions.UndefinedError: 'nmae' is undefined
    """
    loader = ChoiceLoader([PackageLoader(name) for name in (*packages, "slembench.figures")])
    # Names, notes and captions come from submissions and cards of others: escaping is on for every template, whatever
    # it is called. Only SVG that matplotlib wrote here and rendered Markdown are `Markup`, which is not escaped again.
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["grid"] = grid
    return environment


def draw_sections(
    sections: Sequence[PageSection],
    file: Callable[[PageSection, Picture], Path] | None = None,
    formats: Sequence[str] = ("svg", "png"),
) -> tuple[Drawn, list[Path]]:
    """Draw the pictures of sections, leaving out those that are missing.

    Args:
        sections: of the page.
        file: path without suffix of the files of a picture; None where only the page holds it.
        formats: of the files: "svg", "png" or both.

    Returns:
        SVG elements for the page, and the paths of the files.
    """
    drawn, paths = Drawn(), list[Path]()
    for section, picture in progress([(s, p) for s in sections for p in s.pictures], "pictures"):
        if picture.draw is None:
            continue
        figure = picture.draw()
        # the SVG is of our own making; text in it, such as names of runs, was escaped by matplotlib
        drawn[section.title, picture.name] = Markup(svg_text(figure))
        if file is not None:
            paths += save(figure, file(section, picture), formats)
    return drawn, paths
