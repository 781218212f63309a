"""Pages of tasks, each with its boards and the scores of all entries; home page with the overview of all tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markupsafe import Markup

from slembench.figures.cost import CostPoint, plot_cost
from slembench.figures.style import svg_text
from slembench.figures.task_errors import TaskPoint, plot_task_errors
from slembench.leaderboard.boards import Board
from slembench.leaderboard.overview import budget, by_budget, main_boards, overview
from slembench.leaderboard.sections import board_sections, score_cell, score_column
from slembench.metrics.catalogue import heading
from slembench.operators import SYMBOLS
from slembench.reports.site.urls import Task
from slembench.reports.site.writer import Site, unique_names
from slembench.results.evidence import MEANING
from slembench.tables.cells import Cell, Column, Number, Section

KINDS = {
    "measured": "Measured here",
    "floors": "Floors",
    "retired": "Superseded or withdrawn",
    "published": "Published by others",
}
"""Kind of section -> heading on a page."""


def board_pages(site: Site) -> Iterator[Path]:
    """Write the page of every task."""
    for task in site.urls.tasks:
        yield _board_page(site, task)


def home_page(site: Site, files: Sequence[str]) -> Path:
    """Write the home page: overview, all boards, and how to read them.

    Args:
        site: the site.
        files: URLs of the tables as files.
    """
    boards = site.leaderboard.boards
    section = overview(boards)
    # `Site.link` looks for cells named "link <column>": data set and operator lead to the board, a score to its entry
    pages = {board.task: site.urls.board(board) for board in main_boards(boards)}
    for row in section.rows:
        row |= {"link dataset": pages[str(row["task"])], "link operator": pages[str(row["task"])]}
        for key in [key for key in row if key.startswith("entry ")]:
            row[f"link model {key.removeprefix('entry ')}"] = site.urls.entry(str(row[key]))
    return site.page(
        "index.html",
        "home.html.j2",
        title="Boards",
        counts=_counts(site),
        overview=site.table(section, caption="Official score of each model's best entry on every task and budget"),
        tasks=site.table(_task_list(site), caption="All boards, the first place of each"),
        chart=tasks_chart(boards),
        evidence=list(MEANING.items()),
        files=files,
    )


def tasks_chart(boards: Sequence[Board], marked: str = "") -> Markup | None:
    """SVG of the errors of all models over those of the best floors; None where there is no floor.

    Args:
        boards: of all data sets.
        marked: model that is drawn in colour, the others in grey; all in colour where empty.
    """
    points = task_points(boards, marked)
    return Markup(svg_text(plot_task_errors(points, marked))) if points else None


def task_points(boards: Sequence[Board], marked: str = "") -> list[TaskPoint]:
    """Best error of every model over that of the best floor, on every task.

    Errors are compared at one training budget a task, which is named beside it: the budget with most entries or, on the
    page of a model, the one of that model's entries.

    Args:
        boards: of all data sets.
        marked: model whose page it is; empty for none.
    """
    points = []
    for board in main_boards(boards):
        # rows are sorted, best first; a row whose number has a reason has no value
        floor = next((row.number.value for row in board.floors if not row.number.reason), 0.0)
        known = [row for row in board.models if not row.number.reason]
        own = [budget(row.entry) for row in known if row.entry.record.model == marked]
        budgets = [text for text, _ in by_budget(board)]
        chosen = next((text for text in budgets if text in own), budgets[0])
        name = ", ".join(filter(None, [f"{board.key.dataset} {SYMBOLS[board.key.operator]}", chosen]))
        best: dict[str, float] = {}
        for row in known:
            if budget(row.entry) == chosen:
                best.setdefault(row.entry.record.model, row.number.value)
        # the axis is logarithmic: an error or floor of zero (an overlap that is a floor's input) has no place on it
        points += [TaskPoint(name, model, value / floor) for model, value in best.items() if floor > 0 and value > 0]
    return points


def _counts(site: Site) -> str:
    tasks, models = len(site.urls.tasks), len(site.urls.models)
    sets = len({task.main.key.dataset for task in site.urls.tasks})
    return (
        f"{len(site.urls.entries)} entries of {models} model{'s' * (models != 1)} on {tasks} "
        f"task{'s' * (tasks != 1)} of {sets} data set{'s' * (sets != 1)}."
    )


def _task_list(site: Site) -> Section:
    columns = [Column("dataset", "data set", align="left", names_row=True), Column("split", "split", align="left")]
    columns += [Column("operator", "operator", align="left"), Column("name", "first place", align="left")]
    columns += [Column("value", "value"), Column("unit", "unit", align="left"), Column("metric", "score", align="left")]
    columns += [Column("model", "model", align="left"), Column("entries", "entries")]
    columns += [Column("theory", "level of theory", align="left")]
    rows = []
    for task in site.urls.tasks:
        board, page = task.main, site.urls.board(task.main)
        key = board.key
        row: dict[str, Cell] = {"dataset": key.dataset, "split": key.split, "operator": key.operator}
        row |= {"entries": str(len(board.models)), "metric": heading(board.metric), "link dataset": page}
        row |= {"unit": score_column(board, board.metric).unit, "theory": board.official.flag or "-"}
        if not board.is_current:
            row["dataset"] = f"{key.dataset} (revision {key.revision})"
        if board.models:
            first = board.models[0]
            row |= {"name": first.entry.record.name, "model": first.entry.record.model, "entry": first.entry.key}
            row["value"] = score_cell(board, first.entry, board.metric, first.number).get(board.metric, "-")
        rows.append(row)
    return Section("all boards", "measured", tuple(columns), tuple(rows), (), "tasks")


def _board_page(site: Site, task: Task) -> Path:
    board, boards = task.main, site.leaderboard.boards
    tables = [site.table(section) for section in board_sections(board, boards, full=True)]
    others = []
    for other in task.boards[1:]:
        form = f"{other.key.counting}, {other.key.average}".replace("_", " ")
        named = [site.table(section, f"{section.group}-{form}".replace(", ", "-").replace(" ", "-"),
                            f"{section.heading}, {form}") for section in board_sections(other)]  # fmt: skip
        others.append((form.capitalize(), named))
    published = [site.table(section) for section in site.leaderboard.published.get(board.key.dataset, ())]
    return site.page(
        site.urls.board(board),
        "board.html.j2",
        title=f"{board.key.dataset}: {board.key.operator}, split {board.key.split}",
        about=_about(site, board),
        tables=tables,
        kinds=KINDS,
        chart=_cost_chart(board),
        others=others,
        published=unique_names(published),
    )


def _about(site: Site, board: Board) -> list[tuple[str, str | Markup]]:
    key = board.key
    page, name = site.urls.dataset(key.dataset), key.dataset
    link = Markup('<a href="../{}">{}</a>, revision {}').format(page, name, key.revision)
    state = Markup("") if board.is_current else Markup(" (not the data that the card describes today)")
    rows: list[tuple[str, str | Markup]] = [("data set", link + state)]
    if board.official.flag:
        rows.append(("level of theory", board.official.flag))
    rows.append(
        ("official score", f"{heading(board.metric)}, {key.counting} counting, {key.average.replace('_', ' ')}")
    )
    rows.append(("fingerprint of the data", key.fingerprint[:16]))
    return rows


def _cost_chart(board: Board) -> Markup | None:
    points = []
    for row in board.models:
        record, number = row.entry.record, row.number
        known = {
            # CPU seconds where they were measured: wall times depend on what else the machine did
            "training time (s)": record.cost.train_cpu_s or record.cost.train_wall_s,
            "inference (ms per atom)": record.cost.inference_ms_per_atom,
            "parameters": record.cost.parameters,
        }
        costs = {name: float(value) for name, value in known.items() if value}
        if not number.reason and costs and number.value > 0:
            points.append(CostPoint(record.name, number.value, costs))
    if not points:
        return None
    label = f"{heading(board.metric)} of {SYMBOLS[board.key.operator]}"
    return Markup(svg_text(plot_cost(points, label, board.unit(board.metric))))


def task_rows(site: Site, model: str = "", dataset: str = "") -> Section:
    """Table of the entries of a model, or on a data set, with rank and official score on every task.

    Args:
        site: the site.
        model: only entries of this model; all where empty.
        dataset: only tasks of this data set; all where empty.
    """
    columns = [Column("dataset", "data set", align="left", names_row=True), Column("split", "split", align="left")]
    columns += [Column("operator", "operator", align="left"), Column("rank", "rank"), Column("of", "of")]
    columns += [Column("name", "run", align="left")] + [Column("model", "model", align="left")] * (not model)
    columns += [Column("value", "value"), Column("unit", "unit", align="left"), Column("metric", "score", align="left")]
    columns += [Column("evidence", "evidence", align="left"), Column("inputs", "given", align="left")]
    rows = []
    for task in site.urls.tasks:
        board = task.main
        if dataset not in ("", board.key.dataset):
            continue
        for section in board_sections(board)[: 1 if board.models else 0]:
            rows += [_ranked_row(site, board, row) for row in section.rows if model in ("", row["model"])]
    return Section("boards", "measured", tuple(columns), tuple(rows), (), "boards")


def _ranked_row(site: Site, board: Board, row: dict[str, Cell]) -> dict[str, Cell]:
    names = ("rank", "name", "model", "entry", "evidence", "inputs")
    cells = {name: row[name] for name in names if name in row}
    cells |= {"dataset": board.key.dataset, "split": board.key.split, "operator": board.key.operator}
    cells |= {"of": str(len(board.models)), "metric": heading(board.metric)}
    cells |= {"value": row.get(board.metric, Number(float("nan"), reason="not in the record"))}
    return cells | {"unit": score_column(board, board.metric).unit, "link dataset": site.urls.board(board)}
