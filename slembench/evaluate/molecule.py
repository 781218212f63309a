"""Levels, orbitals and density of one molecule, all in the basis of its reference orbitals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slembench.metrics.budget import NO_METRIC, budget_metrics, overlap_shifts
from slembench.metrics.density import d_idempotency
from slembench.metrics.eigen import bare_levels, in_reference_basis
from slembench.metrics.reference import ReferenceLevels
from slembench.metrics.spectrum import fill, level_metrics
from slembench.metrics.wavefunctions import DEGENERATE_EV, occ_subspace, psi_cos_legacy, psi_overlap
from slembench.orbitals import FloatArray

Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class MoleculeTask:
    """One molecule. Matrices are dense (n, n) and symmetric; predicted ones are None where not predicted.

    Attributes:
        structure: id.
        electrons: electrons; 0 where unknown.
        reference: reference levels and orbitals.
        hamiltonian: predicted H.
        overlap: predicted S.
        density: predicted D.
        reference_overlap: S; needed with a predicted S or D.
        reference_hamiltonian: H; needed with a predicted H or S.
        ev: 1 eV in the energy unit of the data.
    """

    structure: str
    electrons: float
    reference: ReferenceLevels
    hamiltonian: FloatArray | None
    overlap: FloatArray | None
    density: FloatArray | None
    reference_overlap: FloatArray | None
    reference_hamiltonian: FloatArray | None
    ev: float


def molecule_columns(task: MoleculeTask) -> Row:
    """Columns of the per-structure table; see the catalogue for each metric.

    Raises:
        ValueError: electrons that the levels cannot hold.
    """
    row: Row = {"reference.s_min_eig": task.reference.s_min_eig}
    if task.hamiltonian is not None and task.reference_hamiltonian is not None and task.electrons:
        row |= _hamiltonian(task, task.hamiltonian, task.hamiltonian - task.reference_hamiltonian)
    if task.overlap is not None:
        row |= _overlap(task, task.overlap)
    if task.density is not None and task.reference_overlap is not None:
        row |= _density(task, task.density, task.reference_overlap)
    return row


def _hamiltonian(task: MoleculeTask, hamiltonian: FloatArray, change: FloatArray) -> Row:
    eps_ref, c_ref = task.reference.eps, task.reference.orbitals[0]
    eps, overlaps, inner = in_reference_basis(hamiltonian, c_ref)
    occupied = int(np.ceil(task.electrons / 2 - 1e-6))
    padded = np.pad(eps, (0, eps_ref.shape[1] - len(eps)), constant_values=np.nan)[None]
    row = level_metrics(padded, eps_ref, task.electrons)
    row["psi_cos_legacy"] = psi_cos_legacy(c_ref @ overlaps[:, :occupied], c_ref[:, :occupied])
    row["psi_overlap"] = psi_overlap(overlaps, eps_ref[0], occupied, DEGENERATE_EV * task.ev)
    row["occ_subspace"] = occ_subspace(overlaps, occupied)
    error = inner - np.diag(eps_ref[0, : len(inner)])
    shifts = (eps - eps_ref[0, : len(eps)])[:occupied]
    amplification = _amplification(change, error)
    row |= budget_metrics(shifts[None], np.diag(error)[None, :occupied], np.ones(1), amplification)
    return {f"hamiltonian.{name}": value for name, value in row.items()}


def _amplification(raw: FloatArray, inner: FloatArray) -> float:
    """||C^T M C||_F / ||M||_F, NaN where there is no error; ||C^T M C||_F = ||S^-1/2 M S^-1/2||_F."""
    size = float(np.linalg.norm(raw))
    return float(np.linalg.norm(inner)) / size if size > 0 else float("nan")


def _overlap(task: MoleculeTask, overlap: FloatArray) -> Row:
    lowest = float(np.linalg.eigvalsh(overlap)[0])
    row: Row = {"overlap.s_min_eig": lowest}
    if not task.electrons or task.reference_overlap is None or task.reference_hamiltonian is None:
        return row
    if lowest <= 0:
        return row | dict.fromkeys(NO_METRIC, float("nan"))
    eps_ref, c_ref = task.reference.eps, task.reference.orbitals[0]
    occupied = fill(eps_ref, np.ones(1), task.electrons).occupied
    eps = bare_levels(task.reference_hamiltonian, overlap)[:occupied]
    shifts, change = eps - eps_ref[0, :occupied], overlap - task.reference_overlap
    estimates = overlap_shifts(change, c_ref[:, :occupied], eps_ref[0, :occupied])
    amplification = _amplification(change, c_ref.T @ change @ c_ref)
    budget = budget_metrics(shifts[None], estimates[None], np.ones(1), amplification)
    row["overlap.eps_shift_occ"] = float(np.abs(shifts).mean())
    return row | {f"overlap.{name}": value for name, value in budget.items()}


def _density(task: MoleculeTask, density: FloatArray, overlap: FloatArray) -> Row:
    row: Row = {"density.d_idempotency": d_idempotency(density, overlap)}
    if task.electrons:
        row["density.d_trace_error"] = abs(float(np.vdot(overlap, density)) - task.electrons)
    return row
