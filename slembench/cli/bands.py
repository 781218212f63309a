"""``slembench bands``: predicted bands and density of states along a k path, over the reference where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.inference.bands import Spectrum
    from slembench.metrics.kpath import KPath
    from slembench.operators.blocks import BlockMatrix

HELP = """Bands along the recommended k path of a structure (seekpath), and its density of states, drawn and as arrays.

A structure of a data set, drawn over its reference; S is the reference's:

    slembench bands mos2-2x2-0007 --dataset mos2-mini --checkpoint runs/mine --out bands/mos2-2x2-0007

    slembench bands mos2-2x2-0007 --dataset mos2-mini --predictions mine.h5 --out bands/mine

Any structure file that ASE reads; the model must predict the overlap too, and the number of electrons puts the zero at
the highest occupied level:

    slembench bands sheet.cif --checkpoint runs/mine --electrons 26 --kmesh 6 6 1 --out bands/sheet

Written are OUT.npz (k points, labels, bands, densities of states, zeros, gaps), OUT.svg and OUT.png.
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("bands", help=HELP)(bands_command)


def bands_command(
    structure: Annotated[str, typer.Argument(help="Id of a structure of --dataset, or a structure file.")],
    out: Annotated[Path, typer.Option(help="Stem of the files to write.")],
    checkpoint: Annotated[Path | None, typer.Option(help="Folder of a run, or a checkpoint.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Predictions file, instead of a checkpoint.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set that holds the structure.")] = None,
    spacing: Annotated[float, typer.Option(help="Between k points of the path, 1/Angstrom.")] = 0.05,
    kmesh: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Mesh of filling and densities of states. Default: the card's.")
    ] = None,
    electrons: Annotated[float | None, typer.Option(help="Electrons in the cell. Default: the data set's.")] = None,
    window: Annotated[tuple[float, float], typer.Option(help="Energies drawn, from the zero, eV.")] = (-6.0, 5.0),
) -> None:
    """Compute, write and draw."""
    from slembench.figures.style import save
    from slembench.inference.bands import draw_bands, spectrum, structure_path, write_arrays

    if (checkpoint is None) == (predictions is None):
        raise ConfigError("bands of what? give --checkpoint, or --predictions")
    case = _dataset_case(dataset, structure) if dataset is not None else _file_case(structure)
    found, unit = _predicted(case, checkpoint, predictions)
    overlap = case["operators"].get("overlap", found.get("overlap"))
    if "hamiltonian" not in found or overlap is None:
        lacking = "Hamiltonian" if "hamiltonian" not in found else "overlap, and the structure has no reference"
        raise ConfigError(f"bands of {structure}: the prediction has no {lacking}")
    path = structure_path(case["atoms"], spacing)
    operators = {"predicted": found["hamiltonian"]}
    if "hamiltonian" in case["operators"]:
        operators["reference"] = case["operators"]["hamiltonian"]
    mesh = kmesh or case["kmesh"] or tuple(6 if periodic else 1 for periodic in case["atoms"].pbc)
    number = electrons if electrons is not None else case["electrons"]
    spectra = {name: spectrum(h, overlap, mesh, number, unit, path) for name, h in operators.items()}
    write_arrays(out.with_name(out.name + ".npz"), path, spectra, window)
    files = save(draw_bands(path, spectra, window, title=structure if dataset else Path(structure).name), out)
    _tell(path, spectra, window, [out.with_name(out.name + ".npz"), *files])


def _dataset_case(dataset: str, structure: str) -> dict[str, Any]:
    from slembench.data import load_dataset

    data = load_dataset(dataset)
    sample = data.sample(structure)
    mesh = data.card.bands.kmesh if data.card.bands else None
    return {
        "sample": sample, "atoms": sample.atoms, "operators": sample.operators, "electrons": sample.info.electrons,
        "kmesh": mesh, "unit": data.card.units.energy,
    }  # fmt: skip


def _file_case(structure: str) -> dict[str, Any]:
    from slembench.cli.predict import read_structure

    atoms = read_structure(Path(structure), "-1")
    return {"sample": None, "atoms": atoms, "operators": {}, "electrons": None, "kmesh": None, "unit": None}


def _predicted(
    case: dict[str, Any], checkpoint: Path | None, predictions: Path | None
) -> tuple[dict[str, BlockMatrix], str]:
    """Predicted operators in the data set's energy unit, and that unit; the model's own where there is no data set."""
    import numpy as np

    from slembench.operators.units import energy_factor
    from slembench.predictions import read_predictions

    if predictions is not None:
        with read_predictions(predictions) as source:
            name = case["sample"].id if case["sample"] is not None else source.ids[0]
            found, unit = dict(source[name]), source.attrs.energy_unit
    else:
        found, unit = _from_model(case["atoms"], checkpoint, case["unit"])
    for operator in found.values():
        if not np.array_equal(operator.numbers, case["atoms"].numbers):
            raise ConfigError("the prediction has other atoms than the structure")
    wanted = case["unit"] or unit
    if "hamiltonian" in found:
        found["hamiltonian"] = found["hamiltonian"] * energy_factor(unit, wanted)
    return found, wanted


def _from_model(atoms: Any, checkpoint: Path | None, unit: str | None) -> tuple[dict[str, BlockMatrix], str]:
    """Operators of a model, and their energy unit: the checkpoint's, else that of the data set."""
    from slembench.inference.physics import structure_blocks
    from slembench.training.checkpoint import load_model

    assert checkpoint is not None
    model = load_model(checkpoint)
    known = getattr(model, "energy_unit", None) or unit
    if known is None:
        raise ConfigError(f"{checkpoint}: the checkpoint does not say its energy unit; give --dataset")
    return structure_blocks(model, atoms), known


def _tell(path: KPath, spectra: dict[str, Spectrum], window: tuple[float, float], files: list[Path]) -> None:
    import numpy as np

    from slembench.inference.bands import energy_zeros
    from slembench.operators.units import energy_factor

    unit, zeros = spectra["predicted"].unit, energy_zeros(spectra)
    typer.echo(f"path {' '.join(path.labels.values())} of {path.space_group}, {len(path.kpoints)} points", err=True)
    for name, found in spectra.items():
        typer.echo(f"{name}: zero at {zeros[name]:.4f} {unit}, gap {found.gap:.4f} {unit}", err=True)
    if "reference" in spectra:
        ours, theirs = (spectra[name].bands - zeros[name] for name in ("predicted", "reference"))
        ev = energy_factor("eV", unit)
        shown = (theirs > window[0] * ev) & (theirs < window[1] * ev)
        typer.echo(f"mean |difference| in the window drawn: {np.abs(ours - theirs)[shown].mean():.4g} {unit}", err=True)
    for file in files:
        typer.echo(file)
