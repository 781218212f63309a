"""``slembench bands``: predicted bands along a k path and density of states, over the reference where there is one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    import ase

    from slembench.inference.bands import Spectrum
    from slembench.metrics.kpath import KPath
    from slembench.operators.blocks import BlockMatrix


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Structure:
    """The structure whose bands are drawn, with what a data set says of it.

    Attributes:
        atoms: of the structure.
        name: id in the data set; None for a structure file.
        reference: reference operators; empty for a structure file.
        electrons: in the cell, where known.
        kmesh: mesh of the data set's card, where it has one.
        energy_unit: of the reference.
    """

    atoms: ase.Atoms
    name: str | None = None
    reference: Mapping[str, BlockMatrix] = field(default_factory=dict)
    electrons: float | None = None
    kmesh: tuple[int, int, int] | None = None
    energy_unit: str | None = None


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
    r"""Bands along the recommended k path of a structure (seekpath), and its density of states, drawn and as arrays.

    A structure of a data set, drawn over its reference; S is the reference's:

        slembench bands mos2-2x2-0007 --dataset mos2-mini --checkpoint runs/mine \
            --out bands/mine

        slembench bands mos2-2x2-0007 --dataset mos2-mini --predictions mine.h5 \
            --out bands/mine

    Any structure file that ASE reads; the model must predict the overlap too, and the number of electrons puts the zero
    at the highest occupied level:

        slembench bands sheet.cif --checkpoint runs/mine --electrons 26 \
            --kmesh 6 6 1 --out bands/sheet

    Written are OUT.npz (k points, labels, bands, densities of states, zeros, gaps), OUT.svg and OUT.png.
    """
    from slembench.figures.style import save
    from slembench.inference.bands import draw_bands, spectrum, structure_path, write_arrays

    if (checkpoint is None) == (predictions is None):
        raise ConfigError("bands of what? give --checkpoint, or --predictions")
    case = _of_dataset(dataset, structure) if dataset is not None else _of_file(structure)
    pred, unit = _predicted(case, checkpoint, predictions)
    # Both Hamiltonians are diagonalised with the same S, so that the picture shows the error of H alone.
    overlap = case.reference.get("overlap", pred.get("overlap"))
    if "hamiltonian" not in pred or overlap is None:
        lacking = "Hamiltonian" if "hamiltonian" not in pred else "overlap, and the structure has no reference"
        raise ConfigError(f"bands of {structure}: the prediction has no {lacking}")
    path = structure_path(case.atoms, spacing)
    operators = {"predicted": pred["hamiltonian"]}
    if "hamiltonian" in case.reference:
        operators["reference"] = case.reference["hamiltonian"]
    # A molecule has one k point; 6 a direction fills the levels of most crystals well enough for a picture.
    mesh = kmesh or case.kmesh or tuple(6 if periodic else 1 for periodic in case.atoms.pbc)
    n_electrons = electrons if electrons is not None else case.electrons
    spectra = {name: spectrum(h, overlap, mesh, n_electrons, unit, path) for name, h in operators.items()}
    write_arrays(out.with_name(out.name + ".npz"), path, spectra, window)
    files = save(draw_bands(path, spectra, window, title=structure if dataset else Path(structure).name), out)
    _show(path, spectra, window)
    # Not with_suffix: a stem such as "a.b" would lose its end.
    for file in (out.with_name(out.name + ".npz"), *files):
        typer.echo(file)


def _of_dataset(dataset: str, structure: str) -> Structure:
    from slembench.data import load_dataset

    data = load_dataset(dataset)
    sample = data.sample(structure)
    mesh = data.card.bands.kmesh if data.card.bands else None
    unit = data.card.units.energy
    return Structure(sample.atoms, sample.id, sample.operators, sample.info.electrons, mesh, unit)


def _of_file(structure: str) -> Structure:
    from slembench.cli.predict import read_structure

    return Structure(read_structure(Path(structure), "-1"))


def _predicted(
    case: Structure, checkpoint: Path | None, predictions: Path | None
) -> tuple[dict[str, BlockMatrix], str]:
    """Predicted operators in the data set's energy unit, and that unit; the model's own where there is no data set."""
    import numpy as np

    from slembench.operators.units import energy_factor
    from slembench.predictions import read_predictions

    if predictions is not None:
        with read_predictions(predictions) as source:
            pred, unit = dict(source[case.name or source.ids[0]]), source.attrs.energy_unit
    else:
        assert checkpoint is not None
        pred, unit = _from_model(case, checkpoint)
    # Blocks are matched by atom index: other atoms, or another order of them, would give a spectrum without meaning.
    for operator in pred.values():
        if not np.array_equal(operator.numbers, case.atoms.numbers):
            raise ConfigError("the prediction has other atoms than the structure")
    # The window and the reference are in the unit of the data set; S and D have no unit.
    wanted = case.energy_unit or unit
    if "hamiltonian" in pred:
        pred["hamiltonian"] = pred["hamiltonian"] * energy_factor(unit, wanted)
    return pred, wanted


def _from_model(case: Structure, checkpoint: Path) -> tuple[dict[str, BlockMatrix], str]:
    """Operators of a model, and their energy unit: the checkpoint's, else that of the data set."""
    from slembench.inference.physics import structure_blocks
    from slembench.training.checkpoint import load_model

    model = load_model(checkpoint)
    # Checkpoints of before the unit was kept, and imported ones, may lack it.
    unit = getattr(model, "energy_unit", None) or case.energy_unit
    if unit is None:
        raise ConfigError(f"{checkpoint}: the checkpoint does not say its energy unit; give --dataset")
    return structure_blocks(model, case.atoms), unit


def _show(path: KPath, spectra: Mapping[str, Spectrum], window: tuple[float, float]) -> None:
    """Path, energy zeros and gaps, and the mean error of the bands in the window, on stderr."""
    import numpy as np

    from slembench.inference.bands import energy_zeros
    from slembench.operators.units import energy_factor

    unit, zeros = spectra["predicted"].unit, energy_zeros(spectra)
    logger.info("path %s of %s, %d points", " ".join(path.labels.values()), path.space_group, len(path.kpoints))
    for name, found in spectra.items():
        logger.info("%s: zero at %.4f %s, gap %.4f %s", name, zeros[name], unit, found.gap, unit)
    if "reference" in spectra:
        # Each spectrum from its own zero, as drawn: a constant shift of H is no error of the bands.
        pred, ref = (spectra[name].bands - zeros[name] for name in ("predicted", "reference"))
        ev = energy_factor("eV", unit)
        shown = (ref > window[0] * ev) & (ref < window[1] * ev)
        logger.info("mean |difference| in the window drawn: %.4g %s", np.abs(pred - ref)[shown].mean(), unit)
