"""Frames of a DeePTB folder: info.json with text files, or an ASE trajectory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError


@dataclass(frozen=True)
class Geometry:
    """Frames of one folder.

    Attributes:
        numbers: (F, N).
        positions: (F, N, 3) Angstrom.
        cells: (F, 3, 3) rows, Angstrom.
        pbc: periodic axes.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]

    def __len__(self) -> int:
        return len(self.numbers)

    def atoms(self, frame: int) -> ase.Atoms:
        """Structure of one frame."""
        return ase.Atoms(self.numbers[frame], self.positions[frame], cell=self.cells[frame], pbc=self.pbc)


def read_json(file: Path) -> dict[str, Any]:
    """Contents of a JSON file that holds an object.

    Raises:
        DataError: not readable, or something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: must hold an object with keys")
    return content


def _info(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The info.json that counts for a folder; an empty one where there is none."""
    for file in (folder / "info.json", folder.absolute().parent / "info.json"):
        if file.is_file():
            return file, read_json(file)
    return folder / "info.json", {}


def read_geometry(folder: Path) -> Geometry:
    """Frames of a folder.

    Raises:
        DataError: a file that is missing, or arrays that do not fit each other.
    """
    place, info = _info(folder)
    periodic = info.get("pbc")
    if periodic is None and (folder / "pbc.dat").is_file():
        periodic = _table(folder / "pbc.dat").astype(bool).reshape(-1).tolist()
    if isinstance(periodic, bool):
        periodic = [periodic] * 3
    if periodic is not None and not (isinstance(periodic, list) and [type(p) for p in periodic] == [bool] * 3):
        raise DataError(f"{place}: key 'pbc': must be true, false or three of them")
    trajectories = sorted(folder.glob("*.traj"))
    if info.get("pos_type") == "ase" or not (folder / "positions.dat").is_file():
        return _trajectory(trajectories[0], periodic) if trajectories else _text(folder, place, info, periodic)
    return _text(folder, place, info, periodic)


def _text(folder: Path, place: Path, info: dict[str, Any], periodic: list[bool] | None) -> Geometry:
    frames, natoms, kind = info.get("nframes", 1), info.get("natoms", -1), info.get("pos_type", "cart")
    if type(frames) is not int or type(natoms) is not int or frames < 1 or kind not in ("cart", "frac", "ase"):
        raise DataError(f"{place}: keys 'nframes', 'natoms' must be counts and 'pos_type' cart, frac or ase")
    positions = _table(folder / "positions.dat")
    natoms = natoms if natoms > 0 else len(positions) // frames
    if positions.shape != (frames * natoms, 3) or not natoms:
        raise DataError(f"{folder / 'positions.dat'}: shape {positions.shape}, must be ({frames} frames x atoms, 3)")
    positions = positions.reshape(frames, natoms, 3)
    numbers = _table(folder / "atomic_numbers.dat").reshape(-1)
    if len(numbers) not in (natoms, frames * natoms) or not np.isin(numbers, np.arange(1, 119)).all():
        file = folder / "atomic_numbers.dat"
        raise DataError(f"{file}: must hold {natoms} atomic numbers, for one frame or for each")
    cells = np.zeros((1, 3, 3))
    if (folder / "cell.dat").is_file() or kind == "frac" or any(periodic or ()):
        cells = _table(folder / "cell.dat")
        if cells.shape[1] != 3 or len(cells) not in (3, 3 * frames):
            raise DataError(f"{folder / 'cell.dat'}: shape {cells.shape}, must be (3, 3) or ({3 * frames}, 3)")
        cells = cells.reshape(-1, 3, 3)
    cells = np.broadcast_to(cells, (frames, 3, 3))
    pbc = periodic or [bool(cells.any())] * 3  # DeePTB: periodic where a cell is given
    return Geometry(
        numbers=np.broadcast_to(numbers.astype(np.int64).reshape(-1, natoms), (frames, natoms)),
        # (F, N, 3) fractional times (F, 3, 3): one cell a frame
        positions=positions @ cells if kind == "frac" else positions,
        cells=cells,
        pbc=(pbc[0], pbc[1], pbc[2]),
    )


def _trajectory(file: Path, periodic: list[bool] | None) -> Geometry:
    try:
        frames = ase.io.read(file, index=":", format="traj")
    except Exception as error:  # ase raises whatever its parser trips over
        raise DataError(f"{file}: not readable as ASE trajectory: {error}") from error
    assert isinstance(frames, list)
    if len({len(frame) for frame in frames}) != 1:
        raise DataError(f"{file}: must hold frames of one number of atoms")
    pbc = periodic or frames[0].pbc.tolist()
    return Geometry(
        numbers=np.array([frame.numbers for frame in frames], dtype=np.int64),
        positions=np.array([frame.positions for frame in frames]),
        cells=np.array([frame.cell.array for frame in frames]),
        pbc=(pbc[0], pbc[1], pbc[2]),
    )


def _table(file: Path) -> NDArray[np.float64]:
    """(rows, columns) of a text file of finite numbers."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
        table = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not readable as a table of numbers: {error}") from error
    if table.ndim != 2:
        raise DataError(f"{file}: holds no table of numbers")
    if not np.isfinite(table).all():
        raise DataError(f"{file}: holds values that are not finite")
    return table
