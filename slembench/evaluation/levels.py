"""Errors of energy levels and orbitals: columns of the per-structure table, one structure at a time on threads.

`molecule` and `crystal` compute the columns of one structure; this module reads what they need, and solves cells too
large for dense matrices around the Fermi level alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slembench.core.errors import DataError
from slembench.data import Dataset, Sample
from slembench.evaluation.batch import Batch
from slembench.evaluation.crystal import CrystalTask, crystal_columns
from slembench.evaluation.molecule import MoleculeTask, molecule_columns
from slembench.evaluation.reference import LevelCache, ReferenceLevels
from slembench.metrics.sparse import window_error
from slembench.metrics.spectrum import k_mesh, on_threads
from slembench.operators.blocks import BlockMatrix
from slembench.operators.units import energy_factor

Row = dict[str, float]

MAX_DENSE_ORBITALS = 4000
"""Orbitals in a cell above which only levels around the Fermi level are computed, by sparse shift-invert.

A complex matrix of 4,000 orbitals takes 256 MB; memory grows with the square and time with the cube of their number.
"""

MAX_KEPT_COEFFICIENTS = 1 << 23
"""Reference coefficients of one structure (128 MB, complex) above which no orbitals are kept, for no error budget."""

REFERENCES = {"hamiltonian": (), "overlap": ("hamiltonian", "overlap"), "density": ("overlap", "density")}
"""Dense reference matrices that a molecule needs for each predicted operator; H takes the reference orbitals alone."""


@dataclass
class LevelScorer:
    """Levels of batches; reference levels come from a cache.

    Attributes:
        dataset: the data set.
        operators: operators to score.
        cache: folder of the reference levels; None for no cache.
        path: score crystals along a k path, too.
        threads: structures solved at once.
        unavailable: why a structure has no levels; empty while all have.
    """

    dataset: Dataset
    operators: tuple[str, ...]
    cache: Path | None
    path: bool
    threads: int
    unavailable: str = ""

    def __post_init__(self) -> None:
        card = self.dataset.card
        self.mesh = k_mesh(card.bands.kmesh if card.periodic and card.bands else (1, 1, 1))
        self.reference_levels = LevelCache(self.cache, self.dataset.fingerprint, self.mesh[0])

    def rows(self, batch: Batch, mu: np.ndarray | None) -> list[Row]:
        """Columns of every structure of a batch.

        Args:
            batch: the structures.
            mu: (S,) gauge shift of H, unit of the data; None where H is not predicted.
        """
        largest = max(sample.operators["overlap"].n_orbitals for sample in batch.samples)
        if largest > MAX_DENSE_ORBITALS:
            limit = f"at most {MAX_DENSE_ORBITALS} are solved densely"
            self.unavailable = f"too large: {largest} orbitals in a cell, {limit}"
            return [self._large_row(batch, k, mu) for k in range(len(batch.samples))]
        if self.dataset.card.periodic:
            shifts = mu.tolist() if mu is not None else [0.0] * len(batch.samples)
            tasks = [self._crystal(batch, k, shift) for k, shift in enumerate(shifts)]
            return list(on_threads(self._crystal_row, tasks, self.threads, largest))
        return list(on_threads(self._molecule_row, self._molecules(batch), self.threads, largest))

    def _large_row(self, batch: Batch, k: int, mu: np.ndarray | None) -> Row:
        """The one number of a large crystal that a few levels suffice for; nothing without a Fermi level."""
        card, sample = self.dataset.card, batch.samples[k]
        if card.bands is None or mu is None or sample.info.fermi_level is None:
            return {}
        try:
            error = window_error(
                batch.predictions[k]["hamiltonian"].hermitise(),
                sample.operators["hamiltonian"],
                sample.operators["overlap"],
                *self.mesh,
                mu=float(mu[k]),
                centre=sample.info.fermi_level,
                window=card.bands.window_eV * energy_factor("eV", card.units.energy),
            )
        except ArithmeticError as caught:
            self.unavailable = f"structure {sample.id!r}: {caught}"
            error = float("nan")
        return {"hamiltonian.band_mae_window": error}

    def _molecule_row(self, task: MoleculeTask) -> Row:
        try:
            return molecule_columns(task)
        except ValueError as error:
            raise self._error(task.structure, error) from error

    def _crystal_row(self, task: CrystalTask) -> Row:
        try:
            return crystal_columns(task)
        except ValueError as error:
            raise self._error(task.sample.id, error) from error

    def _error(self, structure: str, error: ValueError) -> DataError:
        return DataError(f"data set {self.dataset.name}: structure {structure!r}: {error}")

    def _reference(self, sample: Sample) -> ReferenceLevels:
        h, s = sample.operators["hamiltonian"], sample.operators["overlap"]
        if not self.dataset.card.periodic:
            return self.reference_levels.get(sample.id, h, s)  # all orbitals: the basis of predicted levels
        occupied = int(np.ceil(self._electrons(sample) / 2))
        kept = occupied if len(self.mesh[0]) * h.n_orbitals * occupied <= MAX_KEPT_COEFFICIENTS else 0
        return self.reference_levels.get(sample.id, h, s, kept)

    def _electrons(self, sample: Sample) -> float:
        if sample.info.electrons is None:
            self.unavailable = f"structure {sample.id!r} has no number of electrons"
            return 0.0
        return sample.info.electrons

    def _molecules(self, batch: Batch) -> list[MoleculeTask]:
        # dense matrices of the whole batch at once, without a loop over blocks
        errors = {op: batch.error_dense(op) for op in self.operators}
        needed = {op for own in self.operators for op in REFERENCES[own]}
        reference = {op: batch.reference_dense(op) for op in needed}
        ev = energy_factor("eV", self.dataset.card.units.energy)
        return [
            MoleculeTask(
                structure=sample.id,
                electrons=self._electrons(sample),
                levels=self._reference(sample),
                errors={op: matrices[k] for op, matrices in errors.items()},
                reference={op: matrices[k] for op, matrices in reference.items()},
                ev=ev,
            )
            for k, sample in enumerate(batch.samples)
        ]

    def _crystal(self, batch: Batch, k: int, mu: float) -> CrystalTask:
        card, sample = self.dataset.card, batch.samples[k]
        # eigensolvers read one triangle alone: without this half of a prediction that is not Hermitian would be ignored
        predicted: dict[str, BlockMatrix] = {op: batch.predictions[k][op].hermitise() for op in self.operators}
        return CrystalTask(
            sample=sample,
            electrons=self._electrons(sample),
            reference=self._reference(sample),
            predicted=predicted,
            kpoints=self.mesh[0],
            weights=self.mesh[1],
            mu=mu,
            window=card.bands.window_eV if card.bands else 0.0,
            spacing=card.bands.path_spacing if card.bands and self.path else None,
            ev=energy_factor("eV", card.units.energy),
        )


def levels_unavailable(dataset: Dataset) -> str:
    """Why a data set allows no levels at all; empty if it does.

    Example:
        >>> from slembench.data import load_dataset
        >>> levels_unavailable(load_dataset("mos2-mini"))
        ''
    """
    card = dataset.card
    if "overlap" not in card.operators:
        return "the data set has no overlap"
    if "hamiltonian" not in card.operators:
        return "the data set has no Hamiltonian"
    return "the card names no k mesh (key 'bands')" if card.periodic and card.bands is None else ""
