"""One molecule of QH9: its fields checked, its Hamiltonian in canonical order; padded blocks of many.

The level is RKS B3LYP/def2-SVP (PySCF's functional ``b3lyp5``), Hartree, orbitals in PySCF's order. Source: QH9, and
its loader in the repository divelab/AIRS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.blocks import BlockMatrix
from slembench.data.sample import Sample, SampleInfo
from slembench.data.unpickle import Skipped
from slembench.errors import DataError
from slembench.orbitals import CONVENTIONS, Basis, FloatArray, IntArray

BASIS = Basis.parse({"H": "2s1p", **dict.fromkeys("CNOF", "3s2p1d")})
"""def2-SVP."""

BOHR = 1.8897259886
"""QH9's own Bohr in an Angstrom; positions of the dynamic sets are divided by it."""

SYMMETRY = 1e-6
"""Largest |H - H^T| in Hartree that a Hamiltonian may have."""

WIDTH = 14
"""Orbitals of the largest atom: the side of a padded block."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """A row of a QH9 file.

    Attributes:
        id: number of the molecule.
        frame: number of the geometry in a dynamic set; None in the stable one.
        numbers: (N,) int64 atomic numbers.
        positions: (N, 3) Angstrom.
        hamiltonian: (n, n) Hartree | canonical order.
        energy: potential energy in Hartree where the file has it.
        converged: whether the self-consistent run converged, where the file says so.
        initial: (n, n) Hartree | Fock matrix of the initial guess, in re-packed files that have it.
    """

    id: int
    frame: int | None
    numbers: IntArray
    positions: FloatArray
    hamiltonian: FloatArray
    energy: float | None = None
    converged: bool | None = None
    initial: FloatArray | None = None

    @property
    def name(self) -> str:
        """The sample's id: ``17``, or ``17_3`` for geometry 3 of a dynamic set."""
        return str(self.id) if self.frame is None else f"{self.id}_{self.frame}"

    def sample(self) -> Sample:
        """The molecule with its Hamiltonian as blocks of all pairs; electrons are those of the neutral molecule."""
        hamiltonian = BlockMatrix.from_dense(BASIS, self.numbers, self.hamiltonian)
        info = SampleInfo(
            energy_unit="Hartree",
            energy_zero="vacuum",
            electrons=float(self.numbers.sum()),
            energy=self.energy,
            group=str(self.id),
        )
        atoms = ase.Atoms(self.numbers, self.positions)
        return Sample(self.name, atoms, BASIS, {"hamiltonian": hamiltonian}, info)


@dataclass(frozen=True, eq=False)
class PaddedBlocks:
    """Blocks of many molecules, each padded with zeros to 14 x 14; all pairs of atoms within each molecule.

    The layout of QHNet and its descendants: hydrogen's orbitals stand in slots 0, 1, 3, 4, 5.

    Attributes:
        numbers: (A,) int64 atomic numbers of all molecules.
        positions: (A, 3) Angstrom.
        molecule: (A,) int64 | which molecule an atom belongs to.
        pair_index: (P, 2) int64 | row atom and column atom of each off-site block, sorted by column, then row.
        onsite: (A, 14, 14) Hartree.
        pair: (P, 14, 14) Hartree.
    """

    numbers: IntArray
    positions: FloatArray
    molecule: IntArray
    pair_index: IntArray
    onsite: FloatArray
    pair: FloatArray

    def masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(A, 14, 14) and (P, 14, 14) bool | elements that are not padding."""
        there = _THERE[self.numbers]
        rows, columns = there[self.pair_index.T]
        return there[:, :, None] & there[:, None, :], rows[:, :, None] & columns[:, None, :]


def decode(fields: Mapping[str, Any], place: str, scale: float = 1.0) -> Molecule:
    """Molecule from the fields of a row, arrays or bytes of them.

    Args:
        fields: id, num_nodes, atoms, pos, Ham; geo_id, epot, converged, Ham_init where there are.
        place: file and row, named in errors.
        scale: length unit of the file in an Angstrom, by which positions are divided.

    Raises:
        DataError: a field that is missing or of the wrong size or type, another element than H, C, N, O, F, a value
            that is not finite, or a Hamiltonian that is not symmetric; names file, row and field.
    """
    missing = [key for key in ("id", "num_nodes", "atoms", "pos", "Ham") if fields.get(key) is None]
    if missing:
        raise DataError(f"{place}: key {missing[0]!r}: missing")
    size = _integer(fields["num_nodes"], place, "num_nodes")
    numbers = _array(fields["atoms"], size, "i", place, "atoms").astype(np.int64)
    odd = set(numbers.tolist()) - set(BASIS.elements)
    if odd or not size:
        raise DataError(f"{place}: key 'atoms': QH9 holds H, C, N, O and F, not {sorted(odd) or 'nothing'}")
    orbitals = int(BASIS.sizes(numbers).sum())
    positions = _array(fields["pos"], 3 * size, "f", place, "pos").astype(np.float64).reshape(-1, 3) / scale
    if not np.isfinite(positions).all():
        raise DataError(f"{place}: key 'pos': holds values that are not finite")
    energy, converged, frame = fields.get("epot"), fields.get("converged"), fields.get("geo_id")
    return Molecule(
        id=_integer(fields["id"], place, "id"),
        frame=None if frame is None else _integer(frame, place, "geo_id"),
        numbers=numbers,
        positions=positions,
        hamiltonian=_matrix(fields["Ham"], numbers, orbitals, place, "Ham"),
        energy=float(energy) if isinstance(energy, float | int) else None,
        converged=None if converged is None else bool(_integer(converged, place, "converged")),
        initial=None if "Ham_init" not in fields else _matrix(fields["Ham_init"], numbers, orbitals, place, "Ham_init"),
    )


def padded_blocks(molecules: Iterable[Molecule]) -> PaddedBlocks:
    """The blocks of some molecules in one array each; an empty selection has no atoms."""
    parts = list(molecules)
    counts = np.array([len(part.numbers) for part in parts], dtype=np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    pairs = np.concatenate([[0], np.cumsum(counts * (counts - 1))])
    onsite = np.empty((first[-1], WIDTH, WIDTH))
    pair, index = np.empty((pairs[-1], WIDTH, WIDTH)), np.empty((pairs[-1], 2), dtype=np.int64)
    for part, start, stop, a, b in zip(parts, first[:-1], first[1:], pairs[:-1], pairs[1:]):
        own = _own_blocks(part)
        atoms = np.arange(start, stop)
        onsite[start:stop] = own[np.arange(len(atoms)), np.arange(len(atoms))]
        pair[a:b] = _without_diagonal(own)
        index[a:b, 0] = _without_diagonal(np.broadcast_to(atoms, (len(atoms),) * 2).copy())
        index[a:b, 1] = np.repeat(atoms, len(atoms) - 1)
    return PaddedBlocks(
        numbers=np.concatenate([np.zeros(0, np.int64), *(part.numbers for part in parts)]),
        positions=np.concatenate([np.zeros((0, 3)), *(part.positions for part in parts)]),
        molecule=np.repeat(np.arange(len(parts)), counts),
        pair_index=index,
        onsite=onsite,
        pair=pair,
    )


def _own_blocks(molecule: Molecule) -> FloatArray:
    """(N, N, 14, 14) | block of column atom i and row atom j."""
    n = len(molecule.numbers)
    slots = (WIDTH * np.arange(n)[:, None] + _SLOT[molecule.numbers])[_ORBITAL[molecule.numbers]]
    columns, matrix = np.zeros((len(slots), n * WIDTH)), np.zeros((n * WIDTH, n * WIDTH))
    columns[:, slots] = molecule.hamiltonian
    matrix[slots] = columns
    return np.ascontiguousarray(matrix.reshape(n, WIDTH, n, WIDTH).transpose(2, 0, 1, 3))


def _without_diagonal(table: NDArray[Any]) -> NDArray[Any]:
    """(n (n - 1), ...) | entries off the diagonal of a contiguous (n, n, ...) array, row by row."""
    n, rest = len(table), table.shape[2:]
    return table.reshape(n * n, *rest)[1:].reshape(n - 1, n + 1, *rest)[:, :-1].reshape(n * (n - 1), *rest)


def canonical_order(numbers: IntArray) -> IntArray:
    """(n,) int64 | PySCF orbital of each canonical one."""
    first = np.concatenate([[0], np.cumsum(BASIS.sizes(numbers))[:-1]])
    return np.asarray((first[:, None] + _SOURCE[numbers])[_ORBITAL[numbers]])


def _tables() -> tuple[IntArray, IntArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """For each atomic number up to 9: source orbital, padded slot, which of the 14 orbitals and slots are there."""
    source, slot = np.zeros((10, WIDTH), np.int64), np.zeros((10, WIDTH), np.int64)
    orbital, there = np.zeros((10, WIDTH), bool), np.zeros((10, WIDTH), bool)
    union = np.concatenate([[0], np.cumsum([2 * l + 1 for l in BASIS.union])])
    for z, shells in BASIS.shells.items():
        index = CONVENTIONS["pyscf"].index(shells)[0]
        place = [shells[:k].count(l) + BASIS.union.index(l) for k, l in enumerate(shells)]
        slots = np.concatenate([np.arange(union[p], union[p + 1]) for p in place])
        source[z, : len(index)], slot[z, : len(index)] = index, slots
        orbital[z, : len(index)] = there[z, slots] = True
    return source, slot, orbital, there


_SOURCE, _SLOT, _ORBITAL, _THERE = _tables()


def _integer(value: Any, place: str, key: str) -> int:
    """An integer, or eight bytes that hold one."""
    if isinstance(value, bytes) and len(value) == 8:
        return int.from_bytes(value, "little", signed=True)
    if not isinstance(value, int | np.integer):
        raise DataError(f"{place}: key {key!r}: must be an integer, is {_kind(value)}")
    return int(value)


def _array(value: Any, count: int, kind: str, place: str, key: str) -> NDArray[Any]:
    """``count`` numbers of a kind ("i" or "f") from an array or from little-endian bytes."""
    if isinstance(value, bytes):
        width = len(value) // count if count > 0 else 0
        if width * count != len(value) or width not in (4, 8):
            raise DataError(f"{place}: key {key!r}: {len(value)} bytes do not hold {count} numbers")
        return np.frombuffer(value, f"<{kind}{width}")
    if not isinstance(value, np.ndarray) or value.dtype.kind != kind or value.size != count:
        raise DataError(f"{place}: key {key!r}: must hold {count} numbers, is {_kind(value)}")
    return value.reshape(-1)


def _matrix(value: Any, numbers: IntArray, orbitals: int, place: str, key: str) -> FloatArray:
    raw = _array(value, orbitals**2, "f", place, key).astype(np.float64, copy=False).reshape(orbitals, orbitals)
    order = canonical_order(numbers)
    matrix = raw[order].take(order, axis=1)  # several times faster than both at once
    with np.errstate(invalid="ignore"):
        error = np.abs(matrix - matrix.T).max()
    if not np.isfinite(error):
        raise DataError(f"{place}: key {key!r}: holds values that are not finite")
    if error > SYMMETRY:
        raise DataError(f"{place}: key {key!r}: is not symmetric, by {error:.1e} Hartree")
    return matrix


def _kind(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.size} {value.dtype}"
    return f"a {value.name}" if isinstance(value, Skipped) else f"a {type(value).__name__}"
