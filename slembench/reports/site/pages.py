"""Pages of models, data sets, published numbers, metrics, and of how to submit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from slembench.data import list_datasets, load_card
from slembench.figures.block_errors import plot_block_errors
from slembench.figures.style import save, svg_text
from slembench.leaderboard.boards import Board
from slembench.leaderboard.facts import inputs
from slembench.leaderboard.overview import main_boards
from slembench.leaderboard.published import published_section
from slembench.metrics.catalogue import catalogue
from slembench.models.registry import shipped_folders
from slembench.operators import OPERATORS, SYMBOLS
from slembench.reports.dataset_pages import PageContent, page_content
from slembench.reports.site.board_pages import task_rows, tasks_chart
from slembench.reports.site.writer import Site, markdown, unique_names
from slembench.results.published import RelatedSet, load_published
from slembench.tables.cells import Cell, Column, Section

HEAT_MAPS = 6
"""Most heat maps of block errors on the page of a model."""

SUBMIT = Path(__file__).with_name("submit.md")


def model_pages(site: Site) -> Iterator[Path]:
    """Write the page of every model, and the list of them."""
    for name in site.urls.models:
        yield site.page(
            site.urls.model(name),
            "model.html.j2",
            title=name,
            tables=[site.table(task_rows(site, model=name), caption=f"{name} on the boards")],
            chart=tasks_chart(site.leaderboard.boards, name),
            pictures=_heat_maps(site, name),
            text=_model_text(name),
        )
    text = ["Every model with an entry; the page of each has its entries, pictures of its errors, and what it is."]
    tables = [site.table(_models(site), caption="Models")]
    yield site.page("models.html", "tables.html.j2", title="Models", text=text, tables=tables, chart=None)


def dataset_pages(site: Site, draw: bool = True) -> Iterator[Path]:
    """Write the page of every data set with a board, its pictures, and the list of them.

    Args:
        site: the site.
        draw: make the pictures, where they are not there yet.
    """
    names = list(dict.fromkeys(task.main.key.dataset for task in site.urls.tasks))
    known = set(list_datasets())
    for name in names:
        text = f"# {name}\n\nThis data set is not at hand, so there is nothing to show but its boards."
        if name in known:
            page = page_content(name, illustrated=draw)
            text = page.text
            yield from _draw_pictures(site, page)
        boards = [site.table(task_rows(site, dataset=name), caption=f"Entries on {name}")]
        address = site.urls.dataset(name)
        yield site.page(address, "text.html.j2", title=name, text=markdown(text), tables=boards)
    section = _datasets(site, [name for name in names if name in known])
    tables = [site.table(section, caption="Data sets with a board")]
    text_above = [
        "Real first-principles data. Errors on mini sets compare models with each other, not with published tables."
    ]
    yield site.page("datasets.html", "tables.html.j2", title="Data sets", text=text_above, tables=tables, chart=None)


def published_page(site: Site) -> Path:
    """Write the page of the scores that papers printed, one table a data set."""
    rows = load_published()
    tables = []
    for name in sorted(set(rows["dataset"])):
        note = "as printed in the sources"
        section = published_section(rows, RelatedSet(set=name, comparable=False, note=note), OPERATORS)
        tables += [] if section is None else [site.table(section, caption=name)]
    text = [
        "Numbers that others printed, in their order and their units, with the place they were read from. Each source "
        "has its own counting, average, split and often its own data: nothing here is ranked with what is measured on "
        "the boards."
    ]
    return site.page(
        "published.html", "tables.html.j2", title="Published", text=text, tables=unique_names(tables), chart=None
    )


def metrics_page(site: Site) -> Path:
    """Write the page with the definitions of all metrics of the catalogue."""
    columns = [Column("metric", "metric", align="left", names_row=True), Column("title", "what", align="left")]
    columns += [Column("formula", "definition", align="left"), Column("direction", "better", align="left")]
    columns += [Column("needs", "needs", align="left"), Column("source", "source", align="left")]
    rows: list[dict[str, Cell]] = [
        {
            "metric": name,
            "title": metric.title,
            "formula": metric.formula,
            "direction": metric.direction,
            "needs": ", ".join(metric.needs) or "-",
            "source": metric.source,
        }
        for name, metric in catalogue().items()
    ]
    section = Section("metrics", "measured", tuple(columns), tuple(rows), (), "metrics")
    text = [
        "Every metric is a pure function with one meaning; what needs something that is not there is not available."
    ]
    tables = [site.table(section, caption="Metrics")]
    return site.page("metrics.html", "tables.html.j2", title="Metrics", text=text, tables=tables, chart=None)


def submit_page(site: Site) -> Path:
    """Write the page on how to submit (``submit.md``)."""
    text = markdown(SUBMIT.read_text(encoding="utf-8"))
    return site.page("submit.html", "text.html.j2", title="Submit", text=text, tables=[])


def _models(site: Site) -> Section:
    columns = [Column("model", "model", align="left", names_row=True), Column("entries", "entries")]
    columns += [Column("first", "first ranks"), Column("inputs", "given", align="left")]
    columns += [Column("parameters", "parameters"), Column("datasets", "data sets", align="left")]
    rows = []
    boards = main_boards(site.leaderboard.boards)
    for name in site.urls.models:
        own = [entries[0] for entries in site.urls.entries.values() if entries[0].record.model == name]
        # a model has different numbers of parameters in its entries: smallest and largest are shown
        counts = sorted({e.record.cost.parameters for e in own if e.record.cost.parameters is not None})
        row: dict[str, Cell] = {"model": name, "link model": site.urls.model(name), "entries": str(len(own))}
        row["first"] = str(sum(_is_first(board, name) for board in boards))
        row["inputs"] = inputs(own[0])
        row["parameters"] = " - ".join(f"{count:,}" for count in dict.fromkeys([*counts[:1], *counts[-1:]])) or "-"
        row["datasets"] = ", ".join(sorted({entry.record.dataset for entry in own}))
        rows.append(row)
    notes = ("first ranks: on official tasks of test splits, shared ones included",)
    return Section("models", "measured", tuple(columns), tuple(rows), notes, "models")


def _is_first(board: Board, model: str) -> bool:
    return any(row.rank == 1 and row.entry.record.model == model for row in board.models)


def _datasets(site: Site, names: list[str]) -> Section:
    columns = [Column("dataset", "data set", align="left", names_row=True), Column("what", "what", align="left")]
    columns += [Column("structures", "structures"), Column("operators", "operators", align="left")]
    columns += [Column("theory", "level of theory", align="left"), Column("licence", "licence", align="left")]
    rows = []
    for name in names:
        card = load_card(name)
        theory = card.level_of_theory
        row: dict[str, Cell] = {"dataset": name, "link dataset": site.urls.dataset(name)}
        row |= {"what": card.title, "structures": str(card.counts.structures), "licence": card.licence}
        row["operators"] = ", ".join(SYMBOLS[op] for op in card.operators)
        row["theory"] = f"{theory.code}, {theory.functional}, {theory.basis.split(';')[0]}"
        rows.append(row)
    return Section("data sets", "measured", tuple(columns), tuple(rows), (), "datasets")


def _draw_pictures(site: Site, page: PageContent) -> Iterator[Path]:
    """Paths of the pictures of a data set; drawn where there is none yet, or one of other data."""
    for picture in page.pictures:
        stem = site.out / "datasets" / page.name / picture.name
        path = stem.with_name(f"{stem.name}.png")
        if picture.draw is None:
            continue
        # pictures of a data set change with its data alone: the fingerprint in the PNG says of which they were drawn
        if not path.is_file() or _picture_source(path) != page.source:
            save(picture.draw(), stem, ("png",), source=page.source)
        yield path


def _picture_source(path: Path) -> str:
    """Name and fingerprint of the data in the metadata of a PNG."""
    with Image.open(path) as image:
        return str(image.info.get("Source", ""))


def _heat_maps(site: Site, model: str) -> list[tuple[str, str, Markup]]:
    """Title, caption and SVG of the block errors of the model's best entry, of one operator of up to six data sets."""
    done: set[str] = set()
    pictures: list[tuple[str, str, Markup]] = []
    for board in main_boards(site.leaderboard.boards):
        best = next((row.entry for row in board.models if row.entry.record.model == model), None)
        blocks = best.runs[0].blocks if best is not None else None
        there = blocks is not None and (blocks["operator"] == board.key.operator).any()
        if not there or len(pictures) == HEAT_MAPS or board.key.dataset in done:
            continue
        done.add(board.key.dataset)
        figure = plot_block_errors(blocks, board.key.operator, board.unit("mae_all"))
        heading = f"{board.key.dataset}, {SYMBOLS[board.key.operator]}"
        pictures.append((heading, "Mean absolute error of each pair of shells.", Markup(svg_text(figure))))
    return pictures


def _model_text(name: str) -> Markup | str:
    """README of a model that ships with slembench; empty for others."""
    folder = shipped_folders().get(name)
    readme = folder / "README.md" if folder is not None else None
    return markdown(readme.read_text(encoding="utf-8")) if readme is not None and readme.is_file() else ""
