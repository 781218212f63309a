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

from slembench.blocks import BlockMatrix
from slembench.data.card import Mesh
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.errors import DataError
from slembench.orbitals import Basis, FloatArray

KEYS = (
    *("id", "numbers", "positions", "cell", "pbc", "basis", "pair_radii", "pair_i", "pair_j", "pair_shift"),
    *("hamiltonian", "overlap", "electrons", "energy", "fermi_level", "energy_zero", "smearing_width"),
    *("kmesh_scf", "kmesh_ft", "check_kpoints", "check_eigenvalues", "check_electrons_error"),
)


@dataclass(frozen=True)
class Record:
    """One structure as a recipe left it.

    Attributes:
        sample: geometry, H and S (eV) on one triangle of pairs.
        radii: chemical symbol -> radius in Angstrom; pairs up to the mean of two radii are there.
        kmesh_ft: mesh whose inverse Fourier transform gave the blocks.
        kpoints: (nk, 3) fractional points of the check.
        eigenvalues: (nk, n_bands) eV | the code's own at these points.
        electrons_error: |Tr(D S) - electrons| measured by the recipe.
    """

    sample: Sample
    radii: dict[str, float]
    kmesh_ft: Mesh
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
            for key in ("hamiltonian", "overlap")
        }
        atoms = ase.Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
        info = SampleInfo(
            energy_unit="eV",
            energy_zero=str(data["energy_zero"]),
            kmesh=_mesh(data["kmesh_scf"]),
            group=path.stem,
            smearing=float(data["smearing_width"]),
            **{key: float(data[key]) for key in ("electrons", "energy", "fermi_level")},
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: {error}") from error
    return Record(
        sample=check_sample(Sample(path.stem, atoms, basis, blocks, info), str(path)),
        radii=json.loads(str(data["pair_radii"])),
        kmesh_ft=_mesh(data["kmesh_ft"]),
        kpoints=data["check_kpoints"],
        eigenvalues=data["check_eigenvalues"],
        electrons_error=float(data["check_electrons_error"]),
    )


def _load(path: Path) -> dict[str, NDArray[Any]]:
    place = f"{path}: structure {path.stem!r}"
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise DataError(f"{place}: key {missing[0]!r}: missing")
            return {key: archive[key] for key in KEYS}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{place}: not readable as NPZ (missing, truncated or damaged): {error}") from error


def _mesh(values: NDArray[Any]) -> Mesh:
    a, b, c = (int(value) for value in values)
    return a, b, c
