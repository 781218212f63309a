"""SIESTA's HSX file (H, S) with the DM file and the XV file beside it, read through sisl.

Orbitals run m = -l..l with a factor (-1)^m, H comes in eV. What sisl 0.20 does otherwise is undone: it subtracts E_F S
from H, and it knows the precision flag of gfortran only. Matrices with spin are refused. Source: SrTiO3 and a water
dimer against SIESTA's own eigenvalues and electron numbers, silicon also against its new DeepH form.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase
import numpy as np

from slembench.core.errors import DataError
from slembench.data.formats.folders import element_of, folders_with
from slembench.data.formats.orbital_order import check_hermitian
from slembench.data.formats.siesta.records import HsxHeader, check_dm, check_hsx
from slembench.data.formats.sparse import OrbitalMap
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray, IntArray
from slembench.operators.units import BOHR_ANGSTROM


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is an HSX file, the folder of one, or a folder of such folders."""
    return [path.name if file == path else str(file.relative_to(path)) for file in _hsx_files(path)][:1]


def read(path: Path) -> Iterator[Sample]:
    """Samples of an HSX file, or of all HSX files at or up to two levels below a folder.

    The id is the name of the file's folder, or the file's stem where there are several in it.

    Raises:
        DataError: no HSX file, sisl is not installed, or anything `read_hsx` refuses.
    """
    files = list(_hsx_files(path))
    if not files:
        raise DataError(f"{path}: no HSX file at or below it")
    alone = [len(list(file.parent.glob("*.HSX"))) == 1 for file in files]
    return (read_hsx(file, file.resolve().parent.name if one else file.stem) for file, one in zip(files, alone))


def notes(path: Path) -> list[str]:
    """Version of the first HSX file, and which axes it folds."""
    file = next(_hsx_files(path), None)
    if file is None:
        return []
    header = check_hsx(file)
    lines = [f"{file.name}: HSX version {header.version}, {header.n_orbitals} orbitals, not shifted by the Fermi level"]
    if header.cells and 1 in header.cells:
        lines.append(
            "SIESTA sums over the translations along axes with one cell (molecules, vacuum, Gamma-point runs), of"
            f" {' x '.join(map(str, header.cells))} here; they are read as not periodic"
        )
    return lines


def read_hsx(file: Path, name: str) -> Sample:
    """One structure: H and S of the HSX file, D if a DM file of the same stem is there.

    Args:
        file: HSX file. Elements are taken from the XV file of the same stem, else from the species' labels; files of
            SIESTA before 5 have no lattice and need the XV file.
        name: id of the sample.

    Returns:
        Sample in eV and Angstrom; energy zero is SIESTA's own, called "unknown". Along an axis of which SIESTA has a
        single cell (molecules, vacuum, Gamma-point runs) it sums over the translations: that axis is not periodic.

    Raises:
        DataError: a damaged file, spin, species of one element with different shells, missing sisl or XV file, matrices
            that are not Hermitian.
    """
    header = check_hsx(file)
    xv = _read_xv(file.with_suffix(".XV"), len(header.species))
    numbers = xv[0] if xv else np.array([element_of(header.labels[s]) for s in header.species])
    hamiltonian, fermi_level = _through_sisl(file, header, xv)
    geometry = hamiltonian.geometry
    # along an axis with a single cell, matrix elements with all images are summed: no R, hence not periodic
    atoms = ase.Atoms(numbers, positions=geometry.xyz, cell=geometry.cell, pbc=geometry.nsc > 1)
    orbitals = OrbitalMap(numbers, _shells_by_element(file, header, numbers), "siesta")
    operators = {
        "hamiltonian": _operator(file, hamiltonian, 0, orbitals),
        "overlap": _operator(file, hamiltonian, hamiltonian.S_idx, orbitals),
    }
    dm = file.with_suffix(".DM")
    if dm.is_file():
        check_dm(dm, header.n_orbitals)
        operators["density"] = _operator(dm, _density_through_sisl(dm, geometry), 0, orbitals)
    info = SampleInfo(
        energy_unit="eV",
        electrons=header.electrons,
        fermi_level=fermi_level,
        smearing=header.smearing,
        group=name,
    )
    return check_sample(Sample(name, atoms, orbitals.basis, operators, info), str(file))


def _through_sisl(
    file: Path, header: HsxHeader, xv: tuple[IntArray, FloatArray, FloatArray] | None
) -> tuple[Any, float | None]:
    """The Hamiltonian as sisl's object (eV, not shifted) and the Fermi level (eV, None in old files)."""
    sisl = _sisl()
    options = {}
    if header.version == 0:
        if xv is None:
            raise DataError(f"{file}: a file of SIESTA before 5 has no lattice; put {file.stem}.XV beside it")
        options["geometry"] = sisl.Geometry(xv[2], xv[0], sisl.Lattice(xv[1], nsc=[1, 1, 1]))
    # a subclass undoes what sisl does otherwise: it subtracts E_F S from H and knows gfortran's flag of precision only
    reader = sisl.io.siesta.hsxSileSiesta
    changes = {"_stored_dtype": np.float64, "read_fermi_level": lambda self: 0.0}  # any flag of precision, no shift
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hamiltonian = type("Hsx", (reader,), changes)(str(file)).read_hamiltonian(**options)
            level = reader(str(file)).read_fermi_level()
    except Exception as error:  # sisl raises whatever it trips over
        raise DataError(f"{file}: sisl cannot read it: {error}") from error
    return hamiltonian, None if level is None else float(level)


def _density_through_sisl(file: Path, geometry: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _sisl().io.siesta.dmSileSiesta(str(file)).read_density_matrix(geometry=geometry.copy())
    except Exception as error:  # sisl raises whatever it trips over
        raise DataError(f"{file}: sisl cannot read it: {error}") from error


def _operator(file: Path, matrix: Any, component: int, orbitals: OrbitalMap) -> BlockMatrix:
    elements = matrix.tocsr(component).tocoo()
    n_orbitals = matrix.shape[0]
    # columns run over the orbitals of the supercell, cell after cell
    cell, column = np.divmod(elements.col.astype(np.int64), n_orbitals)
    shifts = np.asarray(matrix.geometry.lattice.sc_off, dtype=np.int64)[cell]
    try:
        blocks = orbitals.blocks(elements.row.astype(np.int64), column, shifts, elements.data.astype(np.float64))
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    check_hermitian(blocks, str(file), "elements")
    return blocks


def _shells_by_element(file: Path, header: HsxHeader, numbers: IntArray) -> dict[int, tuple[int, ...]]:
    shells: dict[int, tuple[int, ...]] = {}
    for z, species in zip(numbers.tolist(), header.species.tolist()):
        if shells.setdefault(z, header.shells[species]) != header.shells[species]:
            raise DataError(f"{file}: species {header.labels[species]!r}: species of one element have different shells")
    return shells


def _read_xv(file: Path, n_atoms: int) -> tuple[IntArray, FloatArray, FloatArray] | None:
    """Atomic numbers (N,), cell (3, 3) and positions (N, 3) in Angstrom; None where there is no such file."""
    if not file.is_file():
        return None
    try:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        cell = np.array([[float(word) for word in words[:3]] for words in lines[:3]]) * BOHR_ANGSTROM
        rows = lines[4 : 4 + n_atoms]
        numbers = np.array([int(words[1]) for words in rows])
        positions = np.array([[float(word) for word in words[2:5]] for words in rows]) * BOHR_ANGSTROM
        stated = int(lines[3][0])
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{file}: malformed: {error}") from error
    if not stated == len(numbers) == n_atoms or cell.shape != (3, 3) or positions.shape != (n_atoms, 3):
        raise DataError(f"{file}: has {stated} atoms, the HSX file beside it has {n_atoms}")
    if numbers.min() < 1 or numbers.max() > 118:
        raise DataError(f"{file}: atomic numbers must lie in 1..118 (ghost atoms are not supported)")
    return numbers, cell, positions


def _hsx_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        if path.suffix == ".HSX":
            yield path
        return
    for folder in folders_with(path, ["*.HSX"]):
        yield from sorted(folder.glob("*.HSX"))


def _sisl() -> Any:
    try:
        import sisl
        import sisl.io.siesta
    except ImportError as error:
        raise DataError("SIESTA's files are read with sisl: pip install 'slembench[formats]'") from error
    return sisl
