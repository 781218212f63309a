"""Verdicts on claims: a table of what was measured, and whether it bears the claim out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from slembench.core.errors import DataError
from slembench.leaderboard.runs import settings
from slembench.metrics.scaling import power_law
from slembench.metrics.statistics import MIN_GROUPS, MIN_SEEDS, RESAMPLES, bootstrap, group_sums, interval
from slembench.metrics.statistics import resampled_scores as resampled
from slembench.operators.orbitals import FloatArray
from slembench.results.compare import ScoreDifference, Side, compare, numerators, read_side
from slembench.studies.claims.claims import Claim, Figure, Growth, Order, Transfer
from slembench.studies.claims.evidence import study_sums
from slembench.tables.cells import Cell, Column, Number, Section, display_unit, format_number

Outcome = Literal["held", "did not hold", "undecided"]

ENTRY = Column("entry", "entry", align="left", names_row=True)


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Attributes:
        outcome: "held", "did not hold", or "undecided" where intervals allow both.
        why: the deciding numbers.
        table: what was measured.
        weakness: what keeps it from being resolved (one seed, few test structures); empty where it is.
    """

    outcome: Outcome
    why: str
    table: Section
    weakness: str = ""

    @property
    def text(self) -> str:
        """The outcome, and whether it is resolved."""
        return f"{self.outcome}, not resolved" if self.weakness and self.outcome != "undecided" else self.outcome

    @property
    def reason(self) -> str:
        """The deciding numbers and what weakens them."""
        return f"{self.why} ({self.weakness})" if self.weakness else self.why


def evaluate_claim(claim: Claim, root: Path) -> Verdict:
    """Check a claim against the committed results.

    Args:
        claim: from `read_claims`.
        root: the project's root, which holds ``results`` and ``benchmarks``.

    Raises:
        DataError: evidence that is not there, not readable or does not belong together, with the claim's id.

    Example:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> _ = (root / "speed.json").write_text('{"ratio": 0.62}')
        >>> check = {"kind": "figure", "file": "speed.json", "path": ["ratio"], "at_most": 0.8}
        >>> claim = Claim.model_validate({"id": "speed", "claim": "faster", "source": "here", "check": check})
        >>> evaluate_claim(claim, root).text
        'held, not resolved'
    """
    functions: dict[str, Callable[[Any, Path], Verdict]] = {
        "order": _order,
        "growth": _growth,
        "transfer": _transfer,
        "figure": _figure,
    }
    try:
        return functions[claim.check.kind](claim.check, root)
    except (DataError, LookupError, OSError, ValueError, TypeError, AttributeError) as error:
        text = f"no {error} there" if isinstance(error, KeyError) else str(error)
        raise DataError(f"claim {claim.id!r}: {text}") from error


def _sides(root: Path, dataset: str, entries: Sequence[Sequence[str]], split: str) -> list[Side]:
    """Entries with all their seeds.

    Raises:
        DataError: runs of one entry that differ in more than the seed, or have the same one.
    """
    runs = root / "results" / "runs" / dataset
    sides = [read_side([runs / name for name in names], split) for names in entries]
    for names, side in zip(entries, sides):
        # equal seeds would count one run twice and narrow the interval
        seeds = [record.training and record.training.seed for record in side.records]
        if len(set(seeds)) < len(seeds) or len({settings(record) for record in side.records}) > 1:
            raise DataError(f"{', '.join(names)}: one entry needs runs that differ in their seed, and in nothing else")
    return sides


def _value(side: Side, score: str) -> Number:
    """Score with the interval over test structures and seeds, in the unit of tables."""
    sums, weight = numerators(side, score)
    found = bootstrap(sums, weight, side.tables[0]["group"].astype(str).tolist())
    return Number(found.value, found.low, found.high).scaled(_display(side, score)[1])


def _display(side: Side, score: str) -> tuple[str, float]:
    """Unit word of tables, and the factor to it."""
    unit = side.records[0].scores[score].unit
    return display_unit(unit)


def _budget(side: Side) -> str:
    training = side.records[0].training
    return training.budget if training else ""


def _weakness(seeds: int, groups: int, budgets: Sequence[str] = ()) -> str:
    """What keeps a verdict from being resolved."""
    words = [f"{seeds} seed"] if seeds < MIN_SEEDS else []
    words += [f"{groups} {'groups' if groups > 1 else 'group'} of test structures"] if groups < MIN_GROUPS else []
    words += ["different budgets"] if len(set(filter(None, budgets))) > 1 else []
    return ", ".join(words)


def _all(states: Sequence[bool | None]) -> Outcome:
    """True where a part of the claim is borne out, False where it is refuted, None where the interval is open."""
    return "did not hold" if False in states else "undecided" if None in states else "held"


def _within(number: Number, bound: float) -> bool | None:
    """Whether the whole interval of a number lies at or below a bound, or all of it above."""
    # no interval: the value stands for both ends, and the weakness says so
    low, high = (number.value if math.isnan(end) else end for end in (number.low, number.high))
    if not low <= number.value <= high:
        raise ValueError(f"{number.value:g} lies outside its interval, {low:g} to {high:g}")
    # a claim is decided only where the whole 95 % interval lies on one side of the bound
    return True if high <= bound else False if low > bound else None


def _order(check: Order, root: Path) -> Verdict:
    """Every neighbouring pair differs in the claimed direction, by an interval that excludes zero."""
    sides = _sides(root, check.dataset, check.entries, check.split)
    unit, factor = _display(sides[0], check.score)
    pairs = []
    for a, b in zip(sides, sides[1:]):
        found = compare(a, b, [check.score])
        if not found:
            raise DataError(f"{a.name} or {b.name}: {check.score} is not finite for all structures")
        pairs += found
    why = "; ".join(_difference(a, b, pair, unit, factor) for a, b, pair in zip(sides, sides[1:], pairs))
    columns = (
        ENTRY,
        Column("seeds", "seeds"),
        Column("budget", "trained for", align="left"),
        Column("value", check.score, unit),
    )
    rows = tuple[dict[str, Cell], ...](
        {
            "entry": side.name,
            "seeds": str(len(side.records)),
            "budget": _budget(side) or "-",
            "value": _value(side, check.score),
        }
        for side in sides
    )
    seeds, groups = min(p.paired.n_seeds for p in pairs), min(p.paired.n_groups for p in pairs)
    outcome = _all([None if pair.paired.tied else _within(_number(pair), 0.0) for pair in pairs])
    table = Section(f"{check.dataset}, split {check.split}", "measured", columns, rows)
    return Verdict(outcome, why, table, _weakness(seeds, groups, [_budget(side) for side in sides]))


def _number(pair: ScoreDifference) -> Number:
    difference = pair.paired.difference
    return Number(difference.value, difference.low, difference.high)


def _difference(a: Side, b: Side, pair: ScoreDifference, unit: str, factor: float) -> str:
    """By how much A is better or worse than B, in words; where that is open, A - B."""
    number, ending = _number(pair).scaled(factor), f" {unit}" if unit != "1" else ""
    if pair.paired.tied:
        return f"{a.name} not told apart from {b.name}, difference {format_number(number)}{ending}"
    word = "worse"
    if number.value < 0:
        word, number = "better", Number(-number.value, -number.high, -number.low)
    return f"{a.name} {word} than {b.name} by {format_number(number)}{ending}"


def _ratio(above: FloatArray, below: FloatArray, value: float) -> Number:
    """Ratio of two scores with its interval, from resampled ones (r,)."""
    found = interval(value, above / below)
    return Number(found.value, found.low, found.high)


def _growth(check: Growth, root: Path) -> Verdict:
    """Error with few structures over error with all, of one model beside others; all on the same resamples."""
    sums = study_sums(root / "results" / "studies" / check.study, check.dataset, check.split, check.score)
    most, least = check.fractions
    names = (check.model, *check.others)
    wanted = [sums.of(name, fraction) for name in names for fraction in (most, least)]
    # one set of resamples for all models and fractions: errors on the same structures rise and fall together, and
    # the interval of a ratio is narrower than from independent ones
    draws = resampled([group_sums(*one, sums.groups) for one in wanted], RESAMPLES, 0)
    values = [_score(one) for one in wanted]
    growth = {
        name: _ratio(draws[:, 2 * k + 1], draws[:, 2 * k], values[2 * k + 1] / values[2 * k])
        for k, name in enumerate(names)
    }
    states = [_within(growth[check.model], check.at_most)]
    for name in check.others:
        inside = _within(growth[name], check.others_at_least)
        # others must exceed the bound, so being within it refutes the claim
        states.append(None if inside is None else not inside)
    why = "; ".join(f"{name} {format_number(number)} times" for name, number in growth.items())
    why += f"; claimed: at most {check.at_most:g}"
    why += f", of the others at least {check.others_at_least:g}" if check.others else ""
    unit, factor = display_unit(sums.unit)
    fractions = sorted({fraction for name, fraction in sums.parts if name in names}, reverse=True)
    columns = (ENTRY, *(Column(f"{f:g}", f"{100 * f:g} %", unit) for f in fractions), Column("growth", "growth"))
    rows = tuple[dict[str, Cell], ...](
        {
            "entry": name,
            "growth": growth[name],
            **{f"{f:g}": Number(_score(sums.of(name, f)) * factor) for f in fractions if (name, f) in sums.parts},
        }
        for name in names
    )
    section = Section(f"{check.dataset}, split {check.split}: {check.score}", "measured", columns, rows)
    seeds = min(len(numerator) for numerator, _ in wanted)
    return Verdict(_all(states), why, section, _weakness(seeds, len(set(sums.groups))))


def _score(sums: tuple[FloatArray, FloatArray]) -> float:
    numerator, weight = sums
    return float((numerator.sum(axis=1) / weight.sum()).mean())


def _transfer(check: Transfer, root: Path) -> Verdict:
    """Error on other structures over error on the test split; each split is resampled alone."""
    near, far = (_sides(root, check.dataset, check.entries, split) for split in check.splits)
    unit, _ = _display(near[0], check.score)
    rows: list[dict[str, Cell]] = []
    ratios = []
    for a, b in zip(near, far):
        for first, second in zip(a.records, b.records):
            if (first.dataset_fingerprint, settings(first)) != (second.dataset_fingerprint, settings(second)):
                raise DataError(
                    f"{a.name}: the records of {' and '.join(check.splits)} are not of one run on one data set"
                )
        # different structures, so independent resamples: another seed for each split
        draws = [_resampled(side, check.score, seed) for seed, side in enumerate((a, b))]
        numbers = [_value(side, check.score) for side in (a, b)]
        ratios.append(_ratio(draws[1], draws[0], numbers[1].value / numbers[0].value))
        rows.append({"entry": a.name, "near": numbers[0], "far": numbers[1], "factor": ratios[-1]})
    columns = (
        ENTRY,
        Column("near", check.splits[0], unit),
        Column("far", check.splits[1], unit),
        Column("factor", "factor"),
    )
    why = f"{near[0].name} {format_number(ratios[0])} times, at most {check.at_most:g} claimed"
    table = Section(f"{check.dataset}: {check.score}", "measured", columns, tuple(rows))
    groups = min(side.tables[0]["group"].nunique() for side in (near[0], far[0]))
    weakness = _weakness(len(near[0].records), groups)
    return Verdict(_all([_within(ratios[0], check.at_most)]), why, table, weakness)


def _resampled(side: Side, score: str, seed: int) -> FloatArray:
    sums, weight = numerators(side, score)
    if not np.isfinite(sums).all():
        raise DataError(f"{side.name}: {score} is not finite for all structures")
    return resampled([group_sums(sums, weight, side.tables[0]["group"].astype(str).tolist())], RESAMPLES, seed)[:, 0]


def _figure(check: Figure, root: Path) -> Verdict:
    """A number of a benchmark's record against its bound; undecided where its interval holds the bound."""
    path = root / check.file
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    factor = 100.0 if check.unit == "%" else 1.0
    numbers: dict[str, Number] = {}
    if check.exponent:
        # l + 1 as size: the cost of a convolution in lmax is a power of the number of angular momenta
        seconds = {int(l) + 1: float(value) for l, value in _follow(content, check.path).items()}
        for label, sizes in (("all sizes", sorted(seconds)), ("the three largest", sorted(seconds)[-3:])):
            law = power_law(sizes, [seconds[size] for size in sizes])
            # three points leave one degree of freedom: an interval from them would say nothing
            ends = (law.low, law.high) if label == "all sizes" else (math.nan, math.nan)
            numbers[label] = Number(law.exponent, *ends)
    else:
        low, high = _follow(content, check.interval) if check.interval else (math.nan, math.nan)
        numbers["measured"] = Number(float(_follow(content, check.path)), float(low), float(high)).scaled(factor)
    bound = check.at_most * factor
    columns = (ENTRY, Column("value", "value", check.unit))
    rows = tuple[dict[str, Cell], ...]({"entry": name, "value": number} for name, number in numbers.items())
    unit = f" {check.unit}" if check.unit else ""
    found = ", ".join(format_number(number) for number in numbers.values())
    why = f"{found}{unit}; at most {bound:g}{unit} claimed"
    outcome = _all([_within(number, bound) for number in numbers.values()])
    weakness = "" if check.interval or check.exponent else "no interval"
    return Verdict(outcome, why, Section(f"`{check.file}`", "measured", columns, rows), weakness)


def _follow(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content[key]
    return content
