"""``slembench compare``: paired differences of two runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.tables.cells import display_unit, format_value

if TYPE_CHECKING:
    from slembench.results.compare import ScoreDifference, Side


def compare_command(
    a: Annotated[str, typer.Argument(metavar="A", help="Folder of a run; several seeds separated by commas.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other side, likewise.")],
    split: Annotated[str, typer.Option(help="Split of the runs.")] = "test",
    score: Annotated[list[str] | None, typer.Option(help="Score to compare; repeatable. Default: main ones.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every score, in all countings and averages.")] = False,
    out: Annotated[Path | None, typer.Option(help="CSV file to write, with all that is shown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Differences of two runs on the same test structures, with paired 95 % intervals and verdicts.

        slembench compare runs/a runs/b

        slembench compare runs/a-seed0,runs/a-seed1 runs/b-seed0,runs/b-seed1

        slembench compare runs/a runs/b --split test_3x3 --all --out ab.csv

    Groups of structures (molecules, trajectories) are resampled together, 10 000 times, and seeds where a side has
    several runs, separated by commas. An interval that contains zero is a tie; with one seed or fewer than 20 groups a
    difference is not resolved, whatever its interval. A folder may be that of a run, or of one record (a floor, say).
    """
    from slembench.core.files import write_text
    from slembench.results.compare import compare, read_side

    sides = [read_side(text.split(","), split) for text in (a, b)]
    rows = compare(sides[0], sides[1], score)
    if not (score or everything):
        rows = _main(sides[0], rows)
    content = [_content(row) for row in rows]
    if out is not None:
        import pandas as pd  # a second of start-up that a table on the screen need not wait for

        write_text(out, pd.DataFrame(content).to_csv(index=False))
    if as_json:
        typer.echo(json.dumps(content, indent=1))
    else:
        _show(sides, rows)


def _main(side: Side, rows: list[ScoreDifference]) -> list[ScoreDifference]:
    """Rows in the official counting and average, where the data set is known; all in one form otherwise."""
    from slembench.core.errors import DataError
    from slembench.data import load_card
    from slembench.metrics.scores import ScoreName

    # Every score is there in four forms (full or reduced pairs, pooled or per structure): one form is enough to read.
    try:
        official = load_card(side.records[0].dataset).official
        form = (official.counting, official.average)
    except DataError:
        form = ("full", "pooled")
    return [row for row in rows if ScoreName.parse(row.score).is_in_form(*form)]


def _content(row: ScoreDifference) -> dict[str, object]:
    difference = row.paired.difference
    return {
        "score": row.score, "unit": row.unit, "a": row.a, "b": row.b, "difference": difference.value,
        "low": difference.low, "high": difference.high, "groups": row.paired.n_groups, "seeds": row.paired.n_seeds,
        "verdict": row.verdict,
    }  # fmt: skip


def _show(sides: list[Side], rows: list[ScoreDifference]) -> None:
    """A table that fits 80 columns: operators are headings; counting and average stand above where all share them."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from slembench.metrics.scores import ScoreName

    scores = [ScoreName.parse(row.score) for row in rows]
    forms = {f"{name.counting}, {name.average}" for name in scores if name.counting}
    console, first = Console(highlight=False), sides[0].records[0]
    console.print(f"{first.dataset}, split {first.split}" + (f" ({forms.pop()})" if len(forms) == 1 else ""))
    for letter, side in zip("AB", sides):
        console.print(f"{letter} = {side.name} ({len(side.records)} seed{'s' if len(side.records) > 1 else ''})")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("score", overflow="fold", min_width=16)
    for heading in ("A", "B", "A - B", "95 % interval"):
        table.add_column(heading, justify="right")
    table.add_column("verdict", no_wrap=True, min_width=13)  # "not resolved" on two lines reads like "resolved"
    operator = ""
    for row, name in zip(rows, scores):
        if name.operator != operator:
            operator = name.operator
            table.add_row(f"[bold]{operator}[/bold]")
        unit, factor = display_unit(row.unit)
        d = row.paired.difference
        # The form only where rows differ in it: `forms` is empty once its one element stands in the title.
        label = ".".join(filter(None, (name.metric, name.counting, name.average))) if forms else name.metric
        numbers = [format_value(factor * value) for value in (row.a, row.b, d.value)]
        interval = f"{format_value(factor * d.low, 3)} to {format_value(factor * d.high, 3)}"
        table.add_row(label if unit == "1" else f"{label} ({unit})", *numbers, interval, row.verdict)
    console.print(table)
    if rows:
        paired = rows[0].paired
        console.print(f"{paired.n_groups} groups of structures; resolved from 20 groups and 2 seeds a side on.")
