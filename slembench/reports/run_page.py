"""Page of a run in one HTML file: tables, and all pictures as inline SVG; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.data import load_card
from slembench.evaluation import main_scores, official_scores
from slembench.figures.page import Drawn, PageSection, draw_sections, html_environment
from slembench.figures.picture import Picture
from slembench.reports.prediction_pictures import prediction_pictures
from slembench.reports.run_folder import RunFolder, SplitResult
from slembench.reports.run_pictures import cost, learning, stored_pictures
from slembench.results.record import PhysicsCheck, RunRecord, ScoreValue
from slembench.tables.cells import Cell, Column, Section, format_score, format_value

TEMPLATE = "run_page.html.j2"
RUN = "the run"
"""Heading of the section that concerns all splits."""

LEGEND = (
    "Star: official score of the data set. Full or reduced: which elements count; pooled or per structure: how they "
    "are averaged."
)


@dataclass(frozen=True)
class RunPage:
    """Everything that a page of a run shows.

    Attributes:
        about: key and text of what the run is.
        settings: of model and training, as YAML; empty where the record has none.
        sections: in order.
        drawn: (title of the section, name of the picture) -> SVG element.
    """

    about: tuple[tuple[str, str], ...]
    settings: str
    sections: tuple[PageSection, ...]
    drawn: Drawn


def write_run_page(
    run: RunFolder,
    out: str | Path,
    *,
    others: Sequence[str | Path] = (),
    pictures: str | Path | None = None,
) -> list[Path]:
    """Write the page of a run, and each picture by itself where that is wanted.

    Args:
        run: the run.
        out: HTML file, written atomically.
        others: folders with other runs, for accuracy against cost.
        pictures: folder for SVG and PNG files of every picture.

    Returns:
        Paths of the files.

    Raises:
        DataError: a table or record that is not readable. Missing inputs are no error: the page says what is missing.
    """
    page, paths = draw_run_page(run, others=others, pictures=pictures)
    template = html_environment("slembench.reports").get_template(TEMPLATE)
    text = template.render(
        title=run.record.name,
        record=run.record,
        about=page.about,
        sections=page.sections,
        drawn=page.drawn,
        settings=page.settings,
    )
    return [write_text(out, text + "\n"), *paths]


def draw_run_page(
    run: RunFolder,
    *,
    others: Sequence[str | Path] = (),
    pictures: str | Path | None = None,
) -> tuple[RunPage, list[Path]]:
    """What the page of a run shows, with all pictures drawn, and the paths of those that were written.

    Args:
        run: the run.
        others: folders with other runs, for accuracy against cost.
        pictures: folder for SVG and PNG files of every picture.

    Raises:
        DataError: a table or record that is not readable.
    """
    sections = _sections(run, others)

    def file(section: PageSection, picture: Picture) -> Path:
        return Path(str(pictures)) / section.title.replace(" ", "-") / picture.name

    drawn, paths = draw_sections(sections, None if pictures is None else file)
    return RunPage(tuple(_about(run.record)), _settings(run.record), tuple(sections), drawn), paths


def _sections(run: RunFolder, others: Sequence[str | Path]) -> list[PageSection]:
    unit = _energy_unit(run.record)
    sections = [PageSection(RUN, pictures=(learning(run, unit),))]
    for result in run.splits:
        pictures = (*stored_pictures(run, result, unit), *prediction_pictures(result), cost(result, others, unit))
        record = result.record
        unavailable = [f"{name}: {why}" for name, why in record.unavailable.items()]
        if record.missing:
            unavailable.append(f"predictions, counted as zero, of {', '.join(record.missing)}")
        sections.append(
            PageSection(
                f"split {record.split}",
                tables=(_scores(run, result),),
                unavailable=tuple(unavailable),
                pictures=pictures,
            )
        )
    return sections


def _energy_unit(record: RunRecord) -> str:
    units = [score.unit for name, score in record.scores.items() if name.startswith("hamiltonian.mae_all")]
    return units[0] if units else "eV"


def _scores(run: RunFolder, result: SplitResult) -> Section:
    """Table of scores: those of the model and of the floors; official ones first, marked with a star."""
    # beside the model the trivial predictors on the same structures: an error means little without them
    floors = {f"floor {name}": floor.record for name, floor in run.floors(result.record.split).items()}
    records = {result.record.model: result.record} | floors
    names, official = _names(result.record)
    columns = [
        Column("score", "score", align="left", names_row=True),
        *(Column(f"record {name}", name) for name in records),
    ]
    rows: list[dict[str, Cell]] = [
        {
            "score": f"{name} *" if name in official else name,
            # a unit in every cell: the scores of one column have different ones
            **{f"record {key}": _text(record.scores.get(name)) for key, record in records.items()},
        }
        for name in names
    ]
    return Section("Scores", "measured", tuple(columns), tuple(rows), (LEGEND,), "scores")


def _names(record: RunRecord) -> tuple[list[str], set[str]]:
    """Scores to show, those in the official counting and average, and the official ones of them; all without a card."""
    try:
        card = load_card(record.dataset)
    except DataError:
        return list(record.scores), set()
    names = list(record.scores)
    return main_scores(card, names), set(official_scores(card, names))


def _text(score: ScoreValue | None) -> str:
    if score is None:
        return "-"
    return format_score(score.value, score.unit)


def _about(record: RunRecord) -> list[tuple[str, str]]:
    """Key and text of data, training, cost, physics checks, hardware and versions."""
    rows: list[tuple[str, Any]] = [
        ("data set", f"{record.dataset}, revision {record.dataset_revision}"),
        ("fingerprint of the data", record.dataset_fingerprint),
        ("targets", ", ".join(record.targets)),
    ]
    if record.training is not None:
        rows += [(f"training: {key}", value) for key, value in record.training.model_dump(exclude_none=True).items()]
    rows += [(f"cost: {key}", value) for key, value in record.cost.model_dump(exclude_none=True).items()]
    rows += [(f"physics: {name}", physics_text(check)) for name, check in record.physics.items()]
    if record.hardware is not None:
        rows += [(f"hardware: {key}", value) for key, value in record.hardware.model_dump(exclude_none=True).items()]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items()))]
    rows += [("created", record.created)]
    return [(key.replace("_", " "), _fact(v)) for key, v in rows]


def _fact(value: Any) -> str:
    """Text of a value; integers with separators from 10 000 on, as in the tables."""
    if isinstance(value, float):
        return format_value(value)
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)


def physics_text(check: PhysicsCheck) -> str:
    """A physics check in words: largest relative deviation, verdict and what was measured.

    Example:
        >>> physics_text(PhysicsCheck(value=2e-13, limit=1e-6, passed=True, note="a random order", structure="s1"))
        '2e-13, passed (limit 1e-06): a random order, of s1'
    """
    if check.value is None:
        return f"not measured: {check.note}"
    verdict = "passed" if check.passed else "not passed"
    return f"{check.value:.2g}, {verdict} (limit {check.limit:g}): {check.note}, of {check.structure}"


def _settings(record: RunRecord) -> str:
    """Settings of model and training as YAML; empty where the record has none."""
    return str(yaml.safe_dump(record.config, sort_keys=False, width=100)) if record.config else ""
