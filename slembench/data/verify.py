"""What every stored structure of a generated data set is checked for, from the stored values alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import scipy.linalg

from slembench.data import verify_crystal, verify_molecule
from slembench.data.dataset import Dataset
from slembench.data.pairs import cutoff_margin
from slembench.data.records import Record
from slembench.data.sample import Sample
from slembench.errors import DataError
from slembench.units import ENERGY_UNITS

EMPTY_BANDS = 4
"""Bands of a crystal above the occupied ones whose energies are compared; of a molecule, all are."""


@dataclass(frozen=True)
class Limits:
    """Largest (or smallest) values with which a structure is accepted.

    Attributes:
        eigenvalue_meV: error of the occupied bands and the `EMPTY_BANDS` above them at the check points, or of all
            orbitals of a molecule.
        electrons: |Tr(D S) - electrons|.
        far_overlap: largest |S| in the outer tenth of the cutoffs against the largest of all.
        overlap_eigenvalue: smallest eigenvalue of S(k); above it.
        cutoff_margin: smallest distance of any pair from its cutoff, Angstrom; above it.
        density: see the `density_error` of `slembench.data.verify_molecule` and `slembench.data.verify_crystal`.
        direction: see `slembench.data.verify_molecule.direction_error`.
        rounding_meV: see `slembench.data.verify_molecule.rounding_error`.
    """

    eigenvalue_meV: float = 1.0
    electrons: float = 1e-3
    far_overlap: float = 0.02
    overlap_eigenvalue: float = 1e-6
    cutoff_margin: float = 1e-7
    density: float = 1e-4
    direction: float = 1e-4
    rounding_meV: float = 1.0


@dataclass(frozen=True)
class Checks:
    """Measured counterparts of `Limits`, of one structure; 0 where a check is not for its kind."""

    eigenvalue_meV: float
    electrons: float
    far_overlap: float
    overlap_eigenvalue: float
    cutoff_margin: float
    density: float = 0.0
    direction: float = 0.0
    rounding_meV: float = 0.0


def verify_sample(dataset: Dataset, record: Record, limits: Limits) -> Checks:
    """Check one stored structure against what the recipe's code computed for it.

    Args:
        dataset: holds the structure, rounded.
        record: the recipe's own, with eigenvalues at check points.
        limits: what is accepted.

    Raises:
        DataError: a limit is passed; names the structure, the check, its value and the limit.
    """
    sample = dataset.sample(record.sample.id)
    error, smallest = band_error(sample, record)
    molecule = not sample.atoms.pbc.any()
    electrons, density = density_errors(sample, record) if smallest > 0 else (record.electrons_error, 0.0)
    checks = Checks(
        eigenvalue_meV=error,
        electrons=electrons,
        far_overlap=far_overlap(sample, dataset.cutoffs),
        overlap_eigenvalue=smallest,
        cutoff_margin=cutoff_margin(sample.atoms, dataset.cutoffs),
        density=density,
        direction=verify_molecule.direction_error(sample) if molecule else 0.0,
        rounding_meV=verify_molecule.rounding_error(sample, record.sample) * to_meV(sample) if molecule else 0.0,
    )
    for name, value in asdict(checks).items():
        limit = getattr(limits, name)
        passed = value > limit if name in ("overlap_eigenvalue", "cutoff_margin") else value <= limit
        if not passed:
            raise DataError(
                f"{dataset.root}: structure {sample.id!r}: check {name!r}: {value:.3g}, the limit is {limit:g}"
            )
    return checks


def density_errors(sample: Sample, record: Record) -> tuple[float, float]:
    """Error of Tr(D S), and largest element of D minus the density of the stored H and S.

    Of a structure without D: the recipe's own error of Tr(D S), and 0.
    """
    if "density" not in sample.operators:
        return record.electrons_error, 0.0
    if record.kmesh_ft is None:
        return verify_molecule.electrons_error(sample), verify_molecule.density_error(sample)
    return verify_crystal.electrons_error(sample), verify_crystal.density_error(sample, record.kmesh_ft)


def band_error(sample: Sample, record: Record) -> tuple[float, float]:
    """Largest error in meV of the bands rebuilt from stored H and S, and the smallest eigenvalue of any S(k).

    The occupied bands and the `EMPTY_BANDS` next ones (all orbitals of a molecule) are compared with the code's own
    eigenvalues. An S(k) that is not positive definite gives an infinite error.
    """
    assert sample.info.electrons is not None
    bands = int(np.ceil(sample.info.electrons / 2)) + EMPTY_BANDS if sample.atoms.pbc.any() else None
    worst, smallest = 0.0, np.inf
    bloch = (sample.operators[name].at_k(record.kpoints) for name in ("hamiltonian", "overlap"))
    for h, s, expected in zip(*bloch, record.eigenvalues, strict=True):
        smallest = min(smallest, float(scipy.linalg.eigvalsh(s, subset_by_index=[0, 0])[0]))
        if smallest <= 0:
            return np.inf, smallest
        rebuilt = scipy.linalg.eigvalsh(h, s)
        worst = max(worst, float(np.abs(rebuilt[:bands] - expected[:bands]).max()) * to_meV(sample))
    return worst, smallest


def to_meV(sample: Sample) -> float:
    """Factor to meV from the sample's energy unit."""
    return 1e3 * ENERGY_UNITS[sample.info.energy_unit]


def far_overlap(sample: Sample, cutoffs: dict[int, float]) -> float:
    """Largest |S| of a pair in the outer tenth of its cutoff against the largest of all: small if every R is right."""
    overlap = sample.operators["overlap"]
    radii = np.array([cutoffs[z] for z in sample.atoms.numbers.tolist()])
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    largest = np.maximum.reduceat(np.abs(overlap.values), overlap.offsets[:-1])
    far = length > 0.9 * radii[overlap.pair_index].mean(axis=1)
    return float(largest[far].max(initial=0.0) / largest.max())
