"""Errors of one crystal: bands on the card's k mesh and along a k path, densities of states, error budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from slembench.data import Sample
from slembench.evaluation.reference import ReferenceLevels
from slembench.metrics.budget import (
    NEEDS_POSITIVE_S,
    amplification,
    budget_metrics,
    first_order_shifts,
    mean_shift,
    orthonormal_norm,
    overlap_shifts,
)
from slembench.metrics.density import d_trace_error
from slembench.metrics.dos import BROADENING_EV, GHOST_SHIFT_EV, dos_w1, ghost_states
from slembench.metrics.kpath import band_path
from slembench.metrics.matrix import align_hermitian
from slembench.metrics.spectrum import INSULATOR_EV, band_metrics, fill, levels, matrices_at_k, overlap_minimum
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import FloatArray

Row = dict[str, float]


@dataclass(frozen=True, eq=False)
class CrystalTask:
    """One crystal.

    Attributes:
        sample: the reference.
        electrons: electrons in the cell; 0 where unknown.
        reference: reference levels and the lowest orbitals on the mesh.
        predicted: predicted operators, Hermitian.
        kpoints: (n_k, 3) mesh, fractional.
        weights: (n_k,) sum to 1.
        mu: gauge shift of H, unit of the data.
        window: half width of the window around the Fermi level, eV.
        spacing: of the k path, 1 / Angstrom; None: no path.
        ev: 1 eV in the energy unit of the data.
    """

    sample: Sample
    electrons: float
    reference: ReferenceLevels
    predicted: Mapping[str, BlockMatrix]
    kpoints: FloatArray
    weights: FloatArray
    mu: float
    window: float
    spacing: float | None
    ev: float


def crystal_columns(task: CrystalTask) -> Row:
    """Columns of the per-structure table; see the catalogue for each metric.

    Raises:
        ValueError: electrons that the levels cannot hold.
    """
    row: Row = {"reference.s_min_eig": task.reference.s_min_eig}
    if "hamiltonian" in task.predicted and task.electrons:
        row |= _hamiltonian_columns(task, task.predicted["hamiltonian"])
    if "overlap" in task.predicted:
        row |= _overlap_columns(task, task.predicted["overlap"])
    if "density" in task.predicted and task.electrons:
        density = task.predicted["density"].complete()  # Tr(D S) runs over both directions of every pair
        overlap = align_hermitian(task.sample.operators["overlap"], density.pair_index, density.pair_shift)[0]
        row["density.d_trace_error"] = d_trace_error(density.values, overlap.values, task.electrons)
    return row


def _hamiltonian_columns(task: CrystalTask, hamiltonian: BlockMatrix) -> Row:
    """Errors of the bands of a predicted H with the reference S."""
    overlap = task.sample.operators["overlap"]
    eps = levels(hamiltonian, overlap, task.kpoints)  # predicted H, reference S
    row = _band_errors(task, eps, task.reference.eps, task.weights)
    # predicted levels are shifted by mu: the energy zero of a crystal has no meaning (H -> H + mu S)
    fermi = fill(task.reference.eps, task.weights, task.electrons).fermi
    window, width, shift = (size * task.ev for size in (task.window, BROADENING_EV, GHOST_SHIFT_EV))
    row["dos_w1"] = dos_w1(eps - task.mu, task.reference.eps, task.weights, fermi, window, width)
    row["ghost_states"] = float(ghost_states(eps - task.mu, task.reference.eps, fermi, window, shift))
    row |= _budget_columns(task, hamiltonian, eps)
    if task.spacing is not None:
        row |= _path_errors(task, hamiltonian)
    return {f"hamiltonian.{name}": value for name, value in row.items()}


def _band_errors(task: CrystalTask, eps: FloatArray, reference: FloatArray, weights: FloatArray) -> Row:
    return band_metrics(
        eps,
        reference,
        weights,
        electrons=task.electrons,
        mu=task.mu,
        window=task.window * task.ev,
        insulating=INSULATOR_EV * task.ev,
    )


def _path_errors(task: CrystalTask, hamiltonian: BlockMatrix) -> Row:
    kpoints = band_path(task.sample.atoms, task.spacing or 0.0).kpoints
    h, s = task.sample.operators["hamiltonian"], task.sample.operators["overlap"]
    weights = np.full(len(kpoints), 1 / len(kpoints))  # a path has no volume to integrate over
    errors = _band_errors(task, levels(hamiltonian, s, kpoints), levels(h, s, kpoints), weights)
    # the gap along a path is no metric: its extrema may lie elsewhere
    return {name.replace("band_", "path_"): value for name, value in errors.items() if name.startswith("band_")}


def _budget_columns(task: CrystalTask, hamiltonian: BlockMatrix, eps: FloatArray) -> Row:
    """Error budget of Delta - mu S; nothing where no reference orbitals are kept."""
    kept = task.reference.orbitals.shape[2]
    if not kept or not np.isfinite(eps).all():
        return {}
    h_ref, s_ref = task.sample.operators["hamiltonian"], task.sample.operators["overlap"]
    estimates, raw, inner = [], 0.0, 0.0  # inner and raw: sum_k w_k ||M(k)||_F^2, in the orthonormal basis and not
    triples = (part for batch in matrices_at_k(task.kpoints, hamiltonian, h_ref, s_ref) for part in zip(*batch))
    for (h, h0, s), c, weight in zip(triples, task.reference.orbitals, task.weights):
        change = h - h0 - task.mu * s
        estimates.append(first_order_shifts(change, c))
        raw += weight * float(np.linalg.norm(change)) ** 2
        inner += weight * orthonormal_norm(change, s) ** 2
    shifts = (eps - task.mu - task.reference.eps)[:, :kept]
    return budget_metrics(shifts, np.array(estimates), task.weights, amplification(raw, inner))


def _overlap_columns(task: CrystalTask, overlap: BlockMatrix) -> Row:
    """How the error of a predicted S moves the levels of the reference H."""
    lowest = overlap_minimum(overlap, task.kpoints)
    row: Row = {"overlap.s_min_eig": lowest}
    kept = task.reference.orbitals.shape[2]
    if not task.electrons or not kept:
        return row
    if lowest <= 0:  # no metric, and no generalised eigenproblem
        return row | dict.fromkeys(NEEDS_POSITIVE_S, float("nan"))
    h_ref, s_ref = task.sample.operators["hamiltonian"], task.sample.operators["overlap"]
    shifts = (levels(h_ref, overlap, task.kpoints) - task.reference.eps)[:, :kept]
    estimates, raw, inner = [], 0.0, 0.0
    pairs = (part for batch in matrices_at_k(task.kpoints, overlap, s_ref) for part in zip(*batch))
    for (s, s0), c, eps, weight in zip(pairs, task.reference.orbitals, task.reference.eps, task.weights):
        estimates.append(overlap_shifts(s - s0, c, eps[:kept]))
        raw += weight * float(np.linalg.norm(s - s0)) ** 2
        inner += weight * orthonormal_norm(s - s0, s0) ** 2
    row["overlap.eps_shift_occ"] = mean_shift(shifts, task.weights)
    budget = budget_metrics(shifts, np.array(estimates), task.weights, amplification(raw, inner))
    return row | {f"overlap.{name}": value for name, value in budget.items()}
