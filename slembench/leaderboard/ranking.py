"""Order of the entries of a board, with intervals, and whether neighbours differ at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from slembench.leaderboard.runs import Entry
from slembench.metrics.statistics import MIN_GROUPS, MIN_SEEDS, bootstrap, paired_bootstrap
from slembench.tables.cells import Number


@dataclass(frozen=True, eq=False)
class Ranked:
    """An entry with its place.

    Attributes:
        entry: runs of one model and configuration.
        rank: from 1; tied neighbours share it. None where the entry has no value.
        number: the ranking score with its 95 % interval, in the record's unit.
        verdict: how it stands to the row above: "tied", "resolved", or "not resolved" and why; empty in the first row.
    """

    entry: Entry
    rank: int | None
    number: Number
    verdict: str


def rank(entries: Sequence[Entry], score: str, higher_is_better: bool = False) -> list[Ranked]:
    """Entries in order of one score, best first; those without a value come last.

    Args:
        entries: all of one data set and split.
        score: name as in the records.
        higher_is_better: direction of the score.
    """
    numbers = [(entry, entry.number(score) or Number(math.nan, reason="not in the record")) for entry in entries]
    # By name last, so that equal values stand in the same order in every process.
    sign = -1 if higher_is_better else 1
    numbers.sort(key=lambda pair: (math.isnan(pair[1].value), sign * pair[1].value, pair[0].record.name))
    ranked: list[Ranked] = []
    for place, (entry, number) in enumerate(numbers, start=1):
        if number.reason:
            ranked.append(Ranked(entry, None, number, ""))
            continue
        above = ranked[-1] if ranked else None
        # Only neighbours are compared: a tie is with the row above, and need not hold with the one above that.
        verdict = compare(above.entry, entry, score) if above else ""
        shared = above is not None and verdict == "tied"
        ranked.append(
            Ranked(entry, above.rank if above and shared else place, _with_interval(entry, number, score), verdict)
        )
    return ranked


def compare(a: Entry, b: Entry, score: str) -> str:
    """Whether two entries differ: "resolved", "tied", or "not resolved" with the reason.

    A difference is resolved only with several seeds of both and enough groups of structures, whatever its interval.

    Args:
        a: one entry.
        b: another one of the same split.
        score: name as in the records.
    """
    sums_a, sums_b = a.sums(score), b.sums(score)
    if sums_a is None or sums_b is None:
        return "not resolved (no values per structure)"
    if sums_a[3] != sums_b[3]:
        return "not resolved (other structures)"
    # Paired: on each resample both have the same structures, so what is hard for both does not blur the difference.
    result = paired_bootstrap(sums_a[0], sums_b[0], sums_a[1], sums_a[2])
    if result.n_seeds < MIN_SEEDS:
        return f"not resolved ({result.n_seeds} seed)"
    if result.n_groups < MIN_GROUPS:
        return f"not resolved ({result.n_groups} groups)"
    return "tied" if result.tied else "resolved"


def _with_interval(entry: Entry, number: Number, score: str) -> Number:
    sums = entry.sums(score)
    if sums is None:
        return number
    interval = bootstrap(*sums[:3])
    return replace(number, low=interval.low, high=interval.high)
