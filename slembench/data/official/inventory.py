"""Every data set there is a card of: what it is, what of it is on this machine, and how to get the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slembench.core.assets import asset_roots
from slembench.data.card import Card, LevelOfTheory
from slembench.data.catalogue import dataset_folder, list_datasets, load_card
from slembench.data.official.fetch import file_place
from slembench.data.official_card import OfficialCard, list_official, load_official

State = Literal["shipped", "imported", "own", "downloaded", "begun", "absent"]


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: its name.
        title: one line.
        kind: "official" - published elsewhere; "shipped" - part of slembench; "own" - in a folder of the user.
        state: what is on this machine: the data set itself ("shipped", "imported", "own"), the published file only
            ("downloaded"), a part of that file ("begun"), or nothing ("absent").
        structures: how many the set has; None where that is not published.
        here: how many of them are on this machine.
        size: in words, of what is here or else of the published file.
        bytes: on this machine.
        level: level of theory, short.
        licence: of the data.
        step: what is to be done next in a word or two: "download", "download, browser", "download, login",
            "import", "import a copy"; empty where nothing is.
        get: the same as a command; empty where nothing is to be done.
        folder: folder of the data set or path of the file on this machine.
    """

    name: str
    title: str
    kind: Literal["official", "shipped", "own"]
    state: State
    structures: int | None
    here: int
    size: str
    bytes: int
    level: str
    licence: str
    step: str
    get: str
    folder: Path | None = None

    @property
    def on_disk(self) -> str:
        """Availability on this machine, in words."""
        if self.state in ("shipped", "own"):
            return self.state if self.state == "shipped" else "yes"
        if self.state == "imported":
            whole = self.structures is None or self.here == self.structures
            return "yes" if whole else f"{self.here:,} of {self.structures:,}"
        return {"downloaded": "file, not imported", "begun": "part of the file", "absent": "no"}[self.state]


def inventory() -> list[Entry]:
    """All data sets, by name.

    Raises:
        DataError: a card that is refused.
    """
    official = {name: load_official(name) for name in list_official()}
    ready = {name: load_card(name) for name in list_datasets()}
    entries = [_ready(name, card, official.get(name)) for name, card in ready.items()]
    entries += [_remote(card) for name, card in official.items() if name not in ready]
    return sorted(entries, key=lambda entry: entry.name)


def short_level(theory: LevelOfTheory, basis: str = "") -> str:
    """Level of theory in a few words, such as "PBE/def2-SVP, ORCA"."""
    functional, code = _head(theory.functional), _head(theory.code)
    orbitals = basis or (theory.basis if len(theory.basis) <= 12 else "")
    unknown = "not confirmed"
    if functional == unknown:
        return unknown
    return f"{functional}{'/' + orbitals if orbitals else ''}, {code}"


def readable_size(count: float) -> str:
    """Bytes in words, such as "5.7 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _ready(name: str, card: Card, official: OfficialCard | None) -> Entry:
    folder = dataset_folder(name)
    size = sum((folder / file).stat().st_size for file in card.origin.files if (folder / file).is_file())
    shipped = folder.parent == asset_roots("datasets")[0]
    total = card.counts.structures if official is None else official.splits.structures
    part = official is not None and total is not None and card.counts.structures < total
    return Entry(
        name=name,
        title=card.title,
        kind="official" if official else "shipped" if shipped else "own",
        state="imported" if official else "shipped" if shipped else "own",
        structures=total,
        here=card.counts.structures,
        size=readable_size(size),
        bytes=size,
        level=short_level(card.level_of_theory),
        licence=card.licence,
        step="import a copy" if part else "",
        get=f"a larger copy: slembench data get {name} --from PATH" if part else "",
        folder=folder,
    )


def _remote(card: OfficialCard) -> Entry:
    place, file = file_place(card), card.publication.file
    begun = place.with_name(f".{place.name}.part")
    state: State = "downloaded" if place.is_file() else "begun" if begun.is_file() else "absent"
    present = {"downloaded": place, "begun": begun}.get(state)
    size = present.stat().st_size if present else 0
    published = readable_size(file.bytes) if file.bytes else (file.size or "?").split(" (")[0]
    step, get = _steps(card, state)
    return Entry(
        name=card.name,
        title=card.title,
        kind="official",
        state=state,
        structures=card.splits.structures,
        here=0,
        size=published,
        bytes=size,
        level=short_level(card.level_of_theory),
        licence=card.licence,
        step=step,
        get=get,
        folder=present,
    )


def _steps(card: OfficialCard, state: State) -> tuple[str, str]:
    access = card.publication.file.access
    if state == "downloaded":
        return "import", f"slembench data get {card.name}"
    if access == "direct":
        return "download", f"slembench data get {card.name}"
    if access == "unknown":
        return "import a copy", f"no address known; slembench data get {card.name} --from PATH"
    return f"download, {access}", f"by {access}: slembench data get {card.name} tells how"


def _head(text: str) -> str:
    """The beginning of a text, up to the first aside."""
    return re.split(r" as in | with | \(|[,;]", text)[0].strip()
