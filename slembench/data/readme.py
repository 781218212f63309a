"""README.md of a data set, made from its card and the size of its data file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slembench.data.card import Card
from slembench.data.store import size_report


def dataset_readme(card: Card, data_file: Path) -> str:
    """README.md of a data set as Markdown text.

    Args:
        card: the data set's card.
        data_file: its Parquet file, whose bytes per value are reported.
    """
    sections = [
        f"# {card.title}\n\n{card.description.strip()}",
        "(Generated from `card.yaml`; change the card, not this file.)",
        "```\nslembench data info " + card.name + "\nslembench run --dataset " + card.name + " --model slem\n```",
        *card_tables(card),
        _sizes(data_file),
        "\n".join(f"- {note}" for note in card.notes),
        f"Origin: `{card.origin.recipe}`. Licence: {card.licence}. Please cite: {card.citation.strip()}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def card_tables(card: Card) -> list[str]:
    """The card as Markdown, one section each: contents, level of theory, splits, challenging, noise, checks."""
    return [
        markdown_table("Contents", _contents(card)),
        markdown_table("Level of theory", card.level_of_theory.model_dump(exclude_none=True)),
        markdown_table("Splits", {**card.counts.splits, "rule": card.splits.rule, "seed": card.splits.seed}),
        markdown_table("Challenging", _challenging(card)),
        markdown_table("Numerical noise", card.numerical_noise),
        markdown_table("Checks", card.checks),
    ]


def _contents(card: Card) -> dict[str, Any]:
    return {
        "structures": card.counts.structures,
        "atoms": card.counts.atoms,
        "scored pairs (both directions, on-site included)": card.counts.pairs,
        "values of one operator": card.counts.values,
        "operators": ", ".join(card.operators),
        "shells": card.basis,
        "pair cutoff: mean of the radii, Angstrom": card.cutoffs,
        "energies": f"{card.units.energy}, from {card.energy_zero}",
        "rounding quantum": {name: f"2^{_exponent(quantum)}" for name, quantum in card.rounding.items()},
        "official score": f"{card.official.average}, {card.official.counting}: {', '.join(card.official.metrics)}",
    }


def _challenging(card: Card) -> dict[str, Any]:
    if card.challenging is None:
        return {}
    blocks = {f"block of the {op}": " ".join(block) for op, block in card.challenging.blocks.items()}
    return {"baseline": card.challenging.baseline, "test structures": card.challenging.samples, **blocks}


def _exponent(quantum: float) -> int:
    """K of a quantum 2^k, exactly: the length of the binary number, no logarithm that could be off by one ulp."""
    return len(f"{int(1 / quantum):b}") * -1 + 1 if quantum < 1 else len(f"{int(quantum):b}") - 1


def markdown_table(title: str, rows: Mapping[str, Any]) -> str:
    """Section with a table of two columns; empty where there are no rows."""
    if not rows:
        return ""
    lines = [f"| {key} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    if isinstance(value, (tuple, list)):
        return "x".join(map(str, value)) if all(isinstance(item, int) for item in value) else ", ".join(map(str, value))
    return str(value)


def _sizes(data_file: Path) -> str:
    sizes = size_report(data_file)
    lines = [
        f"| {name} | {count} | {size / 1e6:.3f} | {size / count:.2f} |"
        for name, (size, count) in sorted(sizes.items(), key=lambda item: -item[1][0])
        if size >= 1000
    ]
    total = data_file.stat().st_size / 1e6
    head = [
        "## Size on disk",
        "",
        f"{total:.2f} MB in all.",
        "",
        "| column | values | MB | bytes a value |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *lines])
