"""The report of a study: one page (HTML and Markdown), its pictures, and tables of all scores and costs.

The page, ``scores.csv`` and ``structures.parquet`` follow from the scores alone, so that a study that was killed and
resumed has the same ones as one that was not; what runs cost stands apart, in ``cost.csv``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from slembench.files import write_text
from slembench.results.record import write_table
from slembench.studies import curves, tables
from slembench.studies.budgets import training_words
from slembench.studies.page import Part, write_page
from slembench.studies.plan import Kind, Plan
from slembench.studies.results import Results, collect, cost_table, score_table, structure_table

STRUCTURES_FILE = "structures.parquet"

WRITERS: dict[Kind, Callable[[Results], list[Part]]] = {
    "data-efficiency": curves.data_efficiency,
    "locality": curves.locality,
    "seeds": tables.seeds,
    "transfer": tables.transfer,
}
"""What the page of each kind of study holds."""


def write_report(plan: Plan, folder: Path) -> list[Path]:
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
    parts = [_state(plan, results), *WRITERS[plan.study](results)]
    title = f"Study: {plan.study}"
    paths = write_page(title, parts, folder / "report")
    for name, table in (("scores", score_table(results)), ("cost", cost_table(results))):
        paths.append(write_text(folder / f"{name}.csv", table.to_csv(index=False)))
    return [*paths, write_table(structure_table(results), folder / STRUCTURES_FILE)]


def _state(plan: Plan, results: Results) -> Part:
    """What was planned, what it was trained with, and what is not finished."""
    text = f"{len(plan.runs)} runs in the plan, {training_words(plan, results)}"
    if results.missing:
        text += f"; {len(results.missing)} are not finished and missing here: {', '.join(results.missing)}"
    return Part(f"{text}. Intervals are 95 %, over test structures (and seeds, where there are several).")
