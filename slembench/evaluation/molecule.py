"""Errors of one molecule: levels, orbitals, error budget and density, in the basis of its reference orbitals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from slembench.evaluation.reference import ReferenceLevels
from slembench.metrics.budget import NEEDS_POSITIVE_S, amplification, budget_metrics, mean_shift, overlap_shifts
from slembench.metrics.density import d_idempotency, d_trace_error
from slembench.metrics.spectrum import (
    bare_levels,
    in_reference_basis,
    level_metrics,
    min_eigenvalue,
    occupied_levels,
)
from slembench.metrics.wavefunctions import DEGENERATE_EV, occ_subspace, psi_cos_legacy, psi_overlap
from slembench.operators.orbitals import FloatArray

Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class MoleculeTask:
    """One molecule. Matrices are dense (n, n) and symmetric.

    Attributes:
        structure: id.
        electrons: electrons; 0 where unknown.
        levels: reference levels and orbitals.
        errors: operator -> prediction - reference, of the predicted operators.
        reference: operator -> reference matrix; S with a predicted S or D, H with a predicted S, D with a predicted D.
        ev: 1 eV in the energy unit of the data.
    """

    structure: str
    electrons: float
    levels: ReferenceLevels
    errors: Mapping[str, FloatArray]
    reference: Mapping[str, FloatArray]
    ev: float


def molecule_columns(task: MoleculeTask) -> Row:
    """Columns of the per-structure table; see the catalogue for each metric.

    Raises:
        ValueError: electrons that the levels cannot hold.
    """
    row: Row = {"reference.s_min_eig": task.levels.s_min_eig}
    if "hamiltonian" in task.errors and task.electrons:
        row |= _hamiltonian_columns(task, task.errors["hamiltonian"])
    if "overlap" in task.errors:
        row |= _overlap_columns(task, task.errors["overlap"])
    if "density" in task.errors:
        row |= _density_columns(task, task.reference["density"] + task.errors["density"], task.reference["overlap"])
    return row


def _hamiltonian_columns(task: MoleculeTask, change: FloatArray) -> Row:
    """Errors of levels and orbitals of a predicted H with the reference S."""
    eps_ref, c_ref = task.levels.eps[0], task.levels.orbitals[0]
    eps, overlaps, error = in_reference_basis(change, eps_ref, c_ref)
    row = level_metrics(eps[None], eps_ref[None, : len(eps)], task.electrons)
    occupied = occupied_levels(eps[None], task.electrons)
    # C_pred = C_ref (C_ref^T S C_pred): coefficients of the predicted orbitals, which the legacy number takes
    row["psi_cos_legacy"] = psi_cos_legacy(c_ref @ overlaps[:, :occupied], c_ref[:, :occupied])
    row["psi_overlap"] = psi_overlap(overlaps, eps_ref, occupied, DEGENERATE_EV * task.ev)
    row["occ_subspace"] = occ_subspace(overlaps, occupied)
    shifts = (eps - eps_ref[: len(eps)])[:occupied]
    estimates = error.diagonal()[:occupied]  # c^T dH c of each reference orbital
    row |= budget_metrics(shifts[None], estimates[None], np.ones(1), amplification(*_squares(change, error)))
    return {f"hamiltonian.{name}": value for name, value in row.items()}


def _squares(change: FloatArray, inner: FloatArray) -> tuple[float, float]:
    """||M||_F^2 and ||C^T M C||_F^2; the latter is ||S^-1/2 M S^-1/2||_F^2, as C C^T = S^-1."""
    return float(np.linalg.norm(change)) ** 2, float(np.linalg.norm(inner)) ** 2


def _overlap_columns(task: MoleculeTask, change: FloatArray) -> Row:
    """How the error of a predicted S moves the levels of the reference H."""
    overlap = task.reference["overlap"] + change
    lowest = min_eigenvalue(overlap)
    row: Row = {"overlap.s_min_eig": lowest}
    if not task.electrons:
        return row
    if lowest <= 0:  # no metric, and no generalised eigenproblem
        return row | dict.fromkeys(NEEDS_POSITIVE_S, float("nan"))
    eps_ref, c_ref = task.levels.eps, task.levels.orbitals[0]
    occupied = occupied_levels(eps_ref, task.electrons)
    eps = bare_levels(task.reference["hamiltonian"], overlap)[:occupied]
    shifts = eps - eps_ref[0, :occupied]
    estimates = overlap_shifts(change, c_ref[:, :occupied], eps_ref[0, :occupied])
    amplified = amplification(*_squares(change, c_ref.T @ change @ c_ref))
    budget = budget_metrics(shifts[None], estimates[None], np.ones(1), amplified)
    row["overlap.eps_shift_occ"] = mean_shift(shifts[None], np.ones(1))
    return row | {f"overlap.{name}": value for name, value in budget.items()}


def _density_columns(task: MoleculeTask, density: FloatArray, overlap: FloatArray) -> Row:
    row: Row = {"density.d_idempotency": d_idempotency(density, overlap)}
    if task.electrons:
        row["density.d_trace_error"] = d_trace_error(density, overlap, task.electrons)
    return row
