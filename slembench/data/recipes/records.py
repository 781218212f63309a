"""NPZ files of the recipes, one a structure: a sample and what it is to be checked against."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.card import Mesh
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.operators import OPERATORS
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray

KEYS = (
    *("id", "numbers", "positions", "cell", "pbc", "basis", "pair_radii", "pair_i", "pair_j", "pair_shift"),
    *("hamiltonian", "overlap", "electrons", "energy", "energy_zero"),
    *("check_kpoints", "check_eigenvalues", "check_electrons_error"),
)
PERIODIC_KEYS = ("fermi_level", "smearing_width", "kmesh_scf", "kmesh_ft")
"""Needed beside `KEYS` where any axis is periodic."""
OPTIONAL_KEYS = ("density", "energy_unit", "group")
"""Without them: no density, eV, the structure is its own group."""


@dataclass(frozen=True)
class Record:
    """One structure as a recipe left it.

    Attributes:
        sample: geometry, H, S and, where the recipe gives it, D on one triangle of pairs.
        radii: chemical symbol -> radius in Angstrom; pairs up to the mean of two radii are there.
        kmesh_ft: mesh whose inverse Fourier transform gave the blocks; None for a molecule.
        kpoints: (nk, 3) fractional points of the check; the origin for a molecule.
        eigenvalues: (nk, n_bands) the sample's energy unit | the code's own at these points.
        electrons_error: |Tr(D S) - electrons| measured by the recipe.
    """

    sample: Sample
    radii: dict[str, float]
    kmesh_ft: Mesh | None
    kpoints: FloatArray
    eigenvalues: FloatArray
    electrons_error: float


def read_record(path: Path) -> Record:
    """Record of one NPZ file.

    Raises:
        DataError: a damaged file, a missing key or what `check_sample` refuses; names file, structure and key.
    """
    data = _load(path)
    place = f"{path}: structure {path.stem!r}"
    if str(data["id"]) != path.stem:
        raise DataError(f"{place}: key 'id': {str(data['id'])!r}, must be the file's name")
    try:
        basis = Basis.parse(json.loads(str(data["basis"])))
        index = np.stack([data["pair_i"], data["pair_j"]], axis=1)
        blocks = {
            key: BlockMatrix(basis, data["numbers"], index, data["pair_shift"], data[key])
            for key in OPERATORS
            if key in data
        }
        atoms = ase.Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
        info = SampleInfo(
            energy_unit=str(data.get("energy_unit", "eV")),
            energy_zero=str(data["energy_zero"]),
            kmesh=_mesh(data.get("kmesh_scf")),
            group=str(data.get("group", path.stem)),
            smearing=float(data["smearing_width"]) if "smearing_width" in data else None,
            **{key: float(data[key]) for key in ("electrons", "energy", "fermi_level") if key in data},
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: {error}") from error
    return Record(
        sample=check_sample(Sample(path.stem, atoms, basis, blocks, info), str(path)),
        radii=json.loads(str(data["pair_radii"])),
        kmesh_ft=_mesh(data.get("kmesh_ft")),
        kpoints=data["check_kpoints"],
        eigenvalues=data["check_eigenvalues"],
        electrons_error=float(data["check_electrons_error"]),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    place = f"{path}: structure {path.stem!r}"
    try:
        with np.load(path, allow_pickle=False) as archive:  # a pickle in an NPZ file would run code
            periodic = "pbc" not in archive or archive["pbc"].any()
            keys = KEYS + (PERIODIC_KEYS if periodic else ())
            missing = [key for key in keys if key not in archive]
            if missing:
                raise DataError(f"{place}: key {missing[0]!r}: missing")
            return {key: archive[key] for key in (*keys, *OPTIONAL_KEYS) if key in archive}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{place}: not readable as NPZ (missing, truncated or damaged): {error}") from error


def _mesh(values: NDArray[Any] | None) -> Mesh | None:
    if values is None:
        return None
    a, b, c = (int(value) for value in values)
    return a, b, c
