"""``slembench models``: every model there is, with what it declares and what is measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import ase

    from slembench.operators.orbitals import Basis

HELP = """List every model: parameters, receptive field, inputs, and its symmetry, declared and measured.

Parameters and receptive field follow from the recipe and from the basis and cutoffs of a data set. Rotation and
inversion errors are the largest change of a block element when a structure is rotated or inverted and its blocks are
turned back, relative to the mean element: measured in float64 with random weights on a small cluster of the data set's
elements. Exact symmetries show about 1e-14; what is not built in shows the error of an untrained model.

    slembench models

    slembench models --dataset qh9-mini --variant quickstart --model qhnet --model path/to/my-model
"""


@dataclass(frozen=True)
class ModelFacts:
    """What the table shows of a model; lengths in Angstrom, null for everything."""

    model: str
    symmetry: str
    inputs: list[str]
    parameters: int
    onsite_reads: float | None
    pair_reads: float | None
    rotation_error: float
    inversion_error: float


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("models", help=HELP)(models_command)


def models_command(
    dataset: Annotated[str, typer.Option(help="Data set that gives basis and cutoffs.")] = "mos2-mini",
    model: Annotated[list[str] | None, typer.Option(help="Model to show; repeatable. Default: all known ones.")] = None,
    variant: Annotated[str, typer.Option(help="Variant of the recipes, such as quickstart.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, one object a model.")] = False,
) -> None:
    """Print all models as a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from slembench.data import load_dataset
    from slembench.models.registry import model_names

    data = load_dataset(dataset)
    facts = [model_facts(name, variant, data.basis, data.cutoffs) for name in model or model_names()]
    if as_json:
        typer.echo(json.dumps([asdict(f) for f in facts], indent=1))
        return
    title = f"basis and cutoffs of {data.name}; reads: distance around the atom / the pair, Angstrom"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("model", "group", "rotation", "inversion", "parameters", "reads", "inputs"):
        number = column in ("rotation", "inversion", "parameters", "reads")
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for f in facts:
        reads = " / ".join("all" if r is None else f"{r:.1f}" for r in (f.onsite_reads, f.pair_reads))
        errors = [f"{e:.0e}" for e in (f.rotation_error, f.inversion_error)]
        table.add_row(f.model, f.symmetry, *errors, f"{f.parameters:,}", reads, ", ".join(["structure", *f.inputs]))
    Console().print(table)


def model_facts(name: str, variant: str, basis: Basis, cutoffs: dict[int, float]) -> ModelFacts:
    """Facts of one model, built from its recipe.

    Args:
        name: as ``--model`` names one.
        variant: of its recipe.
        basis: shells per element.
        cutoffs: atomic number -> cutoff radius | Angstrom.
    """
    import math

    import numpy as np

    from slembench.harness.recipe import load_settings
    from slembench.operators.rotations import random_rotation
    from slembench.suite.checks import equivariance_error, generic_model

    settings = load_settings(name, variant=variant, changes=["training.max_steps=1"])
    model = generic_model(settings.kind, settings.model, basis, cutoffs, settings.targets or ("hamiltonian",))
    atoms = _cluster(basis)
    rotation, inversion = (
        max(equivariance_error(model, atoms, matrix).values()) for matrix in (random_rotation(0), -np.eye(3))
    )
    field = model.receptive_field
    onsite, pair = (r if math.isfinite(r) else None for r in (field.onsite, field.pair))
    return ModelFacts(name, model.symmetry, list(model.inputs), model.n_parameters, onsite, pair, rotation, inversion)


def _cluster(basis: Basis) -> ase.Atoms:
    """Five or more atoms without any symmetry, each element at least once, neighbours about 2 Angstrom apart."""
    import ase
    import numpy as np

    numbers = list(basis.elements) * max(1, -(-5 // len(basis.elements)))
    steps = np.random.default_rng(0).normal(loc=[1.5, 0, 0], size=(len(numbers), 3))
    steps *= 2.0 / np.linalg.norm(steps, axis=1, keepdims=True)
    return ase.Atoms(numbers, np.cumsum(steps, axis=0))
