"""``slembench scf``: one-shot energies and self-consistent runs from the predictions of several runs, in one table."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.core.errors import ConfigError
from slembench.core.progress import bar

if TYPE_CHECKING:
    import pandas as pd

    from slembench.predictions import Predictions

HELP = """One-shot DFT energies and self-consistent runs (PySCF) of molecules, from predicted H or D, in one table.

Every held-out molecule is computed from the card's initial guess (minao) and from each prediction, at the protocol on
the card. An H gives its density by its occupied orbitals, a D is taken as it is. Reported are the error of the energy
of a single evaluation at that density, and the iterations to self-consistency beside those from the guess. Finished
calculations are kept in the user's cache folder, so a stopped command goes on.

    slembench scf runs/lem-h runs/lem-d --dataset qh9-mini --out scf-qh9-mini

    slembench scf mine.h5 --dataset qh9-mini --structures 3

writes OUT.csv, a row for each molecule, model and operator, and OUT.md, the table that is printed.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("scf", help=HELP)(scf_command)


def scf_command(
    sources: Annotated[list[Path], typer.Argument(help="Folders of runs, or predictions files (HDF5).")],
    dataset: Annotated[str, typer.Option(help="Data set of molecules: a name or a folder.")],
    split: Annotated[str, typer.Option(help="Split of held-out molecules.")] = "test",
    structures: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many molecules of the split.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Path of the files to write, without .csv and .md.")] = None,
) -> None:
    """Self-consistent runs from predictions."""
    from slembench.core.files import write_text
    from slembench.data import load_dataset
    from slembench.evaluation import level_cache
    from slembench.evaluation.scf import scf_summary, scf_table

    data = load_dataset(dataset)
    ids = data.split(split)[:structures]
    with ExitStack() as stack:
        opened = [stack.enter_context(_predictions(source, split)) for source in sources]
        names = [f"{reader.attrs.model} ({source.name})" for reader, source in zip(opened, sources)]
        progress = bar(ids, "self-consistent runs")
        table = scf_table(data, dict(zip(names, opened)), progress, level_cache() / "scf")
    text = _markdown(scf_summary(table), data.card.units.energy)
    typer.echo(text)
    if out is not None:
        for path, content in ((f"{out}.csv", table.to_csv(index=False)), (f"{out}.md", text + "\n")):
            typer.echo(f"wrote {write_text(Path(path), content)}")


def _predictions(source: Path, split: str) -> Predictions:
    from slembench.predictions import read_predictions
    from slembench.predictions.format import PREDICTIONS_FILE

    file = source / split / PREDICTIONS_FILE if source.is_dir() else source
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; give the folder of a finished run, or a predictions file")
    return read_predictions(file)


def _markdown(summary: pd.DataFrame, unit: str) -> str:
    """Summary as a Markdown table; energies in thousandths of the unit of the data."""
    heads = (
        "from", "molecules", f"energy error, m{unit}", f"that of the guess, m{unit}", "iterations", "from the guess",
        "ratio", "lowest - highest ratio", "optimal ratio", "error level",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in summary.to_dict("records"):
        cells = (
            f"{row['model']}, {row['operator']}", f"{row['converged']} of {row['molecules']} converged",
            f"{1e3 * row['energy_error']:.3f}", f"{1e3 * row['energy_error_guess']:.1f}",
            f"{row['scf_iterations']:.2f}", f"{row['scf_iterations_guess']:.2f}", f"{row['scf_ratio']:.3f}",
            f"{row['lowest_ratio']:.3f} - {row['highest_ratio']:.3f}", f"{row['scf_ratio_optimal']:.3f}",
            f"{row['scf_error_level']:.3f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
