"""Shells per element, and every program's orbital order and signs against the canonical convention.

Canonical convention: real spherical harmonics, m = -l..l within a shell (p = y, z, x;
d = xy, yz, z2, xz, x2-y2), positive Cartesian lobes (no Condon-Shortley sign), shells grouped by l,
then by zeta.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

SHELL_LETTERS = "spdfghi"

# used all over the package for annotations
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Basis:
    """Shells of each element: atomic number -> angular momenta, ascending (grouped by l, then zeta).

    Attributes:
        shells: atomic number -> tuple of l, one entry a shell, ascending.

    Raises:
        ValueError: no atomic number, an element without shells, or l that are not ascending or beyond i (6).

    Example:
        >>> basis = Basis({8: (0, 0, 1, 1, 2), 1: (0, 0, 1)})
        >>> basis.elements, basis.size(8), basis.lmax
        ((1, 8), 13, 2)
        >>> basis.sizes([8, 1, 1])
        array([13,  5,  5])
    """

    shells: Mapping[int, tuple[int, ...]]

    def __post_init__(self) -> None:
        for z, ls in self.shells.items():
            if not 1 <= z < len(chemical_symbols):
                raise ValueError(f"basis: {z} is not an atomic number")
            if not ls:
                raise ValueError(f"basis: element {chemical_symbols[z]} has no shells")
            if list(ls) != sorted(ls) or ls[0] < 0 or ls[-1] >= len(SHELL_LETTERS):
                raise ValueError(
                    f"basis: shells of {chemical_symbols[z]} must be ascending l <= {len(SHELL_LETTERS) - 1}, got {ls}"
                )
        object.__setattr__(self, "shells", dict(sorted(self.shells.items())))

    @classmethod
    def parse(cls, spec: Mapping[str, str | Sequence[int]]) -> Basis:
        """Basis from ``{"Mo": "3s2p2d", "S": [0, 0, 1, 1, 2]}``.

        Args:
            spec: chemical symbol -> shell string, or list of l in any order (sorted here).

        Raises:
            ValueError: unknown element, or a string that is not of the form ``3s2p2d``.

        Example:
            >>> Basis.parse({"Mo": "3s2p2d", "S": [0, 0, 1, 1, 2]}).shells
            {16: (0, 0, 1, 1, 2), 42: (0, 0, 0, 1, 1, 2, 2)}
        """
        return cls({_atomic_number(symbol): _shell_list(symbol, shells) for symbol, shells in spec.items()})

    @classmethod
    def from_shells(cls, shells: Mapping[int, Sequence[int]]) -> Basis:
        """Basis from atomic number -> l of each shell in any order, such as that of a source file.

        Example:
            >>> Basis.from_shells({6: [0, 1, 0]}).shells
            {6: (0, 0, 1)}
        """
        return cls({z: tuple(sorted(ls)) for z, ls in shells.items()})

    def to_dict(self) -> dict[str, str]:
        """Chemical symbol -> shell string such as ``3s2p2d``; the inverse of `parse`.

        Example:
            >>> Basis({6: (0, 0, 0, 1, 1, 2)}).to_dict()
            {'C': '3s2p1d'}
        """
        return {
            chemical_symbols[z]: "".join(f"{ls.count(l)}{SHELL_LETTERS[l]}" for l in sorted(set(ls)))
            for z, ls in self.shells.items()
        }

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(self.shells)

    @property
    def lmax(self) -> int:
        """Largest angular momentum of any shell."""
        return max(ls[-1] for ls in self.shells.values())

    @cached_property
    def union(self) -> tuple[int, ...]:
        """United shell list: for each l as many shells as the richest element has, ascending l.

        The one order in which shells of different elements are put into arrays of one shape (`union_index`).
        """
        counts = [max(ls.count(l) for ls in self.shells.values()) for l in range(self.lmax + 1)]
        return tuple(l for l, count in enumerate(counts) for _ in range(count))

    def union_index(self, z: int) -> IntArray:
        """Position in `union` of each shell of element ``z``: its first, second ... shell of an l is the union's.

        Returns:
            (n_shells,) int64, ascending.

        Example:
            >>> basis = Basis.parse({"H": "2s1p", "O": "3s2p1d"})
            >>> basis.union
            (0, 0, 0, 1, 1, 2)
            >>> basis.union_index(1)
            array([0, 1, 3])
        """
        shells = self.shells[z]
        return np.array([self.union.index(l) + shells[:k].count(l) for k, l in enumerate(shells)], dtype=np.int64)

    def size(self, z: int) -> int:
        """Number of orbitals of one atom of element ``z``."""
        return sum(2 * l + 1 for l in self.shells[z])

    @cached_property
    def _size_table(self) -> IntArray:
        # indexed by atomic number: one look-up for all atoms of a structure; -1 marks elements without shells
        table = np.full(len(chemical_symbols), -1, dtype=np.int64)
        for z in self.elements:
            table[z] = self.size(z)
        return table

    def sizes(self, numbers: NDArray[np.integer]) -> IntArray:
        """Orbitals of each atom.

        Args:
            numbers: (N,) atomic numbers.

        Returns:
            (N,) int64.

        Raises:
            ValueError: an element without shells in this basis.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        bad = (numbers < 1) | (numbers >= len(self._size_table))
        if bad.any():
            raise ValueError(f"{int(numbers[bad][0])} is not an atomic number")
        sizes: IntArray = self._size_table[numbers]
        if (sizes < 0).any():
            z = int(numbers[sizes < 0][0])
            known = ", ".join(chemical_symbols[e] for e in self.elements)
            raise ValueError(f"element {chemical_symbols[z]} has no shells in this basis (it knows {known})")
        return sizes

    def orbital_offsets(self, numbers: NDArray[np.integer]) -> IntArray:
        """First orbital of each atom and, last, the number of orbitals. (N + 1,) int64."""
        return np.concatenate([[0], np.cumsum(self.sizes(numbers))]).astype(np.int64)

    def shell_offsets(self, z: int) -> IntArray:
        """First orbital of each shell of element ``z`` and, last, its size. (n_shells + 1,) int64."""
        return np.concatenate([[0], np.cumsum([2 * l + 1 for l in self.shells[z]])]).astype(np.int64)

    def restrict(self, numbers: NDArray[np.integer]) -> Basis:
        """The same basis with only the elements that occur in ``numbers`` (N,)."""
        self.sizes(numbers)
        return Basis({z: self.shells[z] for z in sorted(set(np.asarray(numbers).tolist()))})


@dataclass(frozen=True)
class OrbitalConvention:
    """Order and sign of the m components of one source, for each l.

    ``canonical[k] = sign[l][k] * source[order[l][k]]``

    Attributes:
        name: name of the source.
        order: l -> for every canonical component the source component it comes from.
        sign: l -> +1 / -1 for every canonical component.
        note: what fixes it (formats.md of the project's design notes; a test on real files).
    """

    name: str
    order: Mapping[int, tuple[int, ...]]
    sign: Mapping[int, tuple[int, ...]]
    note: str

    def index(self, source_shells: Sequence[int]) -> tuple[IntArray, FloatArray]:
        """Map of one atom's orbitals from the source's order into the canonical one.

        Args:
            source_shells: l of each shell in the source's order (any order; sorted stably by l here).

        Returns:
            (n,) index and (n,) sign with ``canonical[k] = sign[k] * source[index[k]]``.

        Raises:
            ValueError: an l that this convention does not define.

        Example:
            PySCF has p as x, y, z and the canonical order is y, z, x:

            >>> CONVENTIONS["pyscf"].index([0, 1])[0].tolist()
            [0, 2, 3, 1]
        """
        starts = np.concatenate([[0], np.cumsum([2 * l + 1 for l in source_shells])])
        index: list[IntArray] = []
        sign: list[int] = []
        # stable: shells of one l keep the source's order, which is that of zeta
        for shell in sorted(range(len(source_shells)), key=lambda s: source_shells[s]):
            l = source_shells[shell]
            if l not in self.order:
                raise ValueError(f"orbital convention {self.name} does not define l = {l}")
            index.append(starts[shell] + np.array(self.order[l], dtype=np.int64))
            sign.extend(self.sign[l])
        return np.concatenate(index), np.array(sign, dtype=np.float64)


def _natural(lmax: int = 6) -> dict[int, tuple[int, ...]]:
    return {l: tuple(range(2 * l + 1)) for l in range(lmax + 1)}


def _positive(lmax: int = 6) -> dict[int, tuple[int, ...]]:
    return {l: (1,) * (2 * l + 1) for l in range(lmax + 1)}


def _from_zero(lmax: int = 6) -> dict[int, tuple[int, ...]]:
    """The source has m = 0, +1, -1, +2, -2 ..."""
    # m > 0 stands at 2m - 1, m <= 0 at -2m
    return {l: tuple(2 * m - 1 if m > 0 else -2 * m for m in range(-l, l + 1)) for l in range(lmax + 1)}


def _odd_flipped(lmax: int = 6) -> dict[int, tuple[int, ...]]:
    """The source keeps the Condon-Shortley factor (-1)^m in its real harmonics."""
    return {l: tuple(-1 if m % 2 else 1 for m in range(-l, l + 1)) for l in range(lmax + 1)}


CONVENTIONS: dict[str, OrbitalConvention] = {
    c.name: c
    for c in (
        OrbitalConvention("canonical", _natural(), _positive(), "m = -l..l, this project's own"),
        OrbitalConvention("deeph-new", _natural(), _positive(), "m = -l..l; s-p direction test on real files"),
        OrbitalConvention("deeptb", _natural(), _positive(), "m = -l..l; s-p direction test on real files"),
        # each entry was checked on files of the program, by a rule that its own documentation cannot get wrong: the
        # overlap of s with p points from atom to atom, rotated structures have rotated overlaps, or two programs' files
        # of one calculation agree element by element
        OrbitalConvention(
            "openmx",
            # canonical d = xy, yz, z2, xz, x2-y2 are numbers 2, 4, 0, 3, 1 of z2, x2-y2, xy, xz, yz
            {0: (0,), 1: (1, 2, 0), 2: (2, 4, 0, 3, 1), 3: (6, 4, 2, 0, 1, 3, 5)},
            _positive(3),
            "p = x,y,z; d = 3z2-r2,x2-y2,xy,xz,yz; also of legacy DeepH; equal to deeph-new on a real file",
        ),
        OrbitalConvention(
            "abacus", _from_zero(), _odd_flipped(), "m = 0,+1,-1 ..; equal to deeph-new on a real file with s to f"
        ),
        OrbitalConvention("siesta", _natural(), _odd_flipped(), "m = -l..l; equal to deeph-new on a real file, s to d"),
        OrbitalConvention(
            "orca", _from_zero(2), _positive(2), "m = 0,+1,-1 ..; f and beyond have signs of their own, not defined"
        ),
        OrbitalConvention("psi4", _from_zero(), _positive(), "m = 0,+1,-1 ..; rotation test of PySCF overlaps"),
        OrbitalConvention("gpaw", _natural(), _positive(), "y,z,x; xy,yz,3z2-r2,zx,x2-y2; f m = -3..3"),
        OrbitalConvention(
            "pyscf", {**_natural(), 1: (1, 2, 0)}, _positive(), "p = x,y,z, others m = -l..l; overlap rotation test"
        ),
    )
}
"""Source name -> convention. A reader's own convention is added here together with the reader."""


def canonical_index(
    numbers: NDArray[np.integer], source_shells: Mapping[int, Sequence[int]], convention: str
) -> tuple[IntArray, FloatArray]:
    """Map of all orbitals of a structure from a source's order into the canonical one.

    Args:
        numbers: (N,) atomic numbers.
        source_shells: atomic number -> l of each shell in the source's own order.
        convention: a name in `CONVENTIONS`.

    Returns:
        (n,) index and (n,) sign; ``M_canonical = sign[:, None] * M[index][:, index] * sign``.

    Raises:
        ValueError: unknown convention, or an element without shells.

    Example:
        >>> index, sign = canonical_index(np.array([1, 6]), {1: [0], 6: [0, 1]}, "abacus")
        >>> index.tolist(), sign.tolist()  # ABACUS: m = 0, 1, -1 with a factor (-1)^m
        ([0, 1, 4, 2, 3], [1.0, 1.0, -1.0, 1.0, -1.0])
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"unknown orbital convention {convention!r}; known: {', '.join(CONVENTIONS)}")
    numbers = np.asarray(numbers, dtype=np.int64)
    missing = sorted(set(numbers.tolist()) - set(source_shells))
    if missing:
        raise ValueError(f"no shells given for element {chemical_symbols[missing[0]]}")
    table = {z: CONVENTIONS[convention].index(source_shells[z]) for z in set(numbers.tolist())}
    starts = np.concatenate([[0], np.cumsum([len(table[z][0]) for z in numbers.tolist()])])
    index = np.concatenate([table[z][0] + start for z, start in zip(numbers.tolist(), starts)])
    return index, np.concatenate([table[z][1] for z in numbers.tolist()])


def _atomic_number(symbol: str) -> int:
    if symbol not in atomic_numbers or atomic_numbers[symbol] < 1:
        raise ValueError(f"basis: unknown element {symbol!r}")
    return int(atomic_numbers[symbol])


def _shell_list(symbol: str, shells: str | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(shells, str):
        return tuple(sorted(int(l) for l in shells))
    parts = re.findall(r"(\d+)([spdfghi])", shells)
    if not parts or "".join(n + l for n, l in parts) != shells:
        raise ValueError(f"basis: shells of {symbol} must look like '3s2p2d', got {shells!r}")
    # a card may come from anybody: "999999999s" must not become a tuple of that length
    if any(len(n) > 2 for n, _ in parts):
        raise ValueError(f"basis: shells of {symbol}: more than 99 of one l in {shells[:40]!r}")
    return tuple(sorted(SHELL_LETTERS.index(letter) for count, letter in parts for _ in range(int(count))))
