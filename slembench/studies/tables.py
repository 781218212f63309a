"""Reports that are tables: spread over seeds, and transfer from one kind of structures to another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from slembench.figures.page import PageSection
from slembench.figures.picture import Picture
from slembench.figures.power_laws import Series, plot_power_laws
from slembench.studies.curves import MODEL, axis, picture_name
from slembench.studies.results import Point, Results, common_scores
from slembench.tables.cells import Cell, Column, Number, Section, format_value


def seeds(results: Results) -> list[PageSection]:
    """For each data set and split: mean, standard deviation and range over seeds, beside the interval over structures.

    A difference of two models that is smaller than what a change of seed does means nothing.
    """
    sections = []
    for (data, split), points in results.groups("data").items():
        tables = []
        for score in common_scores(points):
            unit = points[0].unit(score)[0]
            columns = (
                MODEL,
                Column("seeds", "seeds"),
                Column("mean", "mean [95 %]", unit),
                Column("deviation", "standard deviation", unit),
                Column("range", "lowest to highest", unit),
                Column("relative", "deviation / mean", "%"),
            )
            rows = tuple(_seed_row(point, score) for point in points)
            tables.append(Section(f"{data}, {split}: {score}", "measured", columns, rows))
        sections.append(PageSection(tables=tuple(tables)))
    return sections


def _seed_row(point: Point, score: str) -> dict[str, Cell]:
    factor = point.unit(score)[1]
    values = factor * np.array([run.record.scores[score].value for run in point.entry.runs])
    row: dict[str, Cell] = {"model": str(point.labels["model"]), "seeds": str(len(values)), "mean": point.number(score)}
    if len(values) > 1:
        deviation = float(values.std(ddof=1))
        row["deviation"] = Number(deviation)
        row["relative"] = Number(100 * deviation / float(values.mean()))
        row["range"] = f"{format_value(float(values.min()))} to {format_value(float(values.max()))}"
    return row


def transfer(results: Results) -> list[PageSection]:
    """The transfer matrix (trained on, tested on), and errors against the number of fine-tuning structures."""
    sections = []
    for (data, model), points in _by_data_and_model(results).items():
        scores = common_scores(points)
        title = f"{data}, {model}"
        matrices = [_matrix(title, score, points) for score in scores]
        curves = [section for score in scores for section in [_shots_table(title, score, points)] if section.rows]
        pictures = [_shots_picture(title, score, points) for score in scores[:1]] if curves else []
        sections.append(PageSection(tables=(*matrices, *curves), pictures=tuple(pictures)))
    return sections


def _by_data_and_model(results: Results) -> dict[tuple[str, str], list[Point]]:
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in results.points:
        groups.setdefault((str(point.labels["data"]), str(point.labels["model"])), []).append(point)
    return groups


def _matrix(title: str, score: str, points: Sequence[Point]) -> Section:
    """Rows: trained on; columns: tested on; no fine-tuning."""
    base = [point for point in points if point.labels["shots"] == 0]
    targets = list(dict.fromkeys(point.split for point in base))
    columns = [Column("source", "trained on", align="left", names_row=True)]
    columns += [Column(target, target.replace("_", " "), base[0].unit(score)[0]) for target in targets]
    rows: dict[str, dict[str, Cell]] = {}
    for point in base:
        row = rows.setdefault(str(point.labels["source"]), {"source": str(point.labels["source"])})
        row[point.split] = point.number(score)
    return Section(f"{title}: {score}, without fine-tuning", "measured", tuple(columns), tuple(rows.values()))


def _tuned(points: Sequence[Point]) -> list[tuple[str, str, Point]]:
    """(source, target, point) of every run on target structures, tested on the target; the base run stands for 0."""
    tuned = [p for p in points if p.labels["shots"] and p.split == f"test_{p.labels['target']}"]
    routes = dict.fromkeys((str(p.labels["source"]), str(p.labels["target"])) for p in tuned)
    rows = []
    for source, target in routes:
        rows += [
            (source, target, p)
            for p in points
            if not p.labels["shots"] and p.labels["source"] == source and p.split == f"test_{target}"
        ]
        rows += [(source, target, p) for p in tuned if (p.labels["source"], p.labels["target"]) == (source, target)]
    return rows


def _shots_table(title: str, score: str, points: Sequence[Point]) -> Section:
    columns = (
        Column("source", "began with", align="left", names_row=True),
        Column("target", "tested on", align="left", names_row=True),
        Column("shots", "target structures trained on"),
        Column("value", score, points[0].unit(score)[0]),
    )
    rows: tuple[dict[str, Cell], ...] = tuple(
        {"source": source, "target": target, "shots": str(p.labels["shots"]), "value": p.number(score)}
        for source, target, p in _tuned(points)
    )
    return Section(f"{title}: {score}, after fine-tuning", "measured", columns, rows)


def _shots_picture(title: str, score: str, points: Sequence[Point]) -> Picture:
    routes: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for source, target, point in _tuned(points):
        value = (float(point.labels["shots"]), point.number(score).value)
        routes.setdefault((target, source), []).append(value)
    panels: dict[str, list[Series]] = {}
    for (target, source), values in routes.items():
        series = Series(f"from {source}", tuple(v[0] for v in values), tuple(v[1] for v in values))
        panels.setdefault(target, []).append(series)
    label = axis(score, points[0].unit(score)[0])
    draw = partial(plot_power_laws, list(panels.items()), "structures of the target", label, log_x=False)
    caption = "Error on the target against the number of its structures that were trained on."
    return Picture(picture_name(title, score, "shots"), f"{title}: {score}", caption, draw)
