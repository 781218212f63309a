"""Spectrum of one Hamiltonian: levels on a k mesh and along a path, their filling, energy zero, density of states.

Used by ``slembench bands``, the pages of data sets and the pages of runs. Levels are eigenvalues of
H(k) c = eps S(k) c (`slembench.metrics.spectrum.levels`). The density of states is

    D(E) = 2 sum_kn w_k g(E - eps_kn),

states of both spins per energy unit and cell, where g is a normalised Gaussian with the standard deviation
`slembench.metrics.dos.BROADENING_EV`. Its integral over all energies is twice the number of levels, and up to the
middle of a gap that is wide against the broadening it is the number of electrons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from matplotlib.figure import Figure

from slembench.core.errors import DataError
from slembench.core.files import atomic_file
from slembench.figures.bands import plot_bands
from slembench.figures.levels import DensityOfStates
from slembench.metrics.dos import BROADENING_EV, states_below
from slembench.metrics.kpath import KPath, band_path
from slembench.metrics.spectrum import INSULATOR_EV, Filling, fill, k_mesh, levels
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray
from slembench.operators.units import energy_factor

DOS_RANGE_EV = (-20.0, 8.0)
"""Energies at which a mean density of states is computed, from the energy zero; it is cut where there are no states."""

STEP = 0.25
"""Width of an energy bin of a density of states, in standard deviations of the broadening."""


@dataclass(frozen=True)
class Spectrum:
    """Levels of one H and how electrons fill them. Energies are absolute, in ``unit``.

    Attributes:
        eps: (n_k, n) | ascending levels on the k mesh; NaN for projected-out directions of a singular S.
        weights: (n_k,) | of the k points; sum to 1.
        bands: (n_path, n) | levels along a k path; (0, n) without one.
        n_atoms: atoms in the cell.
        unit: energy unit word, such as "eV".
        filling: valence and conduction edge and Fermi level; None where the number of electrons is not known.

    Example:
        Two levels at -3 and 1 eV with two electrons: the zero is the upper edge of the valence band.

        >>> import numpy as np
        >>> from slembench.metrics.spectrum import fill
        >>> eps, weights = np.array([[-3.0, 1.0]]), np.array([1.0])
        >>> s = Spectrum(eps, weights, eps[:0], n_atoms=1, unit="eV", filling=fill(eps, weights, electrons=2))
        >>> s.gap, s.insulating, s.zero()
        (4.0, True, -3.0)
    """

    eps: FloatArray
    weights: FloatArray
    bands: FloatArray
    n_atoms: int
    unit: str
    filling: Filling | None = None

    @property
    def gap(self) -> float:
        """Conduction-band minimum - valence-band maximum on the mesh, 0 where bands overlap; NaN without filling."""
        return self.filling.gap if self.filling else float("nan")

    @property
    def insulating(self) -> bool:
        """Whether the gap exceeds `slembench.metrics.spectrum.INSULATOR_EV`; False without filling."""
        return bool(self.gap > INSULATOR_EV * energy_factor("eV", self.unit))

    def zero(self, insulating: bool | None = None) -> float:
        """Energy that levels are measured from in pictures.

        Args:
            insulating: measure from the valence-band maximum (HOMO of a molecule), not the Fermi level; by default what
                this spectrum itself is. A prediction is drawn with the zero of its reference's kind: a Fermi level in
                the middle of a gap beside a valence-band maximum would shift all its levels by half the gap.

        Returns:
            ``unit``; 0 without filling.
        """
        if self.filling is None:
            return 0.0
        insulating = self.insulating if insulating is None else insulating
        return self.filling.valence_top if insulating else self.filling.fermi

    def dos(self, edges: FloatArray, zero: float = 0.0) -> FloatArray:
        """Density of states D(E), averaged over each energy bin; see the module.

        Args:
            edges: (n_e + 1,) | ``unit``, ascending, from ``zero`` | of the bins.
            zero: energy that ``edges`` are measured from.

        Returns:
            (n_e,) | states of both spins per ``unit`` and cell.

        Example:
            The integral is the number of states, two a level, however coarse the bins are.

            >>> import numpy as np
            >>> eps = np.array([[-3.0, 1.0]])
            >>> s = Spectrum(eps, np.array([1.0]), eps[:0], n_atoms=1, unit="eV")
            >>> edges = np.array([-5.0, -1.0, 3.0])
            >>> (s.dos(edges) * np.diff(edges)).round(6)
            array([2., 2.])
        """
        width = BROADENING_EV * energy_factor("eV", self.unit)
        # N(E) = sum_kn w_k Phi((E - eps_kn) / width) is the integral of the Gaussians, so that its differences conserve
        # the number of states exactly; Gaussians sampled at the middle of the bins would lose narrow ones between them.
        # Twice, for the two spins of a level.
        return 2 * np.diff(states_below(self.eps - zero, self.weights, edges, width)) / np.diff(edges)


def spectrum(
    hamiltonian: BlockMatrix,
    overlap: BlockMatrix,
    mesh: Sequence[int],
    electrons: float | None,
    unit: str,
    path: KPath | None = None,
) -> Spectrum:
    """Diagonalise one H on a k mesh, fill its levels, and take its bands along a path.

    Args:
        hamiltonian: H, predicted or reference; made Hermitian here.
        overlap: S.
        mesh: (3,) k points along each reciprocal vector, Gamma-centred; (1, 1, 1) for a molecule.
        electrons: electrons in the cell; None where unknown.
        unit: energy unit word of H.
        path: of the bands; None for none.

    Raises:
        DataError: electrons that the basis cannot hold.

    Example:
        A molecule of two s orbitals, H = [[0, -1], [-1, 0]] eV and S = 1: levels -1 and +1 eV, two electrons.

        >>> import numpy as np
        >>> from slembench.operators.blocks import BlockMatrix
        >>> from slembench.operators.orbitals import Basis
        >>> basis, numbers = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> h = BlockMatrix.from_dense(basis, numbers, np.array([[0.0, -1.0], [-1.0, 0.0]]))
        >>> s = BlockMatrix.from_dense(basis, numbers, np.eye(2))
        >>> molecule = spectrum(h, s, (1, 1, 1), electrons=2, unit="eV")
        >>> molecule.eps.round(6), round(molecule.gap, 6)
        (array([[-1.,  1.]]), 2.0)
    """
    # LAPACK reads one triangle: of a file whose two directions of a pair disagree it would silently ignore one
    h = hamiltonian.hermitise()
    kpoints, weights = k_mesh(mesh)
    # filled on the mesh, never on the path: a line through the zone is no sample of its volume, and electrons counted
    # along it would give a wrong Fermi level
    eps = levels(h, overlap, kpoints)
    try:
        filling = fill(eps, weights, electrons) if electrons else None
    except ValueError as error:
        raise DataError(f"levels of {len(h.numbers)} atoms: {error}") from error
    bands = levels(h, overlap, path.kpoints) if path is not None else eps[:0]
    return Spectrum(eps, weights, bands, len(h.numbers), unit, filling)


def zero_name(insulating: bool) -> str:
    """What `Spectrum.zero` is, for the label of an energy axis."""
    return "the valence-band maximum" if insulating else "the Fermi level"


def energy_zeros(spectra: Mapping[str, Spectrum]) -> dict[str, float]:
    """Energy zero of each spectrum of one structure, of the kind that suits the reference.

    Args:
        spectra: "predicted" and, where there is one, "reference".

    Returns:
        The same names -> energy; see `Spectrum.zero`.
    """
    insulating = spectra.get("reference", spectra["predicted"]).insulating
    return {name: s.zero(insulating) for name, s in spectra.items()}


def dos_edges(window: tuple[float, float], unit: str) -> FloatArray:
    """(n_e + 1,) | ``unit`` | edges of equal energy bins, at most `STEP` broadenings wide.

    Args:
        window: lowest and highest energy, eV.
        unit: of the edges.

    Example:
        >>> dos_edges((-1.0, 1.0), "eV").size - 1  # bins of 0.025 eV
        80
    """
    # 1e-9: a window that is a multiple of the step must not get another bin from rounding
    bins = int(np.ceil((window[1] - window[0]) / (STEP * BROADENING_EV) - 1e-9))
    return np.linspace(*window, bins + 1) * energy_factor("eV", unit)


def mean_dos(spectra: Sequence[Spectrum], insulating: bool) -> DensityOfStates:
    """Mean density of states of some structures, each from its own energy zero and per atom of its own cell.

    Args:
        spectra: of the structures, in one unit, all of them with a filling.
        insulating: measure from valence-band maxima, else from Fermi levels.

    Returns:
        Energies and states of both spins per unit of energy and atom; edges: zero and the mean gap of insulators.

    Example:
        Two electrons in one atom: one level below the zero, one above, two states each.

        >>> import numpy as np
        >>> from slembench.metrics.spectrum import fill
        >>> eps, weights = np.array([[-3.0, 1.0]]), np.array([1.0])
        >>> one = Spectrum(eps, weights, eps[:0], 1, "eV", fill(eps, weights, 2))
        >>> dos = mean_dos([one], insulating=True)
        >>> dos.edges, round(float(np.trapezoid(dos.density, dos.energy)), 3)
        ((0.0, 4.0), 4.0)
    """
    edges = dos_edges(DOS_RANGE_EV, spectra[0].unit)
    energy = (edges[1:] + edges[:-1]) / 2
    # cells of different size are compared: per atom, before the mean
    density = np.mean([s.dos(edges, s.zero(insulating)) / s.n_atoms for s in spectra], axis=0)
    gap = float(np.mean([s.gap for s in spectra])) if insulating else 0.0
    # cut where no state lies, but keep one empty bin at either end: the line begins and ends at zero
    used = np.flatnonzero(density > 1e-6)
    shown = slice(max(0, used[0] - 1), used[-1] + 2) if len(used) else slice(None)
    return DensityOfStates(energy[shown], density[shown], (0.0, gap))


def structure_path(atoms: ase.Atoms, spacing: float) -> KPath:
    """Recommended k path of a structure: `slembench.metrics.kpath.band_path` with errors a user can act on.

    Args:
        atoms: structure; positions and cell in Angstrom.
        spacing: between k points, 1 / Angstrom (with the factor 2 pi).

    Raises:
        DataError: no periodic direction, or a spacing that is not positive.

    Example:
        >>> from ase.build import graphene
        >>> path = structure_path(graphene(vacuum=10.0), spacing=0.5)
        >>> " ".join(path.labels.values())  # a layer has no path across it
        'Γ M K Γ'
    """
    try:
        return band_path(atoms, spacing)
    except ValueError as error:
        raise DataError(f"bands of {atoms.get_chemical_formula()}: {error}") from error


def draw_bands(path: KPath, spectra: Mapping[str, Spectrum], window: tuple[float, float], *, title: str = "") -> Figure:
    """Bands along a path and, beside them, the density of states, predicted over reference.

    Args:
        path: of the bands.
        spectra: "predicted" and, where there is one, "reference", with bands along ``path``.
        window: lowest and highest energy drawn, eV from the energy zero.
        title: stands above the picture.
    """
    unit, zeros, edges = spectra["predicted"].unit, energy_zeros(spectra), dos_edges(window, spectra["predicted"].unit)
    known = spectra["predicted"].filling is not None
    bands = {name: s.bands - zeros[name] for name, s in spectra.items()}
    densities = {name: s.dos(edges, zeros[name]) for name, s in spectra.items()}
    return plot_bands(
        path.distance,
        [(float(path.distance[point]), label) for point, label in path.labels.items()],
        bands["predicted"],
        bands.get("reference"),
        unit=unit,
        zero=zero_name(spectra.get("reference", spectra["predicted"]).insulating) if known else "the zero of H",
        window=(float(edges[0]), float(edges[-1])),
        energy=(edges[1:] + edges[:-1]) / 2,
        densities=(densities["predicted"], densities.get("reference")),
        title=title,
    )


def write_arrays(file: Path, path: KPath, spectra: Mapping[str, Spectrum], window: tuple[float, float]) -> None:
    """Write everything that `draw_bands` draws as NumPy arrays (``.npz``), atomically.

    Args:
        file: to write.
        path: of the bands.
        spectra: "predicted" and, where there is one, "reference", with bands along ``path``.
        window: lowest and highest energy of the density of states, eV from the energy zero.
    """
    unit, zeros = spectra["predicted"].unit, energy_zeros(spectra)
    edges = dos_edges(window, unit)
    arrays = {
        "kpoints": path.kpoints,
        "distance": path.distance,
        "label_points": np.array(list(path.labels)),
        "label_names": np.array(list(path.labels.values())),
        "energy_unit": np.array(unit),
    }
    for name, s in spectra.items():
        arrays |= {
            f"{name}_bands": s.bands - zeros[name],
            f"{name}_zero": np.array(zeros[name]),
            f"{name}_gap": np.array(s.gap),
            f"{name}_energies": (edges[1:] + edges[:-1]) / 2,
            f"{name}_dos": s.dos(edges, zeros[name]),
        }
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
