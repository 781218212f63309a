"""Page of an official data set in Markdown: what it is, where it is published, and what one must do to have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slembench.data.official import OfficialCard, RemoteFile
from slembench.data.readme import markdown_table
from slembench.pages.dataset_page import GENERATED, loading_code, shown_picture
from slembench.pages.picture import Picture

ACCESS = {
    "direct": "`slembench data fetch` downloads it",
    "browser": "the page has a button or a confirmation: download it with a browser",
    "login": "an account is needed: download it with a browser",
    "unknown": "no address could be confirmed",
}
"""Way to a file -> what one must do."""


def official_page(card: OfficialCard, pictures: Sequence[Picture] = ()) -> str:
    """Markdown text of the page.

    Args:
        card: of the official set.
        pictures: of what was imported under its name; none where nothing was.
    """
    sections = [
        f"# {card.title}",
        card.description.strip(),
        GENERATED,
        _getting(card, at_hand=bool(pictures)),
        loading_code(card.name),
        *(shown_picture(card.name, picture) for picture in pictures),
        markdown_table("Contents", _contents(card)),
        markdown_table("Level of theory", card.level_of_theory.model_dump(exclude_none=True)),
        markdown_table("Splits", _splits(card)),
        _list("What could not be confirmed", card.unconfirmed),
        _list("Known faults and notes", card.notes),
        f"## Licence and citation\n\nLicence: {card.licence}. Please cite: {card.citation.strip()}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _getting(card: OfficialCard, at_hand: bool) -> str:
    lines = [
        "## How to get it",
        "",
        f"The data are not shipped with slembench; they are published at <{card.publication.page}>.",
        "",
        "| file | address | size | checksum | how |",
        "|---|---|---|---|---|",
        _row(card.publication.file),
        "",
        f"    slembench data fetch {card.name}",
        "",
        "downloads what a program may download and says what to do about the rest. Then, also for a file that "
        "you have, or for a part of it:",
        "",
        f"    slembench data import PATH --dataset {card.name}",
    ]
    if not at_hand:
        lines += ["", f"Then `slembench data page {card.name}` also draws the pictures that this page lacks."]
    return "\n".join(lines)


def _row(file: RemoteFile) -> str:
    size = f"{file.bytes:,} bytes" if file.bytes is not None else file.size or "not known"
    address = f"<{file.address}>" if file.address else "-"
    return f"| {file.name} | {address} | {size} | {file.checksum or 'none published'} | {ACCESS[file.access]} |"


def _contents(card: OfficialCard) -> dict[str, Any]:
    rows: dict[str, Any] = {
        f"{card.counted_in} in the complete set": card.splits.structures or "not known",
        "elements": ", ".join(card.elements),
        "operators": ", ".join(card.operators),
        "operators that can be added": ", ".join(card.optional_operators),
        "shells": card.basis or "taken from the files",
        "pair cutoff: mean of the radii, Angstrom": card.cutoffs or "taken from the reach of the blocks",
        "energies": f"{card.units.energy}, from {card.energy_zero}",
        "orbital convention of the source": f"`{card.convention}`",
        "format": f"`{card.publication.format}`",
        "official score": f"{card.official.average}, {card.official.counting}: {', '.join(card.official.metrics)}",
    }
    return {key: value for key, value in rows.items() if value}


def _splits(card: OfficialCard) -> dict[str, Any]:
    rule = card.splits
    return {
        **rule.counts,
        "rule": rule.statement,
        "members fixed by what is published": "yes" if rule.published else "no",
    }


def _list(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"- {item}" for item in items)]) if items else ""
