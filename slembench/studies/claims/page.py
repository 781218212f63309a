"""The page of claims (``docs/reproduction.md``): a summary, then each claim with published and measured numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from slembench.core.errors import DataError
from slembench.core.files import write_text
from slembench.results.published import load_published
from slembench.studies.claims.checks import Verdict, evaluate_claim
from slembench.studies.claims.claims import Claim, Published, read_claims
from slembench.tables.cells import Cell, Column, Number, Section
from slembench.tables.text import markdown_table

CLAIMS = Path("results") / "claims.yaml"

HEAD = """# Claims, and what was measured here

(Written by `slembench dev claims` from `results/claims.yaml`, the committed runs and studies, and the records of
`benchmarks/`. The verdicts are found, not written.)

The data here are small sets made for this project, and training is short: minutes on one core where the papers train
for GPU days. An order of models under such a budget says which of them learns faster from little; it can differ from
the order at convergence. Published numbers are of other data and never comparable in size with ours.

**held**: every interval (95 %, over test structures and, where there are several, seeds; of an exponent, over its
points) lies on the claimed side. **did not hold**: one lies on the other side. **undecided**: one holds both. A verdict
from a single seed, from fewer than 20 groups of test structures or from different budgets is called not resolved: its
interval does not contain the luck of the training.
"""


def evaluate_claims(root: Path) -> list[tuple[Claim, Verdict]]:
    """All claims of the project with their verdicts, in order.

    Args:
        root: the project's root.

    Raises:
        DataError: a list or evidence that is not readable.
    """
    return [(claim, evaluate_claim(claim, root)) for claim in read_claims(root / CLAIMS).claims]


def write_page(judged: Sequence[tuple[Claim, Verdict]], root: Path, out: Path) -> Path:
    """Write the page; returns its path.

    Args:
        judged: from `evaluate_claims`.
        root: the project's root.
        out: Markdown file.

    Raises:
        DataError: published rows that are not readable.
    """
    published = load_published(root / "results" / "published")
    parts = [HEAD, markdown_table(_summary(judged)), *(_part(n, *pair, published) for n, pair in enumerate(judged, 1))]
    return write_text(out, "\n\n".join(part.strip() for part in parts) + "\n")


def _summary(judged: Sequence[tuple[Claim, Verdict]]) -> Section:
    columns = (
        Column("number", "", align="left"),
        Column("claim", "claim", align="left"),
        Column("verdict", "here", align="left"),
        Column("why", "by", align="left"),
    )
    rows = tuple[dict[str, Cell], ...](
        {"number": str(n), "claim": claim.claim, "verdict": verdict.text, "why": verdict.reason}
        for n, (claim, verdict) in enumerate(judged, 1)
    )
    return Section("claims", "measured", columns, rows)


def _part(number: int, claim: Claim, verdict: Verdict, published: pd.DataFrame) -> str:
    """One claim, its source, the published numbers, what was measured, the verdict."""
    lines = [f"## {number}. {claim.claim}", f"Source: {claim.source}."]
    if claim.published is not None:
        lines.append(markdown_table(_published(claim.published, published)))
    lines += [f"Measured ({verdict.table.title}):", markdown_table(verdict.table)]
    lines.append(f"**{verdict.text}**: {verdict.reason}.")
    if claim.remark:
        lines.append(claim.remark.strip())
    return "\n\n".join(lines)


def _published(wanted: Published, table: pd.DataFrame) -> Section:
    for column, values in wanted.model_dump().items():
        if values:
            table = table[table[column].isin(values)]
    if table.empty:
        raise DataError(f"{CLAIMS}: no published row is {wanted.model_dump(exclude_defaults=True)}")
    columns = tuple(
        Column(name, name, align="left") for name in ("system", "params", "dataset", "split", "target", "metric")
    )
    rows = tuple[dict[str, Cell], ...](
        {
            **{column.key: str(row[column.key]) or "-" for column in columns},
            "value": Number(row["value"]) if row["value"] == row["value"] else row["raw"],
            "unit": row["unit"],
        }
        for row in table.to_dict("records")
    )
    return Section(
        "published", "published", (*columns, Column("value", "published"), Column("unit", "unit", align="left")), rows
    )
