"""``slembench exponents``: power laws over finished runs, or over a table of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

HELP = """Fit power laws with 95 % intervals: error against training data, or time and memory against atoms.

Of runs that differ in nothing but seed and training set, the score is fitted as a N^b over N training structures; test
structures (by group) and seeds are resampled 10 000 times, the same structures for all training sets.

    slembench exponents runs/data-efficiency

    slembench exponents runs/a-100 runs/a-40 runs/a-20 --score hamiltonian.band_mae_occ --out exponents.csv

Of a table (CSV) every column `--y` is fitted against the column `--x`, for every value of `--by` apart; the interval
comes from resampling the rows.

    slembench exponents --table sizes.csv --x atoms --y seconds --y mib --by system
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("exponents", help=HELP)(exponents_command)


def exponents_command(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, searched with their subfolders.")] = None,
    score: Annotated[str | None, typer.Option(help="Score to fit. Default: mae_all of the first operator.")] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file of measurements, in the place of runs.")] = None,
    x: Annotated[str, typer.Option(help="Column of sizes.")] = "atoms",
    y: Annotated[list[str] | None, typer.Option(help="Column to fit; repeatable. Default: seconds.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Column that names what is fitted apart; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write.")] = None,
) -> None:
    """Fit power laws."""
    import pandas as pd

    from slembench.core.files import write_text
    from slembench.results.exponents import data_exponents, power_laws

    if bool(runs) == (table is not None):
        raise ConfigError("give folders of runs, or --table FILE")
    if table is not None:
        try:
            found = power_laws(pd.read_csv(table), x, y or ["seconds"], by or ())
        except (OSError, ValueError) as error:
            raise DataError(f"{table}: not readable as CSV: {error}") from error
    else:
        fits = data_exponents(runs or (), score)
        if not fits:
            raise DataError("no two of these runs differ in nothing but seed and number of training structures")
        found = pd.DataFrame([fit.content() for fit in fits])
    _show(found)
    if out is not None:
        typer.echo(f"wrote {write_text(out, found.to_csv(index=False))}")


def _show(found: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = [name for name in found if name not in ("factor", "exponent", "low", "high")]
    shown = Table(*heads, "exponent", "95 % interval")
    for row in found.to_dict("records"):
        numbers = f"{row['exponent']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}"
        shown.add_row(*(str(row[name]) for name in heads), *numbers)
    Console().print(shown)
