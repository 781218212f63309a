"""Output of ABACUS with atomic orbitals: csr text of H, S and D, structure from STRU, shells from the orbital files.

H is in Ry of ABACUS's own size, turned into eV; orbitals run m = 0, +1, -1, ... with a factor (-1)^m. Only nspin 1.
Source: a MoS2 run whose eigenvalues (istate.info) are reproduced and which exists in the new DeepH layout as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from slembench.core.errors import DataError
from slembench.data.formats.abacus.csr import read_csr
from slembench.data.formats.abacus.orbitals import run_log, species_shells
from slembench.data.formats.abacus.stru import Stru, read_stru
from slembench.data.formats.folders import element_of, folders_with
from slembench.data.formats.orbital_order import check_hermitian
from slembench.data.formats.sparse import OrbitalMap
from slembench.data.sample import Sample, SampleInfo, check_sample
from slembench.operators.blocks import BlockMatrix
from slembench.operators.units import ABACUS_RYDBERG_EV

MATRIX_FILES = {
    "hamiltonian": ("data-HR-sparse_SPIN0.csr", "hrs1_nao.csr", "hrs1g*_nao.csr"),
    "overlap": ("data-SR-sparse_SPIN0.csr", "srs1_nao.csr", "sr_nao.csr", "srs1g*_nao.csr", "srg*_nao.csr", "SR.csr"),
    "density": ("data-DMR-sparse_SPIN0.csr", "dmrs1_nao.csr", "dmrs1g*_nao.csr"),
}
"""Operator -> names of its file in all versions (glob patterns); the density matrix carries the factor 2 of spin."""

SECOND_SPIN = ("data-HR-sparse_SPIN1.csr", "hrs2*_nao.csr", "data-DMR-sparse_SPIN1.csr", "dmrs2*_nao.csr")


def detect(path: Path) -> list[str]:
    """Evidence that ``path`` is an output folder of ABACUS, a run's folder, or a folder of runs."""
    folder = next(_output_folders(path), None)
    if folder is None:
        return []
    return [str(file.relative_to(path)) for files in _matrix_files(folder).values() for file in files]


def read(path: Path) -> Iterator[Sample]:
    """Samples of an output folder (OUT.*), of a run's folder, or of all runs in a folder.

    Raises:
        DataError: no output of ABACUS, or anything `read_output` refuses.
    """
    folders = list(_output_folders(path))
    if not folders:
        raise DataError(f"{path}: no folder with data-HR-sparse_SPIN0.csr, hrs1_nao.csr or the like at or below it")
    return map(read_output, folders)


def read_output(folder: Path) -> Sample:
    """The structure of one output folder with the operators whose files are there.

    Args:
        folder: the folder of the csr files; STRU and INPUT are looked for there and one level above.

    Returns:
        Sample in eV and Angstrom; the id is the run's folder, energy zero "unknown".

    Raises:
        DataError: a missing or damaged file, several ionic steps, a calculation with spin, shells that are nowhere
            stated or do not fit the matrices, or matrices that are not Hermitian.
    """
    nspin = _input_key(folder, "nspin", "1")
    if nspin != "1":
        raise DataError(
            f"{folder}: INPUT says nspin {nspin}; matrices with spin are not supported, give a run of nspin 1"
        )
    second = sorted(file.name for name in SECOND_SPIN for file in folder.glob(name))
    if second:
        raise DataError(f"{folder}: {second[0]} is the second of two spins; matrices with spin are not supported")
    place = folder.resolve()
    run = place.parent.name if place.name.startswith("OUT.") else place.name
    structure = read_stru(_near(folder, _input_key(folder, "stru_file", "STRU")), _input_key(folder, "latname", "none"))
    numbers = structure.atoms.numbers.astype(int)
    shells = _shells_by_element(species_shells(folder, structure), structure)
    orbitals = OrbitalMap(numbers, shells, "abacus")
    operators = {}
    # H is in Rydberg of ABACUS's own size, not CODATA's; S and D are dimensionless
    for name, files in _matrix_files(folder).items():
        if len(files) > 1:
            raise DataError(
                f"{folder}: {', '.join(file.name for file in files)}: several files of one matrix, leave one"
            )
        operators[name] = _operator(files[0], orbitals, ABACUS_RYDBERG_EV if name == "hamiltonian" else 1.0)
    log = run_log(folder)
    log_place = f"{folder}: running_*.log (running_scf.log)"
    info = SampleInfo(
        energy_unit="eV",
        electrons=_last(r"AUTOSET number of electrons[:\s]*=\s*(\S+)", log, log_place),
        energy=_last(r"!FINAL_ETOT_IS\s+(\S+)\s+eV", log, log_place),
        fermi_level=_last(r"EFERMI\s*=\s*(\S+)\s+eV", log, log_place),
        group=run,
    )
    return check_sample(Sample(run, structure.atoms, orbitals.basis, operators, info), str(folder))


def _operator(file: Path, orbitals: OrbitalMap, unit: float) -> BlockMatrix:
    elements = read_csr(file)
    total = int(orbitals.basis.sizes(orbitals.numbers).sum())
    if elements.size != total:
        known = ", ".join(f"{symbol} {shells}" for symbol, shells in orbitals.basis.to_dict().items())
        spin = "; twice as many are those of nspin 4, which is not supported" if elements.size == 2 * total else ""
        raise DataError(f"{file}: matrices of {elements.size} orbitals, the atoms of STRU have {total} ({known}){spin}")
    try:
        matrix = orbitals.blocks(elements.rows, elements.columns, elements.shifts, elements.values * unit)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    check_hermitian(matrix, str(file), "elements")
    return matrix


def _shells_by_element(shells: dict[str, tuple[int, ...]], structure: Stru) -> dict[int, tuple[int, ...]]:
    by_element: dict[int, tuple[int, ...]] = {}
    for label, count in zip(structure.species, structure.counts):
        if count and by_element.setdefault(element_of(label), shells[label]) != shells[label]:
            raise DataError(
                f"species {label!r}: two species of one element have different shells, which is not supported"
            )
    return by_element


def _output_folders(path: Path) -> Iterator[Path]:
    names = [name for names in MATRIX_FILES.values() for name in names]
    seen: set[Path] = set()
    for name in names:
        for folder in folders_with(path, [name]):
            if folder not in seen:
                seen.add(folder)
                yield folder


def _matrix_files(folder: Path) -> dict[str, list[Path]]:
    found = {key: sorted({file for name in names for file in folder.glob(name)}) for key, names in MATRIX_FILES.items()}
    return {key: files for key, files in found.items() if files}


def _near(folder: Path, name: str) -> Path:
    """A file of the output folder or of the run's folder above it."""
    for place in (folder, folder.parent):
        if (place / name).is_file():
            return place / name
    raise DataError(f"{folder}: no {name} there or in the folder above; put the run's structure file there")


def _input_key(folder: Path, key: str, default: str) -> str:
    """Value of a key of the run's INPUT; the default where there is no such file or key."""
    for place in (folder.parent, folder):
        if (place / "INPUT").is_file():
            text = (place / "INPUT").read_text(encoding="utf-8", errors="replace")
            match = re.search(rf"^\s*{key}\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
            if match:
                return match[1]
    return default


def _last(pattern: str, text: str, place: str) -> float | None:
    """The last number that a pattern finds: of a relaxation, that of the final structure."""
    found = re.findall(pattern, text)
    try:
        return float(found[-1]) if found else None
    except ValueError as error:
        raise DataError(f"{place}: {found[-1]!r} is no number") from error
