"""The report of a study: one page (HTML and Markdown), its pictures, and tables of all scores and costs.

The page and ``scores.csv`` follow from the scores alone, so that a study that was killed and resumed has the same ones
as one that was not; what runs cost stands apart, in ``cost.csv``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slembench.figures.style import save, svg_text
from slembench.files import write_text
from slembench.leaderboard.cells import Section, grid
from slembench.leaderboard.render import to_markdown
from slembench.pages.picture import Picture
from slembench.studies.plan import Kind, Plan
from slembench.studies.results import Results, collect, cost_table, score_table

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


Writer = Callable[[Results], list[Part]]


def write_report(plan: Plan, folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``pictures/``, ``scores.csv`` and ``cost.csv`` of what is finished.

    Args:
        plan: of the study.
        folder: of the study.

    Returns:
        Paths of the files.

    Raises:
        DataError: a record or table that is not readable.
    """
    results = collect(plan, folder)
    parts = [_state(plan, results), *_writers()[plan.study](results)]
    title = f"Study: {plan.study}"
    paths = write_page(title, parts, folder / "report")
    for name, table in (("scores", score_table(results)), ("cost", cost_table(results))):
        paths.append(write_text(folder / f"{name}.csv", table.to_csv(index=False)))
    return paths


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


def _state(plan: Plan, results: Results) -> Part:
    """What was planned, and what is not finished."""
    text = f"{len(plan.runs)} runs in the plan"
    if results.missing:
        text += f"; {len(results.missing)} are not finished and missing here: {', '.join(results.missing)}"
    return Part(f"{text}. Intervals are 95 %, over test structures (and seeds, where there are several).")


def _writers() -> dict[Kind, Writer]:
    from slembench.studies import curves, tables

    return {
        "data-efficiency": curves.data_efficiency,
        "locality": curves.locality,
        "seeds": tables.seeds,
        "transfer": tables.transfer,
    }
