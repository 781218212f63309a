"""Verdicts on claims: a table of what was measured, and whether it bears the claim out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from slembench.errors import DataError
from slembench.leaderboard.cells import DISPLAY_UNITS, Cell, Column, Number, Section, format_number
from slembench.metrics.scaling import power_law
from slembench.metrics.statistics import MIN_GROUPS, MIN_SEEDS, bootstrap
from slembench.reproduction.claims import Claim, Figure, Growth, Order, Transfer
from slembench.results.compare import Side, compare, numerators, read_side

Word = Literal["held", "did not hold", "undecided"]

ENTRY = Column("entry", "entry", align="left", names_row=True)


@dataclass(frozen=True)
class Verdict:
    """What came of a claim.

    Attributes:
        word: "held", "did not hold", or "undecided" where intervals allow both.
        why: the deciding numbers.
        table: what was measured.
        weakness: what keeps it from being resolved (one seed, few test structures); empty where it is.
    """

    word: Word
    why: str
    table: Section
    weakness: str = ""

    @property
    def text(self) -> str:
        """The word, and whether it is resolved."""
        return f"{self.word}, not resolved" if self.weakness and self.word != "undecided" else self.word

    @property
    def reason(self) -> str:
        """The deciding numbers and what weakens them."""
        return f"{self.why} ({self.weakness})" if self.weakness else self.why


def judge(claim: Claim, root: Path) -> Verdict:
    """Check a claim against the committed results.

    Args:
        claim: from `read_claims`.
        root: the project's root, which holds ``results`` and ``benchmarks``.

    Raises:
        DataError: evidence that is not there or not readable, with the claim's id.
    """
    functions: dict[str, Callable[[Any, Path], Verdict]] = {
        "order": _order,
        "growth": _growth,
        "transfer": _transfer,
        "figure": _figure,
    }
    try:
        return functions[claim.check.kind](claim.check, root)
    except (DataError, KeyError, OSError, ValueError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"claim {claim.id!r}: {text}") from error


def _sides(root: Path, dataset: str, entries: Sequence[Sequence[str]], split: str) -> list[Side]:
    runs = root / "results" / "runs" / dataset
    return [read_side([runs / name for name in names], split) for names in entries]


def _value(side: Side, score: str) -> Number:
    """Score with the interval over test structures and seeds, in the unit of tables."""
    sums, weight = numerators(side, score)
    found = bootstrap(sums, weight, side.tables[0]["group"].astype(str).tolist())
    factor = DISPLAY_UNITS[side.records[0].scores[score].unit][1]
    return Number(found.value, found.low, found.high).scaled(factor)


def _trained(side: Side) -> str:
    training = side.records[0].training
    return training.budget if training else "-"


def _unit(side: Side, score: str) -> str:
    return DISPLAY_UNITS[side.records[0].scores[score].unit][0]


def _order(check: Order, root: Path) -> Verdict:
    """Every neighbouring pair differs in the claimed direction, by an interval that excludes zero."""
    sides = _sides(root, check.dataset, check.entries, check.split)
    pairs = [compare(a, b, [check.score])[0] for a, b in zip(sides, sides[1:])]
    better = [pair.paired.difference.high < 0 for pair in pairs]
    worse = [pair.paired.difference.low > 0 for pair in pairs]
    word: Word = "held" if all(better) else "did not hold" if any(worse) else "undecided"
    why = "; ".join(
        f"{a.name} {_relation(good, bad)} {b.name}" for a, b, good, bad in zip(sides, sides[1:], better, worse)
    )
    columns = (
        ENTRY,
        Column("seeds", "seeds"),
        Column("budget", "trained for", align="left"),
        Column("value", check.score, _unit(sides[0], check.score)),
    )
    rows: list[dict[str, Cell]] = [
        {
            "entry": side.name,
            "seeds": str(len(side.records)),
            "budget": _trained(side),
            "value": _value(side, check.score),
        }
        for side in sides
    ]
    table = Section(f"{check.dataset}, split {check.split}", "measured", columns, tuple(rows))
    return Verdict(word, why, table, _weakness(sides))


def _relation(better: bool, worse: bool) -> str:
    return "better than" if better else "worse than" if worse else "not told apart from"


def _weakness(sides: Sequence[Side]) -> str:
    """What keeps a difference from being resolved."""
    seeds, groups = min(len(side.records) for side in sides), sides[0].tables[0]["group"].nunique()
    words = [f"{seeds} seed"] if seeds < MIN_SEEDS else []
    words += [f"{groups} {'groups' if groups > 1 else 'group'} of test structures"] if groups < MIN_GROUPS else []
    return ", ".join(words)


def _growth(check: Growth, root: Path) -> Verdict:
    """Error with few structures over error with all, of one model beside others."""
    path = root / "results" / "studies" / check.study / "scores.csv"
    table = pd.read_csv(path)
    column = next((name for name in table if str(name).startswith(f"{check.score} (")), None)
    if column is None:
        raise DataError(f"{path}: no column {check.score!r}")
    unit, factor = DISPLAY_UNITS[str(column).rpartition("(")[2].rstrip(")")]
    table = table[(table["data"] == check.dataset) & (table["split"] == check.split)]
    values = table.groupby(["model", "fraction"])[column].mean() * factor
    most, least = check.fractions
    names = (check.model, *check.others)
    growth = {name: float(values[name, least] / values[name, most]) for name in names}
    flat = check.at_most is None or growth[check.model] <= check.at_most
    least_of_all = all(growth[check.model] < growth[name] for name in check.others)
    why = ", ".join(f"{name} {number:.2f} times" for name, number in growth.items())
    if check.at_most is not None:
        why += f"; called flat up to {check.at_most:g} times"
    fractions = sorted({fraction for _, fraction in values.index}, reverse=True)
    columns = (ENTRY, *(Column(f"{f:g}", f"{100 * f:g} %", unit) for f in fractions), Column("growth", "growth"))
    rows: list[dict[str, Cell]] = [
        {
            "entry": name,
            "growth": Number(growth[name]),
            **{f"{f:g}": Number(float(values[name, f])) for f in fractions if (name, f) in values.index},
        }
        for name in names
    ]
    seeds = table["seed"].nunique()
    weak = f"{seeds} seed" if seeds < MIN_SEEDS else ""
    section = Section(f"{check.dataset}, split {check.split}: {check.score}", "measured", columns, tuple(rows))
    return Verdict("held" if flat and least_of_all else "did not hold", why, section, weak)


def _transfer(check: Transfer, root: Path) -> Verdict:
    """Error on other structures over error on the test split."""
    near, far = (_sides(root, check.dataset, check.entries, split) for split in check.splits)
    rows: list[dict[str, Cell]] = []
    factors = []
    for a, b in zip(near, far):
        first, second = _value(a, check.score), _value(b, check.score)
        factors.append(second.value / first.value)
        rows.append({"entry": a.name, "near": first, "far": second, "factor": Number(factors[-1])})
    unit = _unit(near[0], check.score)
    columns = (
        ENTRY,
        Column("near", check.splits[0], unit),
        Column("far", check.splits[1], unit),
        Column("factor", "factor"),
    )
    why = f"{near[0].name} {factors[0]:.2f} times, at most {check.at_most:g} claimed"
    word: Word = "held" if factors[0] <= check.at_most else "did not hold"
    table = Section(f"{check.dataset}: {check.score}", "measured", columns, tuple(rows))
    return Verdict(word, why, table, _weakness(far))


def _figure(check: Figure, root: Path) -> Verdict:
    """A number of a benchmark's record against its bound; undecided where its interval holds the bound."""
    content = json.loads((root / check.file).read_text(encoding="utf-8"))
    factor = 100.0 if check.unit == "%" else 1.0
    numbers: dict[str, Number] = {}
    if check.exponent:
        seconds = {int(l) + 1: float(value) for l, value in _follow(content, check.path).items()}
        for label, sizes in (("all sizes", sorted(seconds)), ("the three largest", sorted(seconds)[-3:])):
            numbers[label] = Number(power_law(sizes, [seconds[size] for size in sizes]).exponent)
    else:
        low, high = _follow(content, check.interval) if check.interval else (float("nan"), float("nan"))
        numbers["measured"] = Number(float(_follow(content, check.path)), low, high).scaled(factor)
    bound = check.at_most * factor
    worst = max(number.value for number in numbers.values())
    open_end = any(number.low <= bound < number.high for number in numbers.values())
    word: Word = "undecided" if open_end else "held" if worst <= bound else "did not hold"
    columns = (ENTRY, Column("value", "value", check.unit))
    rows = tuple[dict[str, Cell], ...]({"entry": name, "value": number} for name, number in numbers.items())
    unit = f" {check.unit}" if check.unit else ""
    found = ", ".join(format_number(number) for number in numbers.values())
    why = f"{found}{unit}; at most {bound:g}{unit} claimed"
    return Verdict(word, why, Section(f"`{check.file}`", "measured", columns, rows))


def _follow(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content[key]
    return content
