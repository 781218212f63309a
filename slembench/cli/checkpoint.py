"""``slembench import-checkpoint``: models that other programs trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.models.contract import OperatorModel

HELP = """Turn a checkpoint of another program into one of ours, which `slembench predict` loads.

Read are checkpoints of DeePTB (`--from deeptb`): `nnenv.*.pth` of the package dptb, methods slem and lem, with or
without an overlap head. The blocks that the imported model predicts equal dptb's own. A file that holds more than
tensors and plain values is refused unread, an option without a counterpart here by name.

    slembench import-checkpoint nnenv.best.pth --from deeptb --out imported

    slembench predict crystal.cif --checkpoint imported --out crystal.h5

A model may import what its public code wrote, as `--from deeph-e3` (`best_model.pkl`) and `--from qhnet` (`*.pt`) do.
Such files hold weights alone: `--dataset` gives basis, cutoffs and unit, the model's recipe the settings, and
`--set` those that were others in training.

    slembench import-checkpoint best_model.pkl --from deeph-e3 --dataset mos2-mini --set model.n_blocks=4 --out imported
"""

SOURCES = ("deeptb", "deeph-e3", "qhnet")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import-checkpoint", help=HELP)(import_command)


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
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Setting of the recipe; repeatable.")
    ] = None,
) -> None:
    """Import a checkpoint."""
    from slembench.core.files import sha256
    from slembench.models.slem.checkpoint import read_deeptb
    from slembench.operators.units import ENERGY_UNITS
    from slembench.training.checkpoint import Checkpoint, load_model, model_description, save_checkpoint

    if energy_unit not in ENERGY_UNITS:
        raise ConfigError(f"--energy-unit {energy_unit}: unknown unit; known: {', '.join(ENERGY_UNITS)}")
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
        model, origin = read_public(source, file, dataset, change or ())
        name = source
    state = {"step": origin.get("iteration", 0), "imported": {"program": source, "sha256": sha256(file), **origin}}
    written = save_checkpoint(
        out, Checkpoint(state=state, model=model_description(model, name), weights=model.state_dict())
    )
    load_model(written)
    typer.echo(
        f"{model.name}, {model.n_parameters} parameters, {', '.join(model.targets)}; basis "
        f"{' '.join(f'{k}:{v}' for k, v in model.basis.to_dict().items())}",
        err=True,
    )
    typer.echo(written)
