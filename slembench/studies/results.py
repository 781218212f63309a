"""What the runs of a study gave: records joined over seeds, with intervals over the test structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from slembench.data import Card, load_card
from slembench.evaluation import official_scores
from slembench.leaderboard.runs import Entry, Run
from slembench.metrics.scores import structure_values
from slembench.metrics.statistics import bootstrap
from slembench.results.record import read_record
from slembench.studies.plan import PlannedRun, StudyPlan
from slembench.studies.run import tasks_of
from slembench.tables.cells import Number, display_unit

Label = str | int | float


@dataclass(frozen=True, eq=False)
class Point:
    """Runs with the same labels, one a seed, on one split.

    Attributes:
        labels: as in the plan.
        split: the split.
        runs: of the plan.
        entry: their records.
        card: of the data set, or of the source of a derived one.
    """

    labels: dict[str, Label]
    split: str
    runs: tuple[PlannedRun, ...]
    entry: Entry
    card: Card

    @property
    def scores(self) -> list[str]:
        """Official scores that every seed has."""
        # a score that one seed lacks has no mean over seeds
        names = [set(run.record.scores) for run in self.entry.runs]
        return official_scores(self.card, sorted(set.intersection(*names)))

    def unit(self, score: str) -> tuple[str, float]:
        """Unit word of tables, and the factor from the record's unit to it."""
        unit = self.entry.record.scores[score].unit
        return display_unit(unit)

    def number(self, score: str) -> Number:
        """Mean over seeds with the interval over test structures (and seeds), in the unit of tables."""
        _, factor = self.unit(score)
        value, sums = self.entry.number(score), self.entry.sums(score)
        assert value is not None
        # such as a maximum: no ratio of sums over structures, so nothing to resample
        if sums is None:
            return value.scaled(factor)
        numerator, weight, groups, _ = sums
        # resampled by groups: structures of one trajectory are no independent draws
        found = bootstrap(numerator, weight, groups)
        return Number(found.value, found.low, found.high).scaled(factor)


@dataclass(frozen=True, eq=False)
class Results:
    """All that is finished.

    Attributes:
        points: in the order of the plan.
        missing: keys of runs that are not finished.
    """

    points: tuple[Point, ...]
    missing: tuple[str, ...]

    def groups(self, *labels: str) -> dict[tuple[Any, ...], list[Point]]:
        """Points with the same split and the same values of ``labels``; a label that a point lacks is empty."""
        found: dict[tuple[Any, ...], list[Point]] = {}
        for point in self.points:
            found.setdefault((*(point.labels.get(name, "") for name in labels), point.split), []).append(point)
        return found


def collect(plan: StudyPlan, folder: Path) -> Results:
    """Read the records of all finished runs.

    Args:
        plan: of the study.
        folder: of the study.

    Raises:
        DataError: a record that is refused.
    """
    groups: dict[tuple[Any, ...], list[tuple[PlannedRun, Path]]] = {}
    missing = []
    for key, task in tasks_of(plan, folder).items():
        if not task.finished:
            missing.append(key)
            continue
        for split in task.run.splits:
            # runs that differ in their seed alone have the same labels and become one point
            name = (*sorted(task.run.labels.items()), split)
            groups.setdefault(name, []).append((task.run, task.run_folder / split))
    points = []
    for members in groups.values():
        first, place = members[0]
        runs = tuple(Run(read_record(where), where) for _, where in members)
        derived = plan.derived.get(first.dataset)
        # a derived data set may not be made on this machine; its card says what its source's does
        card = load_card(derived.source if derived else first.dataset)
        own = tuple(run for run, _ in members)
        points.append(Point(dict(first.labels), place.name, own, Entry(runs), card))
    return Results(tuple(points), tuple(missing))


def score_table(results: Results) -> pd.DataFrame:
    """Official scores of every run in the units of the records: no times, the same however often a study was killed."""
    rows: list[dict[str, Any]] = []
    for point in results.points:
        for planned, run in zip(point.runs, point.entry.runs):
            row: dict[str, Any] = {**point.labels, "seed": planned.seed, "split": point.split, "run": run.record.name}
            for score in point.scores:
                value = run.record.scores[score]
                row[f"{score} ({value.unit})"] = value.value
            rows.append(row)
    return pd.DataFrame(rows)


def structure_table(results: Results) -> pd.DataFrame:
    """Numerators and weights of the official scores for every run and test structure: what intervals are made of.

    Columns: run, split, id, group, and for every score that is a ratio of sums its ``sum`` (unit of the records) and
    ``weight``; the labels of a run stand in `score_table`.
    """
    parts = []
    for point in results.points:
        for run in point.entry.runs:
            table = run.per_structure
            if table is None:
                continue
            part = table[["id", "group"]].astype(str).assign(run=run.record.name, split=point.split)
            for score in point.scores:
                try:
                    part[f"{score} sum"], part[f"{score} weight"] = structure_values(table, score)
                except KeyError:
                    continue  # no ratio of sums over structures
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["run", "split", "id", "group"])


def cost_table(results: Results) -> pd.DataFrame:
    """What every run cost, as its records say; differs from one machine and one hour to the next."""
    rows: list[dict[str, Any]] = []
    for point in results.points:
        for planned, run in zip(point.runs, point.entry.runs):
            training, cost = run.record.training, run.record.cost
            assert training is not None
            row: dict[str, Any] = {**point.labels, "seed": planned.seed, "split": point.split, "run": run.record.name}
            row |= {"steps": training.steps, "train_wall_s": training.wall_s, "train_cpu_s": training.cpu_s}
            row |= {"peak_memory_bytes": cost.peak_memory_bytes, "inference_ms_per_atom": cost.inference_ms_per_atom}
            rows.append(row)
    return pd.DataFrame(rows)


def common_scores(points: Sequence[Point]) -> list[str]:
    """Official scores that all points have, in the order of the first one's card."""
    if not points:
        return []
    return [score for score in points[0].scores if all(score in point.scores for point in points[1:])]
