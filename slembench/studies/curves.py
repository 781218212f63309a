"""Reports that are curves: error against training data, and against cutoff and depth."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from slembench.figures.page import PageSection
from slembench.figures.picture import Picture
from slembench.figures.power_laws import Series, plot_power_laws
from slembench.figures.style import axis_label
from slembench.metrics.scaling import PowerLaw, learning_curve
from slembench.metrics.scores import ScoreName
from slembench.operators import SYMBOLS
from slembench.studies.results import Point, Results, common_scores
from slembench.tables.cells import Cell, Column, Number, Section

MODEL = Column("model", "model", align="left", names_row=True)


def data_efficiency(results: Results) -> list[PageSection]:
    """For each data set and split: errors for every number of training structures, fitted exponents, a picture."""
    sections = []
    for (data, split), points in results.groups("data").items():
        scores = common_scores(points)
        if not scores:
            continue
        models = _by_model(points)
        tables = [_curve_table(data, split, score, models) for score in scores]
        pictures = []
        # reversed: of several scores of one operator the first one, the headline, is what stays in the dict
        first = {ScoreName.parse(score).operator: score for score in reversed(scores)}
        for score in sorted(first.values(), key=scores.index):
            pictures.append(_curve_picture(data, split, score, models))
        sections.append(PageSection(tables=tuple(tables), pictures=tuple(pictures)))
    return sections


def fit(points: Sequence[Point], score: str) -> PowerLaw | None:
    """Learning curve of one model, in the unit of tables; None where it has fewer than two sizes or no sums."""
    sums = [point.entry.sums(score) for point in points]
    sizes = [int(point.labels["n_train"]) for point in points]
    present = [one for one in sums if one is not None]
    # a power law is fitted to logarithms: two sizes at least, and no error of exactly zero
    if len(present) < len(sums) or len(set(sizes)) < 2 or any((one[0] <= 0).any() for one in present):
        return None
    _, weight, groups, _ = present[0]
    found = learning_curve(sizes, [one[0] for one in present], weight, groups)
    # E = a N^b: a unit changes the factor a alone, never the exponent b
    return PowerLaw(found.factor * points[0].unit(score)[1], found.exponent, found.low, found.high)


def _by_model(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Model -> its points, by number of training structures."""
    models: dict[str, list[Point]] = {}
    for point in sorted(points, key=lambda point: int(point.labels.get("n_train", 0))):
        models.setdefault(str(point.labels["model"]), []).append(point)
    order = list(dict.fromkeys(str(point.labels["model"]) for point in points))
    return {model: models[model] for model in order}


def _curve_table(data: str, split: str, score: str, models: dict[str, list[Point]]) -> Section:
    sizes = sorted({int(point.labels["n_train"]) for points in models.values() for point in points})
    unit = next(iter(models.values()))[0].unit(score)[0]
    columns = [MODEL, *(Column(str(size), f"{size} structures", unit) for size in sizes)]
    columns.append(Column("exponent", "exponent of the fit"))
    rows = []
    for model, points in models.items():
        law = fit(points, score)
        row: dict[str, Cell] = {"model": model}
        row |= {str(point.labels["n_train"]): point.number(score) for point in points}
        row["exponent"] = (
            Number(law.exponent, law.low, law.high) if law else Number(float("nan"), reason="two sizes at least")
        )
        rows.append(row)
    return Section(f"{data}, {split}: {score}", "measured", tuple(columns), tuple(rows))


def _curve_picture(data: str, split: str, score: str, models: dict[str, list[Point]]) -> Picture:
    series = []
    for model, points in models.items():
        law = fit(points, score)
        label = f"{model}, N^{law.exponent:.2f}" if law else model
        sizes = tuple(float(point.labels["n_train"]) for point in points)
        series.append(_series(label, sizes, [point.number(score) for point in points], law))
    unit = next(iter(models.values()))[0].unit(score)[0]
    draw = partial(plot_power_laws, [(f"{data}, {split}", series)], "training structures", axis(score, unit))
    return Picture(
        picture_name(data, split, score),
        f"{data}, {split}: {score}",
        "Error against the number of training structures, with 95 % intervals, and the fitted power laws.",
        draw,
    )


def locality(results: Results) -> list[PageSection]:
    """For each data set and split: errors for every cutoff and depth, and on-site errors against the reach."""
    sections = []
    for (data, split), points in results.groups("data").items():
        scores = common_scores(points)
        if not scores:
            continue
        onsite = [score for score in scores if ".mae_diag" in score]
        text = (
            "Shorter cutoffs leave blocks out, so only on-site errors (mae_diag) are of the same elements in every "
            "row. Reach: how far from its atom an on-site block reads, from either of its atoms a pair block."
        )
        sections.append(
            PageSection(
                text=text,
                tables=(_locality_table(data, split, scores, points),),
                pictures=tuple(_reach_picture(data, split, score, points) for score in onsite or scores[:1]),
            )
        )
    return sections


def _locality_table(data: str, split: str, scores: list[str], points: Sequence[Point]) -> Section:
    names = (("cutoff", "Angstrom"), ("layers", ""), ("onsite_reach", "Angstrom"), ("pair_reach", "Angstrom"))
    columns = [MODEL, *(Column(name, name.replace("_", " "), unit) for name, unit in names)]
    columns += [Column(score, score, points[0].unit(score)[0]) for score in scores]
    rows = []
    for point in points:
        row: dict[str, Cell] = {"model": str(point.labels["model"])}
        row |= {name: f"{point.labels[name]:g}" for name, _ in names}
        row |= {score: point.number(score) for score in scores}
        rows.append(row)
    return Section(f"{data}, {split}: error against cutoff and layers", "measured", tuple(columns), tuple(rows))


def _reach_picture(data: str, split: str, score: str, points: Sequence[Point]) -> Picture:
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(f"{point.labels['model']}, {point.labels['layers']} layers", []).append(point)
    series = [
        _series(label, tuple(float(p.labels["onsite_reach"]) for p in own), [p.number(score) for p in own], None)
        for label, own in groups.items()
    ]
    unit = points[0].unit(score)[0]
    title, label = f"{data}, {split}", "reach of on-site blocks (Angstrom)"
    draw = partial(plot_power_laws, [(title, series)], label, axis(score, unit), log_x=False)
    caption = "Error against the distance up to which an on-site block reads its surroundings, 95 % intervals."
    return Picture(picture_name(data, split, score), f"{title}: {score}", caption, draw)


def axis(score: str, unit: str) -> str:
    """Label of an axis with a score on it."""
    name = ScoreName.parse(score)
    return axis_label(f"{SYMBOLS.get(name.operator, name.operator)} {name.metric}", unit)


def picture_name(*parts: Any) -> str:
    """File name made of words.

    Example:
        >>> picture_name("mos2-mini", "test", "hamiltonian.mae_all")
        'mos2-mini-test-hamiltonian-mae-all'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(map(str, parts))).strip("-")


def _series(label: str, x: tuple[float, ...], numbers: list[Number], law: PowerLaw | None) -> Series:
    # without test groups there are no intervals; a picture with some of them would mislead
    known = not any(math.isnan(number.low) for number in numbers)
    low, high = (tuple(getattr(n, end) for n in numbers) if known else () for end in ("low", "high"))
    line = (law.factor, law.exponent) if law else None
    return Series(label, x, tuple(number.value for number in numbers), low, high, line)
