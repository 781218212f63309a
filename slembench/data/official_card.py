"""Cards of official data sets, whose data are published elsewhere and never shipped (``card.yaml``, kind "official").

Such a card says what the set is, where it is to be had, what is known of its files, and how it is divided. Where a
fact could not be confirmed the card holds null, and ``unconfirmed`` says so in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from slembench.core.assets import asset_roots, list_assets
from slembench.core.config import StrictModel, parse_config, read_yaml
from slembench.core.errors import DataError
from slembench.data.card import CARD_FILE, LevelOfTheory, Official, Positive, Units
from slembench.data.official_rules import SplitRule
from slembench.operators import Operator
from slembench.operators.orbitals import CONVENTIONS, Basis

FIRST_LINE = "kind: official"
"""First line of such a card; the card of a data set with data has another one."""


class RemoteFile(StrictModel):
    """One published file.

    Attributes:
        name: name under which it is kept.
        address: where it is downloaded; null where no address of the file itself could be confirmed.
        access: "direct" - a program may download it; "browser" - the address is a page with a button or a
            confirmation; "login" - an account is needed; "unknown" - no address could be confirmed.
        bytes: exact size, null where it is not published.
        size: what is known of the size, in words.
        checksum: "md5:..." or "sha256:..." as published; null where none is published or could be confirmed.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
    address: str | None = None
    access: Literal["direct", "browser", "login", "unknown"]
    bytes: int | None = None
    size: str | None = None
    checksum: Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")] | None = None


class Publication(StrictModel):
    """Where a set is published.

    Attributes:
        page: page for people to read.
        format: name of the reader (`slembench.data.formats.FORMATS`).
        file: the file of this set, or the archive.
    """

    page: str
    format: str
    file: RemoteFile


class OfficialCard(StrictModel):
    """Card of an official set; keys of the same name mean what they mean in `slembench.data.card.Card`.

    Attributes:
        basis: chemical symbol -> shells, null where they are taken from the files.
        cutoffs: chemical symbol -> radius in Angstrom, null where they are taken from the reach of the blocks.
        counted_in: what the rows are: "molecules", "geometries" or "structures".
        optional_operators: operators that are not in the files and can be computed ("overlap" of QH9).
        splits: the official division; `published` in it says whether its members are fixed.
        unconfirmed: what could not be confirmed, one sentence each.
    """

    kind: Literal["official"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    description: str
    elements: tuple[str, ...]
    basis: dict[str, str] | None = None
    cutoffs: dict[str, Positive] | None = None
    units: Units
    energy_zero: str
    periodic: bool
    level_of_theory: LevelOfTheory
    convention: str
    counted_in: Literal["molecules", "geometries", "structures"]
    operators: tuple[Operator, ...]
    optional_operators: tuple[Operator, ...] = ()
    publication: Publication
    splits: SplitRule
    official: Official
    licence: str
    citation: str
    redistribution: Literal[False] = False
    unconfirmed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> OfficialCard:
        for key, given in (("basis", self.basis), ("cutoffs", self.cutoffs)):
            if given is not None and set(given) != set(self.elements):
                raise ValueError(f"{key} is given for {', '.join(sorted(given))}, elements are {self.elements}")
        if self.basis is not None:
            Basis.parse(self.basis)
        if self.convention not in CONVENTIONS:
            raise ValueError(f"convention {self.convention!r} is none of {', '.join(CONVENTIONS)}")
        return self


def is_official(folder: Path) -> bool:
    """Whether ``folder`` holds a card of an official set, without reading more than its first line."""
    try:
        with (folder / CARD_FILE).open(encoding="utf-8") as stream:
            return stream.readline().strip() == FIRST_LINE
    except (OSError, UnicodeDecodeError):
        return False


def list_official() -> list[str]:
    """Names of the official sets there are cards of, sorted."""
    return [name for name in list_assets("datasets") if _folder(name) is not None]


def load_official(name: str) -> OfficialCard:
    """Card of an official set by name.

    Raises:
        DataError: no such set, not YAML, or an unknown, missing or wrong key; names file and key.
    """
    folder = _folder(name)
    if folder is None:
        raise DataError(f"no official data set {name!r}; there are: {', '.join(list_official())}")
    return parse_official(read_yaml(folder / CARD_FILE, DataError), folder / CARD_FILE)


def parse_official(content: Any, file: str | Path) -> OfficialCard:
    """Card from what a YAML file holds.

    Raises:
        DataError: every unknown, missing or wrong key, with the file.
    """
    return parse_config(OfficialCard, content, file, DataError)


def _folder(name: str) -> Path | None:
    folders = [root / name for root in asset_roots("datasets")]
    return next((folder for folder in folders if is_official(folder)), None)
