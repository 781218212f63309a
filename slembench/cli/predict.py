"""``slembench predict``: operators of a data set's structures, or of any structure file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slembench.core.errors import ConfigError, DataError
from slembench.core.progress import bar

if TYPE_CHECKING:
    import ase

HELP = """Predict operators with a trained model, and write a predictions file.

Of a split of a data set, to be scored:

    slembench predict --checkpoint runs/mine --dataset mos2-mini --split test_3x3 --out mine-3x3.h5

    slembench evaluate --dataset mos2-mini --split test_3x3 --predictions mine-3x3.h5

Of any structure file that ASE reads (CIF, POSCAR, XYZ, ...), of any size:

    slembench predict sheet.cif --checkpoint runs/mine --out sheet.h5

    slembench predict sheet.cif --checkpoint runs/mine --out sheet.h5 --parts 8 --workers 2

    slembench predict sheet.cif --checkpoint runs/mine --out sheet.h5 --parts 64 --engine ray --address auto

Memory grows at most linearly with the number of atoms; parts bound it for very large ones. Each is predicted on its own
with all atoms that can matter to it; what is finished is kept when a worker is killed, and the same command goes on.
`python -c "import slembench.predictions; help(slembench.predictions)"` describes the file.
"""


OF_STRUCTURES = ("frame", "parts", "workers", "pairs", "energy_unit", "engine", "address")
"""Options that only a structure file takes."""

OF_DATASETS = ("split",)
"""Options that only a data set takes."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("predict", help=HELP)(predict_command)


def predict_command(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Option(help="Folder of a run, of its checkpoints, or one checkpoint.")],
    out: Annotated[Path, typer.Option(help="Predictions file (HDF5) to write.")],
    structure: Annotated[Path | None, typer.Argument(help="Structure file; the alternative to --dataset.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set: a name, or a folder.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set to predict.")] = "test",
    frame: Annotated[
        str, typer.Option(help="Frame of a structure file with several: 0, 1 ... or -1, the last.")
    ] = "-1",
    parts: Annotated[int, typer.Option(min=1, help="Parts a structure is cut into; more need less memory.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that predict parts.")] = 1,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs worked on at a time.")] = None,
    energy_unit: Annotated[str | None, typer.Option(help="Unit of H, where the checkpoint does not say.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads in all. Default: torch's choice.")] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Who predicts parts: processes of this machine, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, HOST:PORT or auto. Default: one of its own.")
    ] = None,
) -> None:
    """Predict a split, or a structure file."""
    import torch

    from slembench.core.files import make_parent
    from slembench.training.numerics import keep_freed_memory

    if (structure is None) == (dataset is None):
        raise ConfigError("give either a structure file or --dataset NAME")
    _refuse_unused(context, OF_STRUCTURES if dataset is not None else OF_DATASETS)
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    make_parent(out)
    if dataset is not None:
        _predict_split(checkpoint, dataset, split, out)
    else:
        assert structure is not None
        cluster = (engine == "ray", address)
        _predict_structure(checkpoint, structure, frame, out, parts, workers, pairs, energy_unit, cluster)
    typer.echo(out)


def _refuse_unused(context: typer.Context, names: Iterable[str]) -> None:
    """Raise ConfigError where an option was given that this kind of input does not take."""
    given = [name for name in names if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        kinds = ("a data set", "a structure file") if given[0] in OF_STRUCTURES else ("a structure file", "a data set")
        option = given[0].replace("_", "-")
        raise ConfigError(f"--{option} has no meaning for {kinds[0]}, only for {kinds[1]}; leave it out")


def _predict_split(checkpoint: Path, dataset: str, split: str, out: Path) -> None:
    from slembench.data import load_dataset
    from slembench.inference import predict
    from slembench.training.checkpoint import load_model

    model = load_model(checkpoint)
    cost = predict(model, load_dataset(dataset), out, split=split, progress=partial(bar, text="predict"))
    _tell(
        f"{cost.structures} structures, {cost.ms_per_atom:.2f} ms and {cost.pairs_per_atom:.0f} pairs per atom, "
        f"{cost.wall_s:.1f} s in all"
    )


def _predict_structure(
    checkpoint: Path,
    structure: Path,
    frame: str,
    out: Path,
    parts: int,
    workers: int,
    pairs: int | None,
    energy_unit: str | None,
    cluster: tuple[bool, str | None],
) -> None:
    import torch

    from slembench.core.files import sha256
    from slembench.inference.chunked import MAX_PAIRS
    from slembench.inference.structure import predict_structure
    from slembench.inference.structure_job import StructureJob
    from slembench.operators.units import ENERGY_UNITS

    if energy_unit is not None and energy_unit not in ENERGY_UNITS:
        raise ConfigError(f"--energy-unit {energy_unit}: unknown unit; known: {', '.join(ENERGY_UNITS)}")
    atoms = read_structure(structure, frame)
    threads = max(1, torch.get_num_threads() // workers)
    job = StructureJob(checkpoint, structure.stem, atoms, sha256(structure), energy_unit, pairs or MAX_PAIRS, threads)

    def progress(items: Iterable[int], total: int) -> Iterable[int]:
        """The parts, with a bar."""
        return bar(items, "parts", total)

    on_ray, address = cluster
    cost = predict_structure(job, out, parts=parts, workers=workers, on_ray=on_ray, address=address, progress=progress)
    _tell(
        f"{cost.atoms} atoms, {cost.pairs} blocks (one triangle), {cost.parts} parts with a halo of "
        f"{cost.halo_A:.1f} Angstrom, {cost.wall_s:.1f} s in all"
    )


def read_structure(path: Path, frame: str) -> ase.Atoms:
    """One structure of a file.

    Raises:
        DataError: no such file or frame, a file that ASE does not read, positions or a cell that are not sound.
    """
    import ase.io
    import numpy as np
    from ase.geometry import complete_cell

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        atoms = ase.io.read(path, index=int(frame))
    except Exception as error:  # every reader of ASE raises its own kinds
        reason = str(error).split("\n")[0] or type(error).__name__
        raise DataError(f"{path}: frame {frame}: ASE cannot read it ({reason})") from None
    if not isinstance(atoms, ase.Atoms) or not len(atoms):
        raise DataError(f"{path}: frame {frame}: holds no atoms")
    odd = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(odd):
        raise DataError(f"{path}: frame {frame}: the position of atom {odd[0]} is not a finite number")
    cell = complete_cell(atoms.cell)
    if not np.isfinite(cell).all() or not atoms.cell.array[atoms.pbc].any(axis=1).all() or not np.linalg.det(cell):
        raise DataError(f"{path}: frame {frame}: no proper cell: each periodic direction needs a vector of its own")
    return atoms


def _tell(text: str) -> None:
    typer.echo(text, err=True)
