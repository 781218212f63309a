"""The report of a study: one page (HTML and Markdown), its pictures, and tables of all scores and costs.

The page, ``scores.csv`` and ``structures.parquet`` follow from the scores alone, so that a study that was killed and
resumed has the same ones as one that was not; what runs cost stands apart, in ``cost.csv``.

What the runs of a study were trained with, in words: budgets and seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from slembench.core.files import write_text
from slembench.figures.page import PageSection
from slembench.results.record import write_table
from slembench.studies import curves, tables
from slembench.studies.page import write_page
from slembench.studies.plan import Kind, PlannedRun, StudyPlan
from slembench.studies.results import Results, collect, cost_table, score_table, structure_table


def training_words(plan: StudyPlan, results: Results) -> str:
    """Such as "each trained for 500 steps, seed 0"; budgets are those of the records, seeds those of the plan.

    Where budgets differ each stands with the values of the first label that decides it (such as ``shots 0``), or with
    the number of its runs where no label does.

    Args:
        plan: of the study.
        results: of its finished runs; without any, only the seeds are told.
    """
    budgets = {}
    for point in results.points:
        for run, done in zip(point.runs, point.entry.runs):
            assert done.record.training is not None
            budgets[plan.key(run)] = (run, done.record.training.budget)
    words = []
    if budgets:
        who = "those that are finished" if results.missing else "each"
        words.append(f"{who} trained for {_budgets(list(budgets.values()))}")
    seeds = sorted({run.seed for run in plan.runs})
    return ", ".join([*words, f"seed{'s' * (len(seeds) > 1)} {_joined(map(str, seeds), 'and')}"])


def _budgets(runs: Sequence[tuple[PlannedRun, str]]) -> str:
    """Budgets with what decides them."""
    counts = Counter(budget for _, budget in runs)
    if len(counts) == 1:
        return next(iter(counts))
    for label in dict.fromkeys(name for run, _ in runs for name in run.labels):
        pairs = dict.fromkeys((run.labels.get(label, ""), budget) for run, budget in runs)
        values = {value for value, _ in pairs}
        if "" not in values and len(values) == len(pairs):
            which = {text: _joined([str(value) for value, own in pairs if own == text], "and") for text in counts}
            return _joined([f"{text} ({label} {named})" for text, named in which.items()], "or")
    return _joined([f"{text} ({number} run{'s' * (number > 1)})" for text, number in counts.items()], "or")


def _joined(words: Iterable[str], last: str) -> str:
    """Words with commas between them, and ``last`` before the last one."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


STRUCTURES_FILE = "structures.parquet"

WRITERS: dict[Kind, Callable[[Results], list[PageSection]]] = {
    "data-efficiency": curves.data_efficiency,
    "locality": curves.locality,
    "seeds": tables.seeds,
    "transfer": tables.transfer,
}
"""What the page of each kind of study holds."""


def write_report(plan: StudyPlan, folder: Path) -> list[Path]:
    """Write the page, ``report.html`` and ``report.md`` with ``pictures/``, and the tables of what is finished.

    The tables are ``scores.csv``, ``structures.parquet`` (what the intervals are made of) and ``cost.csv``.

    Args:
        plan: of the study.
        folder: of the study.

    Returns:
        Paths of the files.

    Raises:
        DataError: a record or table that is not readable.
    """
    results = collect(plan, folder)
    sections = [_state(plan, results), *WRITERS[plan.study](results)]
    title = f"Study: {plan.study}"
    paths = write_page(title, sections, folder / "report")
    for name, table in (("scores", score_table(results)), ("cost", cost_table(results))):
        paths.append(write_text(folder / f"{name}.csv", table.to_csv(index=False)))
    return [*paths, write_table(structure_table(results), folder / STRUCTURES_FILE)]


def _state(plan: StudyPlan, results: Results) -> PageSection:
    """What was planned, what it was trained with, and what is not finished."""
    text = f"{len(plan.runs)} runs in the plan, {training_words(plan, results)}"
    if results.missing:
        text += f"; {len(results.missing)} are not finished and missing here: {', '.join(results.missing)}"
    return PageSection(text=f"{text}. Intervals are 95 %, over test structures (and seeds, where there are several).")
