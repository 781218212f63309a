"""What the runs of a study were trained with, in words: budgets and seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from slembench.studies.plan import Plan, PlannedRun
from slembench.studies.results import Results


def training_words(plan: Plan, results: Results) -> str:
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
