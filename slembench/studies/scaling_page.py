"""The page of a scaling study: measurements, fitted exponents, and what they say about larger sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from matplotlib.figure import Figure

from slembench.core.config import read_yaml
from slembench.core.files import write_text
from slembench.figures.power_laws import Series, plot_power_laws
from slembench.figures.style import save
from slembench.harness.scoring import cpu_name, versions
from slembench.studies.extrapolation import (
    MILLION,
    QH9_ATOMS,
    QH9_STRUCTURES,
    QH9_TRAIN,
    Fit,
    Training,
    fits,
    qh9_trainings,
)
from slembench.studies.scaling import TABLE_FILE, read_measurements
from slembench.tables.cells import Cell, Column, Number, Section, format_value
from slembench.tables.text import to_markdown

MACHINE_FILE = "machine.yaml"
QUANTITIES = {
    "predict_cpu_s": "prediction, CPU s",
    "train_cpu_s": "training step, CPU s",
    "predict_bytes": "prediction, memory",
    "train_bytes": "training step, memory",
}
AXES = {"atoms": "atoms", "cutoff": "cutoff", "lmax": "lmax + 1"}

INTRODUCTION = """# Cost against size

(Written by `slembench study report`; the measurements stand in `{table}`.)

Time and memory of a training step on one structure and of a prediction, for untrained models (the weights do not
change the cost), each in a process of its own. Times are CPU seconds of all threads: those of a training step are the
mean of two steps, those of a prediction (positions to blocks) the smaller of two. Memory is the peak beyond what the
process held before. Measured on {cpu}, {threads} thread, {versions}.

A fit is y = a x^b over all sizes of a series, the costs that every call has included, which makes b smaller than it is
for large sizes. The interval of b comes from resampling the points; there is none where there are only two.
Against lmax every model has 8 channels of every irrep (QHNet 16 of every l) and bases that reach lmax.
"""

BEYOND = """## A million atoms

{data} continued to 1 000 000 atoms of the same density: the largest measured size times (N / its atoms)^b, with the
ends of the interval of b. A b below 1 tells of costs that every call has, and counts as 1, so the numbers are linear in
the atoms and still hold a share of those costs. One structure of that size
fits in no single pass; SLEM and LEM are cut into parts (`slembench predict --parts`), whose halos cost extra:
(1 + 2 h / d)^p for parts of edge d with a halo h in p periodic directions. No such prediction was made here.
"""

QH9 = """## Training on the whole of QH9

QH9-stable has {structures:,} molecules, {train:,} of them in the random training split. Steps and batch are those of
each model's recipe; the cost of a structure is the measured one, carried to a mean molecule of {atoms} atoms by the
fitted exponent. A batch of 32 costs less a structure than 32 steps on one do, so these are upper ends for a CPU. GPU
hours are not given: no GPU was measured.
"""


def write_machine(folder: Path, threads: int) -> None:
    """Note what the measurements of a folder are made with, once, when they begin."""
    path = folder / MACHINE_FILE
    if not path.is_file():
        about = {"hardware": {"cpu": cpu_name(), "threads": threads}, "versions": versions()}
        write_text(path, yaml.safe_dump(about, sort_keys=False))


def write_scaling(folder: Path, out: Path) -> list[Path]:
    """Write the page of what a folder's table holds.

    Args:
        folder: with the measurements.
        out: Markdown file; pictures go to a folder of its name beside it.

    Raises:
        DataError: a table that is not readable.
    """
    table = read_measurements(folder / TABLE_FILE)
    about = read_yaml(folder / MACHINE_FILE)
    words = ", ".join(f"{name} {about['versions'][name]}" for name in ("torch", "e3nn", "python"))
    threads = int(table["threads"].max())
    text = [
        INTRODUCTION.format(
            table=f"{folder.name}/{TABLE_FILE}", cpu=about["hardware"]["cpu"], threads=threads, versions=words
        )
    ]
    paths: list[Path] = []
    for data in dict.fromkeys(table["dataset"].astype(str)):
        own = table[table["dataset"] == data]
        exponents = _exponents(data, own)
        text.append(to_markdown([_measured(data, own), *([exponents] if exponents.rows else [])]))
        if fits(own, "atoms", "predict_cpu_s"):
            stem = out.with_suffix("") / f"{data}-atoms"
            paths += save(_picture(data, own), stem, ("svg",))
            text.append(f"![{data}: cost against atoms]({out.stem}/{stem.name}.svg)\n")
            text += _larger(data, own)
        else:
            text.append("No model was measured at two numbers of atoms: nothing follows about other sizes.\n")
    return [write_text(out, "\n".join(text)), *paths]


def _larger(data: str, table: pd.DataFrame) -> list[str]:
    """What the fits against atoms say about sizes that were not measured."""
    if not data.startswith("qh9"):
        return [BEYOND.format(data=data), _million(table)]
    trainings = qh9_trainings(table)
    head = QH9.format(structures=QH9_STRUCTURES, train=QH9_TRAIN, atoms=QH9_ATOMS)
    return [head, _qh9(trainings)] if trainings else []


def _measured(data: str, table: pd.DataFrame) -> Section:
    columns = [Column("model", "model", align="left", names_row=True), Column("axis", "series", align="left")]
    columns += [Column(name, name) for name in ("atoms", "pairs")]
    columns += [Column("cutoff", "cutoff", "Angstrom"), Column("lmax", "lmax"), Column("parameters", "parameters")]
    columns += [Column("predict_cpu_s", "prediction", "CPU s"), Column("train_cpu_s", "training step", "CPU s")]
    columns += [Column(f"{kind}_bytes", f"{kind} memory", "MB") for kind in ("predict", "train")]
    rows = []
    for row in table.to_dict("records"):
        cells: dict[str, Cell] = {"model": str(row["model"]), "axis": str(row["axis"])}
        for column in columns[2:]:
            scale = 1e-6 if column.unit == "MB" else 1.0
            cells[column.key] = format_value(scale * float(row[column.key]))
        rows.append(cells)
    return Section(f"{data}: measurements", "measured", tuple(columns), tuple(rows))


def _exponents(data: str, table: pd.DataFrame) -> Section:
    columns = [Column("model", "model", align="left", names_row=True), Column("axis", "against", align="left")]
    columns += [Column(name, heading) for name, heading in QUANTITIES.items()]
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for axis, words in AXES.items():
        for quantity in QUANTITIES:
            for fit in fits(table, axis, quantity):
                row = rows.setdefault((fit.model, axis), {"model": fit.model, "axis": words})
                ends = (fit.law.low, fit.law.high) if len(set(fit.sizes)) > 2 else ()
                row[quantity] = Number(fit.law.exponent, *ends)
    return Section(f"{data}: exponents b of y = a x^b [95 %]", "measured", tuple(columns), tuple(rows.values()))


def _picture(data: str, table: pd.DataFrame) -> Figure:
    """Time of a prediction and of a training step against atoms, with the fits."""
    panels = [(QUANTITIES[name], [_series(fit) for fit in fits(table, "atoms", name)]) for name in list(QUANTITIES)[:2]]
    return plot_power_laws([(f"{data}: {title}", series) for title, series in panels], "atoms", "CPU s")


def _series(fit: Fit) -> Series:
    line = (fit.law.factor, fit.law.exponent)
    return Series(fit.model, fit.sizes, fit.values, fit=line)


def _million(table: pd.DataFrame) -> str:
    rows = [
        f"| {fit.model} | {max(fit.sizes):g} | {max(fit.values):.3g} | {_range([v / 3600 for v in fit.at(MILLION)])} |"
        for fit in fits(table, "atoms", "predict_cpu_s")
    ]
    head = (
        "| model | largest measured (atoms) | its prediction (CPU s) | a million atoms (CPU h) |\n|:---|---:|---:|---:|"
    )
    return "\n".join([head, *rows]) + "\n"


def _qh9(trainings: Sequence[Training]) -> str:
    head = "| model | structures seen | epochs | CPU s a structure | CPU h |\n|:---|---:|---:|---:|---:|"
    rows = [
        f"| {t.model} | {t.structures:,} | {t.epochs:.3g} | {t.seconds:.3g} | {_range([t.hours, t.low, t.high])} |"
        for t in trainings
    ]
    return "\n".join([head, *rows]) + "\n"


def _range(values: Sequence[float]) -> str:
    value, *ends = values
    if all(f"{end:.4g}" == f"{value:.4g}" for end in ends):
        return format_value(value)
    return f"{format_value(value)} [{format_value(min(ends))}, {format_value(max(ends))}]"
