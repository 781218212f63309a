"""Bands along a k path and densities of states of one structure, predicted and reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np

from slembench.core.errors import DataError
from slembench.core.files import atomic_file
from slembench.metrics.dos import states_below
from slembench.metrics.kpath import KPath, band_path
from slembench.metrics.spectrum import fill, k_mesh, levels
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray

DOS_POINTS = 400
"""Energies of a density of states."""


@dataclass(frozen=True)
class Spectrum:
    """Levels of one operator. Energies are from its own ``zero``, in the unit of H.

    Attributes:
        bands: (n_k, n) along the path.
        zero: highest occupied level of an insulator, Fermi level of a metal, 0 without a number of electrons.
        gap: of the mesh; NaN without a number of electrons.
        energies: (n_e,) of the density of states.
        dos: (n_e,) states per energy unit and cell, both spins.
    """

    bands: FloatArray
    zero: float
    gap: float
    energies: FloatArray
    dos: FloatArray


def spectrum(
    hamiltonian: BlockMatrix,
    overlap: BlockMatrix,
    path: KPath,
    mesh: Sequence[int],
    electrons: float | None,
    *,
    window: tuple[float, float],
    broadening: float,
    insulating: float,
) -> Spectrum:
    """Bands and density of states of one H.

    Args:
        hamiltonian: H; made Hermitian here.
        overlap: S.
        path: of the bands.
        mesh: of filling and density of states.
        electrons: electrons in the cell; None where unknown.
        window: lowest and highest energy of the density of states, from the zero.
        broadening: standard deviation of the Gaussian.
        insulating: smallest gap of an insulator; unit of H, as the two above.

    Raises:
        DataError: electrons that the basis cannot hold.
    """
    h = hamiltonian.hermitise()
    kpoints, weights = k_mesh(mesh)
    eps = levels(h, overlap, kpoints)
    zero, gap = 0.0, float("nan")
    if electrons:
        try:
            filling = fill(eps, weights, electrons)
        except ValueError as error:
            raise DataError(f"bands: {error}") from error
        zero, gap = filling.valence_top if filling.gap > insulating else filling.fermi, filling.gap
    edges = np.linspace(*window, DOS_POINTS + 1)
    below = states_below(eps - zero, weights, edges, broadening)
    bands = levels(h, overlap, path.kpoints) - zero
    return Spectrum(bands, zero, gap, (edges[1:] + edges[:-1]) / 2, 2 * np.diff(below) / np.diff(edges))


def structure_path(atoms: ase.Atoms, spacing: float) -> KPath:
    """`slembench.metrics.kpath.band_path` with errors a user can act on.

    Raises:
        DataError: no periodic direction, or a spacing that is not positive.
    """
    try:
        return band_path(atoms, spacing)
    except ValueError as error:
        raise DataError(f"bands of {atoms.get_chemical_formula()}: {error}") from error


def write_arrays(file: Path, path: KPath, spectra: Mapping[str, Spectrum], unit: str) -> None:
    """Write everything that is drawn as NumPy arrays (``.npz``), atomically.

    Args:
        file: to write.
        path: of the bands.
        spectra: "predicted" and, where there is one, "reference".
        unit: energy unit word.
    """
    arrays = {
        "kpoints": path.kpoints,
        "distance": path.distance,
        "label_points": np.array(list(path.labels)),
        "label_names": np.array(list(path.labels.values())),
        "energy_unit": np.array(unit),
    }
    for name, found in spectra.items():
        arrays |= {
            f"{name}_bands": found.bands,
            f"{name}_zero": np.array(found.zero),
            f"{name}_gap": np.array(found.gap),
        }
        arrays |= {f"{name}_energies": found.energies, f"{name}_dos": found.dos}
    with atomic_file(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
