"""PySCF's checkpoint of a restricted molecular calculation: H, S and D from its orbitals.

The file holds the molecule (JSON text) and ``scf/mo_coeff`` C, ``mo_energy`` e, ``mo_occ`` f, ``e_tot`` in Hartree; no
matrices. S is computed again from the basis that the molecule's tables state, H = S C e C^T S, D = C f C^T; and
C^T S C = 1 shows that they belong together. PySCF's own loader evaluates text of the file as Python; here it is only
parsed. Source: checkpoints of PySCF, whose Fock and density matrices are reproduced.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.folders import element_of
from slembench.data.formats.molecules.dense import dense_sample
from slembench.data.formats.safe.hdf5 import check_heaps
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.orbitals import SHELL_LETTERS, FloatArray, IntArray
from slembench.operators.units import BOHR_ANGSTROM

ORTHONORMAL = 1e-6
"""Largest |C^T S C - 1|."""

_LARGEST = 20_000  # orbitals
_ORBITALS = ("mo_coeff", "mo_energy", "mo_occ", "e_tot")


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is a checkpoint, or a folder of some."""
    found = [path] if _is_checkpoint(path) else [file for file in _files(path) if _is_checkpoint(file)]
    return [f"{file.name}: keys mol and scf" for file in found[:1]]


def read(path: Path) -> Iterator[Sample]:
    """Samples of a checkpoint, or of all ``*.chk`` and ``*.chkfile`` of a folder; the id is the file's stem.

    Raises:
        DataError: no checkpoint, or anything `read_checkpoint` refuses.
    """
    files = [path] if path.is_file() else _files(path)
    if not files:
        raise DataError(f"{path}: no file *.chk or *.chkfile")
    return map(read_checkpoint, files)


def read_checkpoint(file: Path) -> Sample:
    """The molecule of one checkpoint.

    Returns:
        Sample in Hartree and Angstrom with hamiltonian (the Fock matrix whose orbitals these are), overlap and density
        (factor 2 of spin inside).

    Raises:
        DataError: a damaged file, a periodic, unrestricted, restricted-open-shell or Cartesian calculation, orbitals
            removed for linear dependence, PySCF not installed, or orbitals that are not orthonormal in the basis.
    """
    molecule, data = _contents(file)
    numbers, positions, shells, tables = _molecule(molecule, file)
    size = sum(2 * l + 1 for z in numbers.tolist() for l in shells[z])
    coefficients, energies, occupations = (data[key] for key in _ORBITALS[:3])
    if coefficients.shape != (size, size) or energies.shape != (size,) or occupations.shape != (size,):
        kind = "an unrestricted calculation" if coefficients.ndim == 3 else f"{coefficients.shape}, not {(size, size)}"
        raise DataError(
            f"{file}: key 'scf/mo_coeff': {kind}; only restricted calculations with as many orbitals as basis functions"
            " can be read"
        )
    if (np.abs(occupations - 1) < 1e-12).any():
        raise DataError(f"{file}: key 'scf/mo_occ': singly occupied orbitals; open shells are not supported")
    overlap = _overlap(tables, file)
    with np.errstate(invalid="ignore", over="ignore"):
        error = float(np.abs(coefficients.T @ overlap @ coefficients - np.eye(size)).max())
    if not error < ORTHONORMAL:
        raise DataError(f"{file}: key 'scf/mo_coeff': C^T S C differs from 1 by {error:.1e}; the file is damaged")
    # H C = S C e and C^T S C = 1 give H = (S C) e (S C)^T
    weighted = overlap @ coefficients
    with np.errstate(invalid="ignore", over="ignore"):
        matrices = {
            "hamiltonian": _symmetric(weighted * energies @ weighted.T),
            "overlap": overlap,
            "density": _symmetric(coefficients * occupations @ coefficients.T),
        }
    info = SampleInfo(
        energy_unit="Hartree",
        energy_zero="vacuum",
        electrons=float(occupations.sum()),
        energy=float(data["e_tot"].reshape(-1)[0]),
        group=file.stem,
    )
    return dense_sample(file.stem, numbers, positions, matrices, shells, "pyscf", info, str(file))


def _symmetric(matrix: FloatArray) -> FloatArray:
    return np.asarray((matrix + matrix.T) / 2)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.glob("*") if file.suffix in (".chk", ".chkfile")) if path.is_dir() else []


def _is_checkpoint(file: Path) -> bool:
    try:
        if not file.is_file() or not h5py.is_hdf5(file):
            return False
        with h5py.File(file, "r") as source:
            return "mol" in source and "scf" in source
    except (OSError, RuntimeError):
        return False


def _contents(file: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """The molecule's dictionary and the arrays of the calculation."""
    check_heaps(file)
    try:
        with h5py.File(file, "r") as source:
            text = source["mol"][()]
            data = {}
            for key in _ORBITALS:
                item = source[f"scf/{key}"]
                if item.dtype.kind not in "fi" or max(item.shape, default=0) > _LARGEST or item.ndim > 3:
                    raise DataError(f"{file}: key 'scf/{key}': is {item.shape} of {item.dtype}, must be real numbers")
                data[key] = np.asarray(item[()], dtype=np.float64)
        if data["e_tot"].size != 1:
            raise DataError(f"{file}: key 'scf/e_tot': is an array of {data['e_tot'].shape}, must be one number")
        molecule = json.loads(text)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise DataError(f"{file}: not readable as a checkpoint of PySCF (truncated or damaged): {error}") from error
    if not isinstance(molecule, dict):
        raise DataError(f"{file}: key 'mol': holds no molecule")
    if "a" in molecule:
        raise DataError(f"{file}: key 'mol': a periodic calculation; only molecules can be read")
    if molecule.get("cart"):
        raise DataError(f"{file}: key 'mol': Cartesian Gaussians; only spherical ones can be read")
    return molecule, data


def _molecule(
    molecule: dict[str, Any], file: Path
) -> tuple[IntArray, FloatArray, dict[int, list[int]], tuple[NDArray[np.int32], NDArray[np.int32], FloatArray]]:
    """Atomic numbers, positions in Angstrom, shells in the file's order, and libcint's tables, all checked.

    libcint trusts the tables: a wrong pointer would read beyond them.
    """
    try:
        atm, bas = (np.array(molecule[key], dtype=np.int32) for key in ("_atm", "_bas"))
        env = np.array(molecule["_env"], dtype=np.float64)
        labels = [str(symbol) for symbol, _ in molecule["_atom"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{file}: key 'mol': tables _atom, _atm, _bas, _env missing or malformed: {error}") from error
    problem = _problem(atm, bas, env, len(labels))
    if problem:
        raise DataError(f"{file}: key 'mol': {problem}")
    numbers = np.array([element_of(label) for label in labels], dtype=np.int64)
    positions = env[atm[:, 1, None] + np.arange(3)] * BOHR_ANGSTROM
    shells: dict[int, list[int]] = {}
    for atom, z in enumerate(numbers.tolist()):
        own = [int(l) for l, count in bas[bas[:, 0] == atom][:, [1, 3]].tolist() for _ in range(count)]
        if not own or shells.setdefault(z, own) != own:
            raise DataError(
                f"{file}: key 'mol': atom {atom} ({labels[atom]}) has no shells, or others than its element"
            )
    return numbers, positions, shells, (atm, bas, env)


def _problem(atm: NDArray[np.int32], bas: NDArray[np.int32], env: FloatArray, n_atoms: int) -> str:
    """Error text for malformed tables; empty if they are sound."""
    if atm.shape != (n_atoms, 6) or bas.ndim != 2 or bas.shape[1:] != (8,) or env.ndim != 1 or not len(bas):
        return f"tables _atm, _bas, _env have the shapes {atm.shape}, {bas.shape}, {env.shape}"
    if not np.isfinite(env).all():
        return "table _env holds values that are not finite"
    # libcint's bas table: atom, l, primitives, contracted functions, kappa, pointers to exponents and coefficients
    atom, l, primitives, contracted, kappa, exponents, coefficients = bas[:, :7].T.astype(np.int64)
    if (
        atm[:, 1].min() < 0
        or atm[:, 1].max() + 3 > len(env)
        or (np.diff(atom) < 0).any()
        or not np.array_equal(np.unique(atom), np.arange(n_atoms))
        or not ((l >= 0) & (l < len(SHELL_LETTERS)) & (kappa == 0)).all()
        or not ((primitives > 0) & (primitives < 1000) & (contracted > 0) & (contracted < 1000)).all()
        or min(exponents.min(), coefficients.min()) < 0
        or (exponents + primitives).max() > len(env)
        or (coefficients + primitives * contracted).max() > len(env)
    ):
        return "tables _atm and _bas point beyond _env, or name atoms or shells that there cannot be"
    return ""


def _overlap(tables: tuple[NDArray[np.int32], NDArray[np.int32], FloatArray], file: Path) -> FloatArray:
    try:
        from pyscf.gto import moleintor
    except ImportError as error:
        raise DataError("PySCF's checkpoints are read with PySCF: pip install 'slembench[formats]'") from error
    # integrals straight from the tables: PySCF's own loader would evaluate text of the file as Python
    overlap = np.asarray(moleintor.getints("int1e_ovlp_sph", *tables), dtype=np.float64)
    if not np.isfinite(overlap).all():
        raise DataError(f"{file}: key 'mol': the overlap of its basis is not finite")
    return overlap
