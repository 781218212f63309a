"""``slembench submit``, ``slembench predictions template`` and ``slembench predictions schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from slembench.core.errors import ConfigError
from slembench.core.progress import bar

SUBMIT_HELP = """Make a submission folder from a run, or from a predictions file that any program wrote.

The folder holds submission.yaml, the per-structure table and the predictions; `slembench verify` checks it, here and at
the other end alike.

    slembench submit runs/mos2-mini/mine --code-licence MIT --weights-licence CC-BY-4.0

    slembench submit mine.h5 --trained-on "train split" --budget "1 GPU hour" --code-licence MIT --weights-licence none

Predictions too large to hand in may lie elsewhere: `--address https://...` notes address and sha256 instead.
"""

TEMPLATE_HELP = """Write a predictions file (HDF5) with ids and shapes, to be filled in with h5py and NumPy alone.

    slembench predictions template mos2-mini --out mine.h5 --structures mine.extxyz

    slembench predictions template mos2-mini --split train --filled --out train.h5 --structures train.extxyz

Values (`operators/<operator>/values`: row-major blocks in the order of `pair_index` and `pair_shift`) are NaN until
they are filled in; a NaN left over is refused. Put the name of the model into the attribute `model`. A structure that
is not predicted is left out of all arrays; it counts as zero. `--filled` writes the reference of the training or
validation structures in the same layout. docs/submitting.md leads from here to the board.
"""

SCHEMA_HELP = """Print the JSON schema of submission.yaml.

    slembench predictions schema > submission.schema.json
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("submit", help=SUBMIT_HELP)(submit_command)
    group = typer.Typer(help="Predictions files for models that run elsewhere.", no_args_is_help=True)
    group.command("template", help=TEMPLATE_HELP)(template_command)
    group.command("schema", help=SCHEMA_HELP)(schema_command)
    app.add_typer(group, name="predictions")


def submit_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a predictions file (.h5).")],
    code_licence: Annotated[str, typer.Option(help="Licence of the code (SPDX), or none.")],
    weights_licence: Annotated[str, typer.Option(help="Licence of the weights (SPDX), or none.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write (default: submission-NAME).")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the entry (default: of the run or model).")] = None,
    split: Annotated[str, typer.Option(help="Split of the run.")] = "test",
    dataset: Annotated[Path | None, typer.Option(help="Folder of the data set, if not found by its name.")] = None,
    code: Annotated[str | None, typer.Option(help="Address (https) of the code.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="Training data (predictions file only).")] = None,
    budget: Annotated[str | None, typer.Option(help="Training budget (predictions file only).")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help="S or H0, if the model is given it.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed of the training; may be repeated.")] = None,
    reference: Annotated[list[str] | None, typer.Option(help="Paper or address; may be repeated.")] = None,
    address: Annotated[str, typer.Option(help="Address (https) of the predictions instead of a copy.")] = "",
    bands: Annotated[bool, typer.Option(help="Compute energy levels (predictions file only).")] = True,
) -> None:
    """Make a submission folder."""
    from slembench.submission.submit import submit_predictions, submit_run

    fields: dict[str, Any] = {"name": name, "code": code, "inputs": given, "seeds": seed, "references": reference}
    if trained_on or budget:
        fields["training"] = {"data": trained_on, "budget": budget}
    statement = {key: value for key, value in fields.items() if value is not None}
    statement |= {"code_licence": code_licence, "weights_licence": weights_licence}
    folder = out or Path(f"submission-{name or run.stem}")
    if not run.exists():
        raise ConfigError(f"{run}: no such run and no such predictions file")
    if folder.exists():
        raise ConfigError(f"{folder}: exists already; remove it, or choose another --out")
    if run.is_file():
        if not trained_on or not budget:
            raise ConfigError(
                "a predictions file does not say how its model was trained: give --trained-on and --budget"
            )
        submit_predictions(run, folder, statement, dataset=dataset, address=address, bands=bands)
    else:
        submit_run(run, folder, statement, split=split, address=address)
    typer.echo(f"wrote {folder}; check it with: slembench verify {folder}")


def template_command(
    dataset: Annotated[str, typer.Argument(help="Data set: a name from `slembench data list`, or a folder.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("predictions.h5"),
    split: Annotated[str, typer.Option(help="Split to predict.")] = "test",
    operator: Annotated[
        list[str] | None, typer.Option(help="hamiltonian, overlap or density; may be repeated. Default: all there are.")
    ] = None,
    structures: Annotated[Path | None, typer.Option(help="Write the structures too (extended XYZ).")] = None,
    filled: Annotated[bool, typer.Option("--filled", help="With the reference values (train and val only).")] = False,
) -> None:
    """Write an empty predictions file, or the reference in its layout."""
    import ase.io

    from slembench.core.files import atomic_file
    from slembench.data import load_dataset
    from slembench.predictions.writer import write_template

    data = load_dataset(dataset)
    lacking = [op for op in operator or () if op not in data.card.operators]
    if lacking:
        raise ConfigError(f"--operator {lacking[0]}: data set {data.name} has {', '.join(data.card.operators)}")
    if filled and split not in ("train", "val"):
        raise ConfigError(f"--filled --split {split}: only train and val are for learning; give --split train")
    ids = data.split(split)
    samples = (data.sample(name) for name in bar(ids, "template"))
    write_template(
        out,
        ((sample.id, sample.atoms.numbers, sample.operators) for sample in samples),
        operator or data.card.operators,
        dataset=data.name,
        dataset_fingerprint=data.fingerprint,
        split=split,
        basis=data.basis,
        energy_unit=data.card.units.energy,
        filled=filled,
    )
    typer.echo(f"wrote {out}: {len(ids)} structures, " + ("with the reference" if filled else "values to be filled in"))
    if structures is not None:
        frames = []
        for sample in data.iterate(ids):
            frame = sample.atoms.copy()
            frame.info["id"] = sample.id
            frames.append(frame)
        with atomic_file(structures) as temporary:
            ase.io.write(temporary, frames, format="extxyz")
        typer.echo(f"wrote {structures}")


def schema_command() -> None:
    """Print the JSON schema of submission.yaml."""
    from slembench.submission.submission import submission_schema

    typer.echo(json.dumps(submission_schema(), indent=1))
