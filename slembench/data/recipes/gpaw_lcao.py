"""Ground states, forces and Bloch matrices from GPAW in LCAO mode.

GPAW (https://gpaw.readthedocs.io, GPL) is imported only when a function here runs. The radial functions
are made by GPAW's own BasisMaker with a small confinement radius, so that H(R) and S(R) end where those of
SIESTA or ABACUS do.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms

from slembench.core.errors import ConfigError
from slembench.data.recipes.lcao_fourier import ComplexArray
from slembench.operators.orbitals import FloatArray, IntArray


@dataclass(frozen=True)
class ElementBasis:
    """How BasisMaker builds the orbitals of one element.

    Attributes:
        radius: largest radius of any radial function, Bohr.
        polarization_l: l of the polarisation function; None lets GPAW choose the first missing l.
        single_zeta: orbitals such as ``4s`` that get no second zeta (semicore).
    """

    radius: float
    polarization_l: int | None = None
    single_zeta: tuple[str, ...] = ()


@dataclass(frozen=True)
class Level:
    """Level of theory of an LCAO calculation.

    Attributes:
        basis: (symbol, recipe) of every element.
        xc: functional.
        width: Fermi-Dirac width, eV.
        density_tolerance: convergence of the density, electrons per valence electron.
    """

    basis: tuple[tuple[str, ElementBasis], ...]
    xc: str = "PBE"
    width: float = 0.05
    density_tolerance: float = 1e-8


def require_gpaw() -> None:
    """Select GPAW's original implementation, whose LCAO matrices are read here.

    Raises:
        ConfigError: GPAW or its setups are missing; the message says how to install them.
    """
    os.environ["GPAW_NEW"] = "0"  # before the first import of gpaw
    try:
        for package in ("gpaw", "gpaw_data"):
            importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this recipe needs GPAW and its PAW setups ({error.name} is missing): "
            "install libxc, FFTW, BLAS and MPI with their headers (Debian: libxc-dev libfftw3-dev "
            "libopenblas-dev libopenmpi-dev), then `pip install slembench[recipes]`"
        ) from error


@cache
def make_basis(symbol: str, recipe: ElementBasis, xc: str) -> Any:
    """GPAW ``Basis`` of one element: double zeta plus polarisation, less the dropped second zetas."""
    require_gpaw()
    from dataclasses import replace

    from gpaw.atom.basis import BasisMaker

    maker = BasisMaker.from_symbol(symbol, xc=xc, gtxt=None)
    basis = maker.generate(
        zetacount=2, polarizationcount=1, rcutmax=recipe.radius, l_pol=recipe.polarization_l, txt=None
    )
    dropped = tuple(f"{orbital}-dz" for orbital in recipe.single_zeta)
    return replace(basis, name="compact", bf_j=[f for f in basis.bf_j if not f.type.startswith(dropped or ("?",))])


def shell_momenta(level: Level) -> dict[str, list[int]]:
    """Symbol -> l of GPAW's radial functions, in GPAW's order."""
    return {symbol: [int(f.l) for f in make_basis(symbol, recipe, level.xc).bf_j] for symbol, recipe in level.basis}


def canonical_order(symbols: Sequence[str], momenta: Mapping[str, Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Where each canonical orbital stands in GPAW's order.

    GPAW's m order and signs are ours (y, z, x; xy, yz, 3z2-r2, zx, x2-y2); only its shells, in the order in
    which the basis was made, have to be grouped by l.

    Args:
        symbols: (N,) chemical symbols.
        momenta: symbol -> l of its shells in GPAW's order.

    Returns:
        order (nao,) so that ``canonical = gpaw[order]``, and orbitals of each atom (N,).
    """
    local = {}
    for symbol, shells in momenta.items():
        orbital_l = np.repeat(shells, [2 * l + 1 for l in shells])
        local[symbol] = np.argsort(orbital_l, kind="stable")  # stable: zeta and m keep their order
    sizes = np.array([len(local[symbol]) for symbol in symbols])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.concatenate([start + local[symbol] for start, symbol in zip(starts, symbols)]), sizes


def ground_state(atoms: Atoms, level: Level, grid: Sequence[int], kmesh: Sequence[int]) -> Any:
    """Converged GPAW calculator of a structure whose periodic coordinates lie in [0, 1).

    Args:
        atoms: structure; not changed.
        level: level of theory.
        grid: real-space grid points along each axis.
        kmesh: Gamma-centred k points along each axis.

    Raises:
        ConfigError: no GPAW.
        gpaw.KohnShamConvergenceError: no self-consistency.
    """
    require_gpaw()
    from gpaw import FermiDirac
    from gpaw.calculator import GPAW

    calculator = GPAW(
        mode="lcao",
        basis={symbol: make_basis(symbol, recipe, level.xc) for symbol, recipe in level.basis},
        xc=level.xc,
        gpts=tuple(grid),
        kpts={"size": tuple(kmesh), "gamma": True},
        # displaced structures have no point group; k and -k are one by time reversal
        symmetry={"point_group": False, "time_reversal": True},
        occupations=FermiDirac(level.width),
        poissonsolver=_poisson_solver(atoms),
        convergence={"density": level.density_tolerance},
        maxiter=200,
        txt=None,
    )
    atoms = atoms.copy()
    atoms.calc = calculator
    atoms.get_potential_energy()
    return calculator


def _poisson_solver(atoms: Atoms) -> dict[str, str]:
    """Dipole layer for a sheet (periodic along x and y only), nothing otherwise.

    It removes the field between the two vacuum levels; their mean is then the energy zero.
    """
    return {"dipolelayer": "xy"} if atoms.pbc.tolist() == [True, True, False] else {}


def forces(atoms: Atoms, level: Level, grid: Sequence[int], kmesh: Sequence[int]) -> FloatArray:
    """Forces (N, 3) in eV/Angstrom of a structure; arguments as in `ground_state`."""
    return np.asarray(ground_state(atoms, level, grid, kmesh).get_forces())


def bloch_matrices(
    calculator: Any, kpoints: FloatArray, order: IntArray
) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """H(k), S(k) and GPAW's eigenvalues at the converged density.

    GPAW's phase is that of ``-k`` in our convention (``M(k) = sum_R exp(2 pi i k.R) <i, 0 | M | j, R>``),
    hence the complex conjugate.

    Args:
        calculator: from `ground_state`.
        kpoints: (nk, 3) fractional.
        order: (nao,) from `canonical_order`.

    Returns:
        H (nk, nao, nao) in eV, S (nk, nao, nao), eigenvalues (nk, nao) in eV.
    """
    from gpaw.lcao.tools import get_lcao_hamiltonian

    # every k point for itself: matrices at -k are wanted where the list holds -k
    fixed = calculator.fixed_density(
        kpts=np.asarray(kpoints), symmetry={"point_group": False, "time_reversal": False}, nbands="nao", txt=None
    )
    hamiltonian, overlap = get_lcao_hamiltonian(fixed)
    eigenvalues = np.array([fixed.get_eigenvalues(kpt=k) for k in range(len(kpoints))])
    return _reorder(hamiltonian[0], order).conj(), _reorder(overlap, order).conj(), eigenvalues


def _reorder(matrices: ComplexArray, order: IntArray) -> ComplexArray:
    return matrices[:, order[:, None], order]
