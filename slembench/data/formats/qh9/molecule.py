"""One molecule of QH9: its fields checked, its Hamiltonian in canonical order; padded blocks of many.

The level is RKS B3LYP/def2-SVP (PySCF's functional ``b3lyp5``), Hartree, orbitals in PySCF's order. Source: QH9, and
its loader in the repository divelab/AIRS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from slembench.core.errors import DataError
from slembench.data.formats.safe.unpickle import Skipped
from slembench.data.padded import MoleculeAtoms, PaddedBlocks, PaddedLayout
from slembench.data.sample import Sample, SampleInfo
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import CONVENTIONS, Basis, FloatArray, IntArray

BASIS = Basis.parse({"H": "2s1p", **dict.fromkeys("CNOF", "3s2p1d")})
"""def2-SVP."""

BOHR = 1.8897259886
"""QH9's own Bohr in an Angstrom; positions of the dynamic sets are divided by it."""

SYMMETRY = 1e-6
"""Largest |H - H^T| in Hartree that a Hamiltonian may have."""

LAYOUT = PaddedLayout(BASIS)
"""Padded blocks of QHNet: 14 x 14."""


@dataclass(frozen=True, eq=False)
class Molecule:
    """A row of a QH9 file.

    Attributes:
        id: number of the molecule.
        frame: number of the geometry in a dynamic set; None in the stable one.
        numbers: (N,) int64 atomic numbers.
        positions: (N, 3) Angstrom.
        raw: (n, n) Hartree | Hamiltonian in PySCF's order, as it is in the file; read-only.
        energy: potential energy in Hartree where the file has it.
        converged: whether the self-consistent run converged, where the file says so.
        raw_initial: (n, n) Hartree | Fock matrix of the initial guess in PySCF's order; re-packed files have it.
    """

    id: int
    frame: int | None
    numbers: IntArray
    positions: FloatArray
    raw: FloatArray
    energy: float | None = None
    converged: bool | None = None
    raw_initial: FloatArray | None = None

    @cached_property
    def hamiltonian(self) -> FloatArray:
        """(n, n) Hartree | canonical order."""
        return _in_order(self.raw, self.numbers)

    @property
    def initial(self) -> FloatArray | None:
        """(n, n) Hartree | canonical order; Fock matrix of the initial guess, where the file has it."""
        return None if self.raw_initial is None else _in_order(self.raw_initial, self.numbers)

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
    odd = set(numbers.tolist()).difference(BASIS.elements)
    if odd or not size:
        raise DataError(f"{place}: key 'atoms': QH9 holds H, C, N, O and F, not {sorted(odd) or 'nothing'}")
    # before any array is made: the stated number of atoms fixes the size that every field must have
    orbitals = int(_SIZES[numbers].sum())
    positions = _array(fields["pos"], 3 * size, "f", place, "pos").astype(np.float64).reshape(-1, 3) / scale
    if not np.isfinite(positions).all():
        raise DataError(f"{place}: key 'pos': holds values that are not finite")
    energy, converged, frame = fields.get("epot"), fields.get("converged"), fields.get("geo_id")
    return Molecule(
        id=_integer(fields["id"], place, "id"),
        frame=None if frame is None else _integer(frame, place, "geo_id"),
        numbers=numbers,
        positions=positions,
        raw=_matrix(fields["Ham"], orbitals, place, "Ham"),
        energy=float(energy) if isinstance(energy, float | int) else None,
        converged=None if converged is None else bool(_integer(converged, place, "converged")),
        raw_initial=None if "Ham_init" not in fields else _matrix(fields["Ham_init"], orbitals, place, "Ham_init"),
    )


def padded_molecules(molecules: Iterable[Molecule]) -> PaddedBlocks:
    """The blocks of some molecules in one array each; an empty selection has no atoms."""
    parts = list(molecules)
    counts = np.array([len(part.numbers) for part in parts], dtype=np.int64)
    atoms = MoleculeAtoms(counts)
    numbers = np.concatenate([np.zeros(0, np.int64), *(part.numbers for part in parts)])
    index = _padded_orbitals(numbers, atoms)
    onsite, pair = (np.empty((n, LAYOUT.width, LAYOUT.width)) for n in (len(numbers), len(atoms.pair_index)))
    bounds = zip(parts, counts.tolist(), atoms.first.tolist(), atoms.first_pair.tolist())
    for part, n, first, first_pair in bounds:
        own = _own_blocks(part.raw, index[first : first + n].reshape(-1))
        onsite[first : first + n] = own[:: n + 1]
        # without the diagonal, n blocks follow each of the first n - 1 diagonal ones
        off = pair[first_pair : first_pair + n * (n - 1)].reshape(n - 1, n, *own.shape[1:])
        off[...] = own[1:].reshape(n - 1, n + 1, *own.shape[1:])[:, :-1]
    return PaddedBlocks(
        layout=LAYOUT,
        numbers=numbers,
        positions=np.concatenate([np.zeros((0, 3)), *(part.positions for part in parts)]),
        molecule=atoms.molecule,
        pair_index=atoms.pair_index,
        onsite=onsite,
        pair=pair,
    )


def _padded_orbitals(numbers: IntArray, atoms: MoleculeAtoms) -> IntArray:
    """(A, 14) int64 | PySCF's orbital, within the molecule, in each slot of an atom; one beyond the last if none."""
    sizes = BASIS.sizes(numbers)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    first = ends[atoms.first]
    last = ends[np.append(atoms.first[1:], len(numbers))] - first
    start = (ends[:-1] - first[atoms.molecule])[:, None]
    return np.asarray(np.where(_PADDED[numbers] < 0, last[atoms.molecule, None], start + _PADDED[numbers]))


def _own_blocks(raw: FloatArray, index: IntArray) -> FloatArray:
    """(N * N, 14, 14) | block of row atom j and column atom i in place i * N + j; index as `_padded_orbitals`."""
    n, width = len(raw), LAYOUT.width
    # one row and column of zeros more: slots without an orbital point there
    wide = np.zeros((n + 1, n + 1))
    wide[:n, :n] = raw
    atoms = len(index) // width
    grid = wide[index].take(index, axis=1).reshape(atoms, width, atoms, width)  # faster than both at once
    return np.ascontiguousarray(grid.transpose(2, 0, 1, 3)).reshape(-1, width, width)


def canonical_order(numbers: IntArray) -> IntArray:
    """(n,) int64 | PySCF orbital of each canonical one."""
    first = np.concatenate([[0], np.cumsum(BASIS.sizes(numbers))[:-1]])
    return np.asarray((first[:, None] + _SOURCE[numbers])[_ORBITAL[numbers]])


def _tables() -> tuple[IntArray, NDArray[np.bool_], IntArray]:
    """PySCF's orbital of each canonical one, which of the 14 there are, and that of each slot (-1), for Z up to 9."""
    source, orbital = np.zeros((10, LAYOUT.width), np.int64), np.zeros((10, LAYOUT.width), bool)
    padded = np.full((10, LAYOUT.width), -1)
    for z, shells in BASIS.shells.items():
        index = CONVENTIONS["pyscf"].index(shells)[0]
        source[z, : len(index)], orbital[z, : len(index)] = index, True
        padded[z, LAYOUT.slots[z]] = index
    return source, orbital, padded


# tables by atomic number, so that whole molecules are permuted by one indexing operation
_SOURCE, _ORBITAL, _PADDED = _tables()
_SIZES = _ORBITAL.sum(axis=1)
_PROBE = np.random.default_rng(0).uniform(0.5, 1.0, 1024)  # no asymmetry cancels in a product with random numbers


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


def _matrix(value: Any, orbitals: int, place: str, key: str) -> FloatArray:
    matrix = _array(value, orbitals**2, "f", place, key).astype(np.float64, copy=False).reshape(orbitals, orbitals)
    probe = _PROBE[:orbitals] if orbitals <= len(_PROBE) else np.resize(_PROBE, orbitals)
    with np.errstate(all="ignore"):
        if np.abs(matrix @ probe - probe @ matrix).max() < SYMMETRY / 1000:  # several times faster than the difference
            return matrix
        error = (matrix - matrix.T).max()  # the largest |difference|, since each occurs with both signs
    if not np.isfinite(error):
        raise DataError(f"{place}: key {key!r}: holds values that are not finite")
    if error > SYMMETRY:
        raise DataError(f"{place}: key {key!r}: is not symmetric, by {error:.1e} Hartree")
    return matrix


def _in_order(raw: FloatArray, numbers: IntArray) -> FloatArray:
    """A matrix of PySCF's order in canonical order."""
    order = canonical_order(numbers)
    return np.asarray(raw[order].take(order, axis=1))  # several times faster than both at once


def _kind(value: Any) -> str:
    """Type of a value in words, for messages."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.size} {value.dtype}"
    return f"a {value.name}" if isinstance(value, Skipped) else f"a {type(value).__name__}"
