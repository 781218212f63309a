"""One structure with its operators: returned by every reader and every data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import ase
import numpy as np
from ase.data import chemical_symbols

from slembench.core.errors import DataError
from slembench.operators.blocks import BlockMatrix, pair_keys
from slembench.operators.orbitals import Basis

# units in which samples are handed out; readers convert Ry to one of them
ENERGY_WORDS = ("eV", "Hartree")


@dataclass(frozen=True)
class SampleInfo:
    """Scalars of a sample. Energies are in ``energy_unit`` except ``smearing``.

    Attributes:
        energy_unit: "eV" or "Hartree"; unit of the Hamiltonian, ``energy`` and ``fermi_level``.
        energy_zero: what energies are measured from ("vacuum", "cell average", "unknown" ...).
        electrons: electrons in the cell that the operators describe (valence electrons under a pseudopotential).
        energy: total energy.
        fermi_level: Fermi level.
        kmesh: k mesh of the self-consistent run.
        smearing: width of the occupation function, eV.
        group: parent id; structures of one group (a trajectory, a molecule) are resampled together.
    """

    energy_unit: str = "eV"
    energy_zero: str = "unknown"
    electrons: float | None = None
    energy: float | None = None
    fermi_level: float | None = None
    kmesh: tuple[int, int, int] | None = None
    smearing: float | None = None
    group: str = ""


@dataclass(frozen=True, eq=False)
class Sample:
    """A structure, its basis and its operators.

    Attributes:
        id: unique within a data set.
        atoms: positions and cell in Angstrom.
        basis: shells per element, at least of the elements that occur.
        operators: "hamiltonian", "overlap", "density" -> blocks in canonical orbital order. A data set gives one
            triangle of the pairs (`BlockMatrix.complete` makes both); values may be read-only.
        info: scalars.

    Example:
        >>> from slembench.operators import SYMBOLS
        >>> basis, atoms = Basis.parse({"H": "1s"}), ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
        >>> overlap = BlockMatrix.from_dense(basis, atoms.numbers, np.array([[1.0, 0.66], [0.66, 1.0]]))
        >>> sample = Sample("h2", atoms, basis, {"overlap": overlap}, SampleInfo(electrons=2.0))
        >>> [SYMBOLS[name] for name in check_sample(sample, "h2.xyz").operators]
        ['S']
    """

    id: str
    atoms: ase.Atoms
    basis: Basis
    operators: dict[str, BlockMatrix]
    info: SampleInfo = field(default_factory=SampleInfo)


def check_sample(sample: Sample, where: str) -> Sample:
    """Check the contents of a sample; returns the sample itself.

    Args:
        sample: what a reader made.
        where: file (or folder) it came from, named in errors.

    Raises:
        DataError: an element without shells, a position, cell or operator value that is not finite, an unknown energy
            unit, or operators of other atoms; names ``where``, the structure and the key.
    """
    place = f"{where}: structure {sample.id!r}"
    if sample.info.energy_unit not in ENERGY_WORDS:
        raise DataError(
            f"{place}: key 'energy_unit': {sample.info.energy_unit!r} is not one of {', '.join(ENERGY_WORDS)}"
        )
    unknown = sorted(set(sample.atoms.numbers.tolist()) - set(sample.basis.elements))
    if unknown:
        known = ", ".join(chemical_symbols[z] for z in sample.basis.elements)
        raise DataError(f"{place}: key 'numbers': element {element_name(unknown[0])} has no shells (basis has {known})")
    for key, array in (("positions", sample.atoms.positions), ("cell", sample.atoms.cell.array)):
        if not np.isfinite(array).all():
            raise DataError(f"{place}: key {key!r}: holds a value that is not finite")
    for key, operator in sample.operators.items():
        if not np.array_equal(operator.numbers, sample.atoms.numbers):
            raise DataError(f"{place}: key {key!r}: blocks of other atoms than the structure's")
        check_finite(operator, place, key)
    return sample


def check_finite(operator: BlockMatrix, place: str, key: str) -> None:
    """Refuse an operator with a value that is not finite.

    Raises:
        DataError: names ``place``, ``key`` and the first bad block.
    """
    finite = np.isfinite(operator.values)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        pair = int(operator.element_pair[bad[0]])
        raise DataError(
            f"{place}: key {key!r}: {len(bad)} of {len(operator.values)} values are NaN or infinite,"
            f" the first in block {pair_name(operator, pair)}"
        )


def on_common_pairs(operators: dict[str, BlockMatrix]) -> dict[str, BlockMatrix]:
    """Both directions of every pair, the same pairs in every operator: those of the first, then what others add.

    Args:
        operators: operators of one structure; a pair that one of them lacks is a block of zeros.
    """
    full = {name: operator.complete() for name, operator in operators.items()}
    parts = list(full.values())
    index = np.concatenate([part.pair_index for part in parts])
    shift = np.concatenate([part.pair_shift for part in parts])
    # the first place of each distinct pair, in order: pairs of the first operator, then what the others add
    first = np.sort(np.unique(pair_keys(index, shift), return_index=True)[1])
    return {name: operator.align(index[first], shift[first])[0] for name, operator in full.items()}


def pair_name(operator: BlockMatrix, pair: int) -> str:
    """Text such as ``i=0 j=5 R=(1, 0, 0)`` for one pair of an operator."""
    i, j = operator.pair_index[pair].tolist()
    return f"i={i} j={j} R={tuple(operator.pair_shift[pair].tolist())}"


def element_name(z: int) -> str:
    """Chemical symbol, or the number itself where it is not an atomic number."""
    return chemical_symbols[z] if 0 < z < len(chemical_symbols) else str(z)
