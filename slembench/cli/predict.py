"""``slembench predict``: operators of a data set's structures, or of any structure file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slembench.cli.options import Threads, refuse_options
from slembench.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import ase

logger = logging.getLogger(__name__)

STRUCTURE_OPTIONS = ("frame", "parts", "workers", "pairs", "energy_unit", "engine", "address")
"""Options that only a structure file takes; a data set alone takes ``split``."""

OF_STRUCTURE, OF_DATASET = "Of a structure file", "Of a data set"
"""Panels of the help page."""


def predict_command(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Option(help="Folder of a run, of its checkpoints, or one checkpoint.")],
    out: Annotated[Path, typer.Option(help="Predictions file (HDF5) to write.")],
    structure: Annotated[Path | None, typer.Argument(help="Structure file; the alternative to --dataset.")] = None,
    threads: Threads = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set: a name from `data list`, or a folder.", rich_help_panel=OF_DATASET),
    ] = None,
    split: Annotated[str, typer.Option(help="Split to predict.", rich_help_panel=OF_DATASET)] = "test",
    frame: Annotated[
        str,
        typer.Option(help="Frame of a file with several: 0, 1 ... or -1, the last.", rich_help_panel=OF_STRUCTURE),
    ] = "-1",
    parts: Annotated[
        int, typer.Option(min=1, help="Parts it is cut into; more need less memory.", rich_help_panel=OF_STRUCTURE)
    ] = 1,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that predict parts.", rich_help_panel=OF_STRUCTURE)
    ] = 1,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Pairs worked on at a time.", rich_help_panel=OF_STRUCTURE)
    ] = None,
    energy_unit: Annotated[
        str | None, typer.Option(help="Unit of H, where the checkpoint does not say.", rich_help_panel=OF_STRUCTURE)
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            help="Who predicts parts: processes of this machine, or a Ray cluster.", rich_help_panel=OF_STRUCTURE
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to join, HOST:PORT or auto. Default: one of its own.", rich_help_panel=OF_STRUCTURE
        ),
    ] = None,
) -> None:
    r"""Predict operators with a trained model, and write a predictions file.

    Of a split of a data set, to be scored:

        slembench predict --checkpoint runs/mine --dataset mos2-mini --out mine.h5

        slembench evaluate --dataset mos2-mini --predictions mine.h5

    Of any structure file that ASE reads (CIF, POSCAR, XYZ, ...), of any size:

        slembench predict sheet.cif --checkpoint runs/mine --out sheet.h5

        slembench predict sheet.cif --checkpoint runs/mine --out sheet.h5 \
            --parts 64 --engine ray --address auto

    Memory grows at most linearly with the number of atoms; parts bound it for very large ones. Each part is predicted
    with all atoms of its receptive field; finished parts are kept when a worker is killed, and the same command goes
    on. `python -c "import slembench.predictions; help(slembench.predictions)"` describes the file.
    """
    import torch

    from slembench.core.files import make_parent
    from slembench.training.numerics import keep_freed_memory

    if (structure is None) == (dataset is None):
        raise ConfigError("give either a structure file or --dataset NAME")
    if dataset is not None:
        refuse_options(
            context, STRUCTURE_OPTIONS, "has no meaning for a data set, only for a structure file; leave it out"
        )
    else:
        refuse_options(context, ["split"], "has no meaning for a structure file, only for a data set; leave it out")
    keep_freed_memory()  # else glibc hands large arrays back to the kernel, which zeroes them again for every batch
    if threads is not None:
        torch.set_num_threads(threads)
    # Found out now, not after an hour of predictions: a folder that cannot be made.
    make_parent(out)
    if dataset is not None:
        _predict_split(checkpoint, dataset, split, out)
    else:
        assert structure is not None
        cluster = (engine == "ray", address)
        _predict_structure(checkpoint, structure, frame, out, parts, workers, pairs, energy_unit, cluster)
    typer.echo(out)


def _predict_split(checkpoint: Path, dataset: str, split: str, out: Path) -> None:
    from slembench.data import load_dataset
    from slembench.inference import predict
    from slembench.training.checkpoint import load_model

    model = load_model(checkpoint)
    cost = predict(model, load_dataset(dataset), out, split=split)
    logger.info(
        "%d structures, %.2f ms and %.0f pairs per atom, %.1f s in all",
        cost.structures, cost.ms_per_atom, cost.pairs_per_atom, cost.wall_s,
    )  # fmt: skip


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
    from slembench.inference.structure import StructureRequest, predict_structure
    from slembench.operators.units import ENERGY_UNITS

    if energy_unit is not None and energy_unit not in ENERGY_UNITS:
        raise ConfigError(f"--energy-unit {energy_unit}: unknown unit; known: {', '.join(ENERGY_UNITS)}")
    atoms = read_structure(structure, frame)
    # Workers share the processors: more threads than cores make every part slower.
    threads = max(1, torch.get_num_threads() // workers)
    request = StructureRequest(
        checkpoint, structure.stem, atoms, sha256(structure), energy_unit, pairs or MAX_PAIRS, threads
    )
    on_ray, address = cluster
    cost = predict_structure(request, out, parts=parts, workers=workers, on_ray=on_ray, address=address)
    logger.info(
        "%d atoms, %d blocks (one triangle), %d parts with a halo of %.1f Angstrom, %.1f s in all",
        cost.atoms, cost.pairs, cost.parts, cost.halo_A, cost.wall_s,
    )  # fmt: skip


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
    # Readers pass NaN on without a word; the neighbour list would then lose that atom.
    odd = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(odd):
        raise DataError(f"{path}: frame {frame}: the position of atom {odd[0]} is not a finite number")
    # A zero vector along a periodic direction puts infinitely many images into every cutoff sphere. `complete_cell`
    # fills in the non-periodic directions alone, so a determinant of zero is a flat periodic cell.
    cell = complete_cell(atoms.cell)
    if not np.isfinite(cell).all() or not atoms.cell.array[atoms.pbc].any(axis=1).all() or not np.linalg.det(cell):
        raise DataError(f"{path}: frame {frame}: no proper cell: each periodic direction needs a vector of its own")
    return atoms
