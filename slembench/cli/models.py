"""``slembench models``: the models there are, and checkpoints of other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.cli.options import AsJson, Change, refuse_options
from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.models.contract import OperatorModel
    from slembench.models.facts import ModelEntry

SOURCES = ("deeptb", "deeph-e3", "qhnet")
"""Programs whose checkpoints are imported, as the help names them."""


def list_command(
    context: typer.Context,
    model: Annotated[
        list[str] | None, typer.Option(help="Model or folder to show; repeatable. Default: all that are known by name.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Build every model and measure it now; takes seconds each.")
    ] = False,
    dataset: Annotated[str, typer.Option(help="With --measure: data set that gives basis and cutoffs.")] = "mos2-mini",
    variant: Annotated[str, typer.Option(help="With --measure: variant of the recipes, such as quickstart.")] = "",
    as_json: AsJson = False,
) -> None:
    r"""List every model: parameters, receptive field, inputs, and its symmetry, declared and measured.

    Parameters and receptive field follow from the recipe and from the basis and cutoffs of a data set. Rotation and
    inversion errors are the largest change of a matrix element when a small cluster is rotated or inverted and its
    blocks are transformed back, relative to the mean element, in float64 with random weights. Exact symmetries show
    about 1e-14; what is not built in shows the error of an untrained model.

        slembench models list

        slembench models list --model path/to/my-model --measure

        slembench models list --measure --dataset qh9-mini --variant quickstart \
            --model qhnet

    Without `--measure` the figures are those that are stored in the model's expected.yaml, and nothing is computed.
    """
    from slembench.models.facts import list_models, read_entry
    from slembench.models.registry import model_folder, model_names

    if not measure:
        refuse_options(context, ["dataset", "variant"], "needs --measure: stored figures are of one data set")
    for name in model or ():
        # What has no folder has no stored figures: a class, an entry point, or a slip of the pen.
        if not measure and model_folder(name) is None and name not in model_names():
            raise ConfigError(
                f"no model {name!r}: not one of {', '.join(model_names())}, and no folder with a model.py"
            )
    entries = [read_entry(name) for name in model] if model else list_models()
    if measure:
        # Builds the models, so torch is loaded; the plain list reads files only.
        from slembench.suite.facts import measure_facts

        entries = [entry._replace(facts=measure_facts(entry.name, dataset, variant)) for entry in entries]
    if as_json:
        typer.echo(json.dumps([_content(entry) for entry in entries], indent=1))
    else:
        _show(entries)


def _content(entry: ModelEntry) -> dict[str, object]:
    facts = entry.facts.model_dump(mode="json") if entry.facts else None
    return {"model": entry.name, "description": entry.description, "facts": facts}


def _show(entries: list[ModelEntry]) -> None:
    """A table that fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("model", "group", "rotation", "inversion", "parameters", "reads (A)", "inputs"):
        number = column in ("rotation", "inversion", "parameters", "reads (A)")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for entry in entries:
        facts = entry.facts
        name = Path(entry.name).name  # of a folder; the path itself would not leave room for the figures
        if facts is None:
            table.add_row(name, *["-"] * 6)
            continue
        field = facts.receptive_field
        # An on-site block and a pair block may depend on atoms within different distances.
        reads = " / ".join("all" if r is None else f"{r:.1f}" for r in (field.onsite, field.pair))
        # One digit: only the order of magnitude tells rounding from a broken symmetry.
        errors = [f"{error:.0e}" for error in (facts.rotation_error, facts.inversion_error)]
        inputs = ", ".join(["structure", *facts.inputs])
        table.add_row(name, facts.symmetry, *errors, f"{facts.parameters:,}", reads, inputs)
    console = Console()
    console.print(table)
    unknown = [entry.name for entry in entries if entry.facts is None]
    if unknown:
        console.print(f"Not measured (--measure does it): {', '.join(unknown)}", highlight=False, soft_wrap=True)
    measured = sorted({entry.facts.dataset for entry in entries if entry.facts})
    if measured:
        console.print(
            f"Basis and cutoffs of {', '.join(measured)}. rotation, inversion: relative errors; reads: receptive field "
            "of on-site / pair blocks, Angstrom.",
            highlight=False,
        )


def import_command(
    file: Annotated[Path, typer.Argument(help="Checkpoint of the other program.")],
    source: Annotated[
        str, typer.Option("--from", help=f"Program that wrote it: {', '.join(SOURCES)}, or a model that imports.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist, or be empty.")],
    energy_unit: Annotated[
        str, typer.Option(help="Unit of the Hamiltonians it was trained on, which DeePTB does not record.")
    ] = "eV",
    dataset: Annotated[
        str | None, typer.Option(help="Data set whose basis, cutoffs and unit a file of weights alone belongs to.")
    ] = None,
    change: Change = None,
) -> None:
    r"""Turn a checkpoint of another program into one of ours, which `slembench predict` loads.

    Read are checkpoints of DeePTB (`--from deeptb`): `nnenv.*.pth` of the package dptb, methods slem and lem, with or
    without an overlap head. The blocks that the imported model predicts equal dptb's own. A file that holds more than
    tensors and plain values is refused unread, an option without a counterpart here by name.

        slembench models import nnenv.best.pth --from deeptb --out imported

        slembench predict crystal.cif --checkpoint imported --out crystal.h5

    A model may import what its public code wrote, as `--from deeph-e3` (`best_model.pkl`) and `--from qhnet` (`*.pt`)
    do. Such files hold weights alone: `--dataset` gives basis, cutoffs and unit, the model's recipe the settings, and
    `--set` those that were others in training.

        slembench models import best_model.pkl --from deeph-e3 --dataset mos2-mini \
            --set model.n_blocks=4 --out imported
    """
    from slembench.core.files import sha256
    from slembench.models.slem.checkpoint import read_deeptb
    from slembench.operators.units import ENERGY_UNITS
    from slembench.training.checkpoint import Checkpoint, load_model, model_description, save_checkpoint

    if energy_unit not in ENERGY_UNITS:
        raise ConfigError(f"--energy-unit {energy_unit}: unknown unit; known: {', '.join(ENERGY_UNITS)}")
    # Never over a checkpoint that is there: the weights of another import would be gone.
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise ConfigError(f"{out}: exists already; remove it first, or write somewhere else")
    model: OperatorModel
    if source == "deeptb":
        model, origin = read_deeptb(file, energy_unit)
        name = model.name
    else:
        from slembench.harness.public_weights import read_public

        if dataset is None:
            raise ConfigError(f"--from {source}: such a file holds weights alone; give --dataset NAME as well")
        # The model's own importer (`from_public`) knows the names of its tensors.
        model, origin = read_public(source, file, dataset, change or ())
        name = source
    state = {"step": origin.get("iteration", 0), "imported": {"program": source, "sha256": sha256(file), **origin}}
    written = save_checkpoint(
        out, Checkpoint(state=state, model=model_description(model, name), weights=model.state_dict())
    )
    load_model(written)  # what was written is read back: an import that does not load must not look finished
    typer.echo(
        f"{model.name}, {model.n_parameters} parameters, {', '.join(model.targets)}; basis "
        f"{' '.join(f'{k}:{v}' for k, v in model.basis.to_dict().items())}",
        err=True,
    )
    typer.echo(written)
