"""The list of claims (``results/claims.yaml``): what was claimed and where, and what here decides about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import DataError

Seeds = Annotated[tuple[str, ...], Field(min_length=1)]
"""Folders of the runs of one model that differ in their seed alone."""

Bound = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Order(StrictModel):
    """Entries that are claimed to become worse from one to the next, on the same test structures.

    Attributes:
        dataset: folder below ``results/runs``.
        split: that is scored.
        score: name as in the records; one of which less is better.
        entries: best first; folders below the data set's, several seeds of one model together.
    """

    kind: Literal["order"]
    dataset: str
    split: str = "test"
    score: str
    entries: tuple[Seeds, ...] = Field(min_length=2)


class Growth(StrictModel):
    """A model whose error is claimed to stay flat when training structures are taken away, and others' to grow.

    Attributes:
        study: folder below ``results/studies`` that holds ``scores.csv`` and ``structures.parquet``.
        dataset: of the study.
        split: that is scored.
        score: name as in the records; one of which less is better.
        model: as the study names it, the one that the claim is about.
        at_most: largest factor by which its error may grow to be called flat.
        others: models whose error is claimed to grow.
        others_at_least: smallest factor by which the error of each of them has to grow.
        fractions: of the training split, the larger and the smaller.
    """

    kind: Literal["growth"]
    study: str
    dataset: str
    split: str = "test"
    score: str
    model: str
    at_most: Bound
    others: tuple[str, ...] = ()
    others_at_least: Bound = 1.0
    fractions: tuple[float, float] = (1.0, 0.2)

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.fractions[0] > self.fractions[1] > 0:
            raise ValueError("fractions: the larger one first, both above 0")
        return self


class Transfer(StrictModel):
    """An entry whose error on other structures is claimed to stay within a factor of that on the test split.

    Attributes:
        dataset: folder below ``results/runs``.
        splits: the test split, and the other one.
        score: name as in the records; one of which less is better.
        entries: folders below the data set's; the first is the one that the claim is about, the others are shown.
        at_most: largest factor.
    """

    kind: Literal["transfer"]
    dataset: str
    splits: tuple[str, str]
    score: str
    entries: tuple[Seeds, ...] = Field(min_length=1)
    at_most: Bound


class Figure(StrictModel):
    """A number in a committed record of a benchmark that is claimed to stay within a bound.

    Attributes:
        file: JSON file, relative to the project's root.
        path: keys that lead to the number, or for an exponent to a mapping of l -> seconds.
        interval: keys that lead to its two ends; empty for none.
        exponent: fit seconds against l + 1, and take the exponent of all sizes and that of the three largest.
        at_most: the bound.
        unit: word behind the number; "%" shows it times 100.
    """

    kind: Literal["figure"]
    file: str
    path: tuple[str, ...] = Field(min_length=1)
    interval: tuple[str, ...] = ()
    exponent: bool = False
    at_most: Bound
    unit: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.exponent and self.interval:
            raise ValueError("interval: an exponent has one of its own")
        return self


Check = Annotated[Order | Growth | Transfer | Figure, Field(discriminator="kind")]


class Published(StrictModel):
    """Which published rows to show, as values of their columns (``results/published``).

    Attributes:
        dataset, split, target, metric, system, source: wanted values; several stand for any of them, empty for all.
    """

    dataset: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    metric: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    source: tuple[str, ...] = ()


class Claim(StrictModel):
    """A claim.

    Attributes:
        id: short word.
        claim: one sentence.
        source: where it was made.
        published: numbers to show beside it; None where the source gives none.
        check: what decides.
        remark: what a reader has to know; the verdict is not written here but found.
    """

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    claim: str
    source: str
    published: Published | None = None
    check: Check
    remark: str = ""


class Claims(StrictModel):
    """All claims, in the order of the page."""

    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError("two claims have the same id")
        return self


def read_claims(path: str | Path) -> Claims:
    """Read the list.

    Args:
        path: YAML file.

    Raises:
        DataError: not readable, or not a list of claims; with file and key.
    """
    return load_yaml(Claims, path, DataError)
