"""What every stored structure of a generated data set is checked for, from the stored values alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import scipy.linalg

from slembench.data.dataset import Dataset
from slembench.data.pairs import cutoff_margin
from slembench.data.records import Record
from slembench.data.sample import Sample
from slembench.errors import DataError

EMPTY_BANDS = 4
"""Bands above the occupied ones whose energies are compared."""


@dataclass(frozen=True)
class Limits:
    """Largest (or smallest) values with which a structure is accepted.

    Attributes:
        eigenvalue_meV: error of the occupied bands and the `EMPTY_BANDS` above them at the check points.
        electrons: |Tr(D S) - electrons|.
        far_overlap: largest |S| in the outer tenth of the cutoffs against the largest of all.
        overlap_eigenvalue: smallest eigenvalue of S(k); above it.
        cutoff_margin: smallest distance of any pair from its cutoff, Angstrom; above it.
    """

    eigenvalue_meV: float = 1.0
    electrons: float = 1e-3
    far_overlap: float = 0.02
    overlap_eigenvalue: float = 1e-6
    cutoff_margin: float = 1e-7


@dataclass(frozen=True)
class Checks:
    """Measured counterparts of `Limits`, of one structure."""

    eigenvalue_meV: float
    electrons: float
    far_overlap: float
    overlap_eigenvalue: float
    cutoff_margin: float


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
    checks = Checks(
        eigenvalue_meV=error,
        electrons=record.electrons_error,
        far_overlap=far_overlap(sample, dataset.cutoffs),
        overlap_eigenvalue=smallest,
        cutoff_margin=cutoff_margin(sample.atoms, dataset.cutoffs),
    )
    for name, value in asdict(checks).items():
        limit = getattr(limits, name)
        passed = value > limit if name in ("overlap_eigenvalue", "cutoff_margin") else value <= limit
        if not passed:
            raise DataError(
                f"{dataset.root}: structure {sample.id!r}: check {name!r}: {value:.3g}, the limit is {limit:g}"
            )
    return checks


def band_error(sample: Sample, record: Record) -> tuple[float, float]:
    """Largest error in meV of the bands rebuilt from stored H and S, and the smallest eigenvalue of any S(k).

    The occupied bands and the `EMPTY_BANDS` next ones are compared with the code's own eigenvalues. An S(k) that is not
    positive definite gives an infinite error.
    """
    assert sample.info.electrons is not None
    bands = int(np.ceil(sample.info.electrons / 2)) + EMPTY_BANDS
    worst, smallest = 0.0, np.inf
    bloch = (sample.operators[name].at_k(record.kpoints) for name in ("hamiltonian", "overlap"))
    for h, s, expected in zip(*bloch, record.eigenvalues, strict=True):
        smallest = min(smallest, float(scipy.linalg.eigvalsh(s, subset_by_index=[0, 0])[0]))
        if smallest <= 0:
            return np.inf, smallest
        rebuilt = scipy.linalg.eigvalsh(h, s)
        worst = max(worst, float(np.abs(rebuilt[:bands] - expected[:bands]).max()) * 1e3)
    return worst, smallest


def far_overlap(sample: Sample, cutoffs: dict[int, float]) -> float:
    """Largest |S| of a pair in the outer tenth of its cutoff against the largest of all: small if every R is right."""
    overlap = sample.operators["overlap"]
    radii = np.array([cutoffs[z] for z in sample.atoms.numbers.tolist()])
    length = np.linalg.norm(overlap.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    largest = np.maximum.reduceat(np.abs(overlap.values), overlap.offsets[:-1])
    far = length > 0.9 * radii[overlap.pair_index].mean(axis=1)
    return float(largest[far].max(initial=0.0) / largest.max())
