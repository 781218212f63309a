"""The table that commands print of records on one split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from slembench.data.card import Card
    from slembench.results.record import RunRecord


def score_table(card: Card, split: str, records: Mapping[str, RunRecord]) -> Table:
    """Official scores of records beside each other.

    Args:
        card: of the data set.
        split: all records are of it.
        records: heading -> record, at least one; a score that a record lacks is a dash.
    """
    from slembench.evaluation import official_scores

    table = Table(title=f"{card.name}, split {split}", title_justify="left")
    table.add_column("score", overflow="fold")  # names differ at their ends
    for heading in records:
        table.add_column(heading, overflow="fold")
    names = {score: None for record in records.values() for score in record.scores}
    for score in official_scores(card, list(names)):
        values = [record.scores.get(score) for record in records.values()]
        table.add_row(score, *(f"{v.value:.4g} {v.unit}" if v else "-" for v in values))
    return table
