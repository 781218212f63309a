"""Which metrics a board shows together, and the headings of their columns; data, no logic.

Every metric of the catalogue that gives a score stands in exactly one group (a test holds this).
"""

from __future__ import annotations

from dataclasses import dataclass

from slembench.metrics.catalogue import catalogue


@dataclass(frozen=True)
class Group:
    """Metrics of one table.

    Attributes:
        name: short word for addresses and files.
        title: of the table.
        metrics: columns, left to right.
        note: what a reader must know.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    note: str = ""


MAIN = Group(
    "main",
    "measured here",
    (
        "mae_all", "mae_diag", "mae_off", "mae_challenging_samples", "mae_challenging_block", "eps_mae_occ",
        "band_mae_occ", "psi_overlap",
    ),
)  # fmt: skip
"""What every board begins with."""

GROUPS = (
    Group(
        "elements",
        "more about matrix elements",
        ("mae_gauge", "rmse_all", "rmse_diag", "rmse_off", "max_abs", "uncertainty_rank"),
        "rank correlation: of the spread of an ensemble with its error, over structures",
    ),
    Group(
        "levels",
        "orbital energies and bands",
        (
            "homo_mae", "lumo_mae", "gap_mae", "band_mae_window", "band_mae_occ_aligned", "band_mae_window_aligned",
            "path_mae_occ", "path_mae_window", "path_mae_occ_aligned", "path_mae_window_aligned", "dos_w1",
            "ghost_states", "s_min_eig", "s_not_pd", "eps_shift_occ",
        ),
        "levels of the generalised eigenproblem with the reference S unless the column says otherwise",
    ),
    Group("orbitals", "wavefunctions", ("psi_cos_legacy", "occ_subspace"), "1 is perfect"),
    Group(
        "density",
        "density matrix and self-consistency",
        (
            "d_trace_error", "d_idempotency", "energy_error", "energy_error_guess", "scf_ratio", "scf_ratio_optimal",
            "scf_error_level",
        ),
    ),
    Group(
        "budget",
        "error budget",
        ("budget_first_order", "budget_residual", "budget_amplification"),
        "how the matrix error becomes an error of levels: its first-order estimate, what is beyond first order, and by "
        "how much small eigenvalues of S amplify it",
    ),
)  # fmt: skip
"""Further tables, in order."""

HEADINGS = {
    "mae_all": "MAE all", "mae_diag": "MAE on-site", "mae_off": "MAE off-site", "mae_gauge": "MAE gauge",
    "mae_challenging_samples": "challenging samples", "mae_challenging_block": "challenging block",
    "rmse_all": "RMSE", "rmse_diag": "RMSE on-site", "rmse_off": "RMSE off-site", "max_abs": "largest",
    "band_mae_occ": "occ. bands", "band_mae_window": "bands at E_F", "band_mae_occ_aligned": "occ. bands aligned",
    "band_mae_window_aligned": "bands at E_F aligned", "path_mae_occ": "occ. bands, path",
    "path_mae_window": "bands at E_F, path", "path_mae_occ_aligned": "occ. bands aligned, path",
    "path_mae_window_aligned": "bands at E_F aligned, path", "eps_mae_occ": "occ. levels", "homo_mae": "HOMO",
    "lumo_mae": "LUMO", "gap_mae": "gap", "dos_w1": "DOS distance", "ghost_states": "ghost states",
    "s_min_eig": "smallest eig. of S", "s_not_pd": "S not pos. definite", "eps_shift_occ": "levels with predicted S",
    "psi_overlap": "psi overlap", "psi_cos_legacy": "psi cosine (legacy)", "occ_subspace": "occ. subspace",
    "d_trace_error": "electrons", "d_idempotency": "idempotency", "energy_error": "energy, one shot",
    "energy_error_guess": "energy, guess", "scf_ratio": "SCF ratio", "scf_ratio_optimal": "best SCF ratio",
    "scf_error_level": "SCF to error level", "budget_first_order": "first order", "budget_residual": "beyond",
    "budget_amplification": "amplification", "uncertainty_rank": "rank correlation",
}  # fmt: skip
"""Metric -> heading of its column; others are headed by their name."""


def heading(metric: str) -> str:
    """Heading of a metric's column."""
    return HEADINGS.get(metric, metric.replace("_", " "))


def ungrouped() -> tuple[str, ...]:
    """Metrics of the catalogue that give a score and stand in no group."""
    known = {metric for group in (MAIN, *GROUPS) for metric in group.metrics}
    forms = ("elements", "structures", "split")
    return tuple(name for name, metric in catalogue().items() if metric.form in forms and name not in known)
