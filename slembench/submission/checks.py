"""Comparisons behind `slembench.submission.verify`; each returns what it saw, or raises SubmissionError."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from slembench.core.errors import SubmissionError
from slembench.data import Dataset
from slembench.evaluation import official_scores
from slembench.operators.units import energy_factor
from slembench.predictions import Predictions
from slembench.results.record import RunRecord, ScoreValue
from slembench.submission.submission import Submission

SCORE_TOLERANCE = 1e-9
"""Relative difference of scores from the same table."""

ELEMENT_TOLERANCE = 1e-6
"""Relative difference of sums over matrix elements, computed on two machines."""

LEVEL_TOLERANCE = 1e-3
"""Relative difference of everything that follows from eigenvalues."""

NOISE = 1e-7
"""Difference that is always allowed, unit of the column."""

RETRAINED_TOLERANCE = 0.25
"""Relative difference of official scores between two trainings of one model."""

UNIT_RATIO = 8.0
"""Largest ratio of norms, predicted to reference, either way; eV for Hartree gives 27, for Ry 14."""

ASYMMETRY = 0.5
"""Largest anti-Hermitian part, relative to the hoppings; blocks that have nothing to do with each other give 0.7."""

FIXED = ("group", "n_atoms", "energy_unit", "challenging")
"""Columns that are the data set's own, beside the counts."""


def complete(path: Path, table: pd.DataFrame, zero: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """The table in the order of the split, once columns, ids and values are in order.

    Args:
        path: of the table, for messages.
        table: as submitted.
        zero: table of predicting zero.
        targets: operators submitted for.
    """
    # The gauge shift mu needs H and S in one prediction; whoever submits H alone has no such column.
    lacking = [name for name in zero if name not in table and not name.endswith(".mu")]
    if lacking:
        raise SubmissionError(f"{path}: column {lacking[0]!r} is missing")
    known = tuple(f"{operator}." for operator in (*targets, "reference"))
    unknown = [name for name in table if name not in zero and not name.startswith(known)]
    if unknown:
        raise SubmissionError(f"{path}: unknown column {unknown[0]!r}")
    for name in table:
        numeric = name not in zero or pd.api.types.is_numeric_dtype(zero[name])
        if numeric != pd.api.types.is_numeric_dtype(table[name]):
            raise SubmissionError(f"{path}: column {name!r} has type {table[name].dtype}")
    if table["predicted"].dtype != bool:
        raise SubmissionError(f"{path}: column 'predicted' must hold true or false")
    _ids(path, table, zero)
    for name in table.select_dtypes("number"):
        values = table[name].to_numpy(np.float64)
        # NaN is allowed where a level could not be computed, never in a sum that a mean is made of.
        bad = np.isinf(values) | (np.isnan(values) if _is_sum(name) else False) | (_is_sum(name) & (values < 0))
        if bad.any():
            raise SubmissionError(
                f"{path}: column {name!r}: structure {table['id'][bad.argmax()]!r} is {values[bad][0]}"
            )
    return table.set_index("id").loc[list(zero["id"])].reset_index()


def _ids(path: Path, table: pd.DataFrame, zero: pd.DataFrame) -> None:
    twice = table["id"][table["id"].duplicated()].tolist()
    if twice:
        raise SubmissionError(f"{path}: structure {twice[0]!r} stands there more than once")
    dropped = sorted(set(zero["id"]) - set(table["id"]))
    if dropped:
        raise SubmissionError(
            f"{path}: no row for {len(dropped)} structures, the first is {dropped[0]!r}; what was not predicted counts"
            " as zero and keeps its row"
        )


def _is_sum(name: str) -> bool:
    return name.endswith((".abs_sum", ".sq_sum", ".count", ".max"))


def reference(table: pd.DataFrame, zero: pd.DataFrame) -> str:
    """Whether all columns that do not depend on the predictions are the data set's."""
    names = [name for name in zero if name in FIXED or (name.endswith(".count") and _is_sum(name))]
    for name in names:
        wrong = np.flatnonzero(table[name].to_numpy() != zero[name].to_numpy())
        if len(wrong):
            row, own = wrong[0], zero[name][wrong[0]]
            raise SubmissionError(
                f"column {name!r}: structure {table['id'][row]!r} has {table[name][row]}, the data set {own}"
            )
    return f"{len(names)} columns are the data set's"


def missing(table: pd.DataFrame, zero: pd.DataFrame, stated: Sequence[str]) -> str:
    """Whether structures without a prediction are named and scored as if zero had been predicted."""
    rows = ~table["predicted"].to_numpy(bool)
    found = table["id"][rows].tolist()
    if sorted(found) != sorted(stated):
        raise SubmissionError(f"key 'missing' names {list(stated)[:5]}, the table has no prediction for {found[:5]}")
    # Without the columns of the gauge: the best shift of a zero prediction is a fit, not a sum of the reference.
    sums = [name for name in zero if _is_sum(name) and ".gauge." not in name]
    _same(table[rows].reset_index(drop=True), zero[rows].reset_index(drop=True), sums, "predicting zero")
    if not found:
        return "none"
    if len(found) == len(table):
        raise SubmissionError("no structure is predicted")
    return f"{len(found)} of {len(table)} structures missing, each counted as zero: {', '.join(found[:5])}"


def scores(stated: Mapping[str, ScoreValue], found: Mapping[str, ScoreValue]) -> str:
    """Whether the stated scores follow from the table."""
    if not stated:
        raise SubmissionError("key 'scores' is empty")
    for name, score in stated.items():
        if name not in found:
            raise SubmissionError(f"key 'scores.{name}': the table gives no such score")
        other = found[name]
        if score.unit != other.unit or not np.isclose(score.value, other.value, rtol=SCORE_TOLERANCE, atol=1e-15):
            raise SubmissionError(
                f"key 'scores.{name}': says {score.value} {score.unit}, the table gives {other.value} {other.unit}"
            )
    return f"{len(stated)} scores follow from the table"


def belongs(path: Path, file: Predictions, data: Dataset, entry: Submission) -> None:
    """Whether a predictions file is of the submission's data set, split and operators."""
    header = file.attrs
    for key, found, wanted in (
        ("dataset", header.dataset, data.name),
        ("dataset_fingerprint", header.dataset_fingerprint, data.fingerprint),
        ("split", header.split, entry.split),
        ("model", header.model, entry.model),
        ("basis", header.basis.to_dict(), data.basis.to_dict()),
    ):
        if found != wanted:
            raise SubmissionError(f"{path}: attribute {key!r} is {found!r}, the submission's is {wanted!r}")
    lacking = [op for op in entry.targets if op not in file.operators]
    if lacking:
        raise SubmissionError(f"{path}: no operator {lacking[0]!r}, which is among the targets")
    unknown = sorted(set(file.ids) - set(data.split(entry.split)))
    if unknown:
        raise SubmissionError(f"{path}: structure {unknown[0]!r} is not in split {entry.split!r}")


def units(data: Dataset, file: Predictions, ids: Iterable[str]) -> str:
    """Whether the operators have the size of the reference's."""
    sums = {op: np.zeros(2) for op in file.operators if op in data.card.operators}
    for name in ids:
        sample, found = data.sample(name), file[name]
        for op, total in sums.items():
            # complete(): a file may hold one triangle of pairs or both, the norm must not depend on that
            total += [_norm_squared(found[op].values), _norm_squared(sample.operators[op].complete().values)]
    factor = energy_factor(file.attrs.energy_unit, data.card.units.energy)
    ratios = {}
    for op, (predicted, wanted) in sums.items():
        ratios[op] = float(np.sqrt(predicted / wanted)) * (factor if op == "hamiltonian" else 1.0)
        if not 1 / UNIT_RATIO <= ratios[op] <= UNIT_RATIO:
            unit = file.attrs.energy_unit
            raise SubmissionError(f"{op}: norm is {ratios[op]:.3g} times the reference's; is the unit {unit} right?")
    return ", ".join(f"{op} {ratio:.2f} times the reference's norm" for op, ratio in ratios.items())


def hermitian(file: Predictions, ids: Iterable[str]) -> str:
    """Whether blocks in both directions are about each other's transposes; the mean of both counts."""
    sums = {op: np.zeros(2) for op in file.operators}
    for name in ids:
        for op, matrix in file[name].items():
            full = matrix.complete()
            # On-site blocks are nearly diagonal and large: measured against them no wrong pair would be seen.
            odd, hopping = (full - full.hermitise()).values, ~full.onsite[full.element_pair]
            sums[op] += [_norm_squared(odd), _norm_squared(full.values[hopping])]
    parts = {op: float(np.sqrt(odd / max(whole, 1e-300))) for op, (odd, whole) in sums.items()}
    for op, part in parts.items():
        if part > ASYMMETRY:
            raise SubmissionError(
                f"{op}: anti-Hermitian part is {part:.2g} of the hoppings; wrong pairs, order or signs?"
            )
    return ", ".join(f"{op} anti-Hermitian part {part:.1e}" for op, part in parts.items())


def _norm_squared(values: np.ndarray) -> float:
    return float(np.vdot(values, values))


def tables(submitted: pd.DataFrame, found: pd.DataFrame) -> str:
    """Whether the submitted table follows from the predictions; both in the order of the split."""
    lacking = [name for name in found if name not in submitted]
    if lacking:
        raise SubmissionError(f"column {lacking[0]!r} is missing from the submitted table")
    _same(submitted, found, list(found), "the predictions")
    left = sorted(set(submitted) - set(found))
    note = f"; not computed again, and not taken: {', '.join(left)}" if left else ""
    return f"{len(found.columns)} columns follow from the predictions{note}"


def _same(table: pd.DataFrame, other: pd.DataFrame, names: Sequence[str], source: str) -> None:
    for name in names:
        left, right = table[name].to_numpy(), other[name].to_numpy()
        if pd.api.types.is_float_dtype(other[name]):
            # Eigenvalues of an ill-conditioned S differ between LAPACK builds, sums of elements hardly do.
            tolerance = ELEMENT_TOLERANCE if _is_sum(name) else LEVEL_TOLERANCE
            differs = ~np.isclose(left.astype(float), right, rtol=tolerance, atol=NOISE, equal_nan=True)
        else:
            differs = left != right
        if differs.any():
            row = int(differs.argmax())
            raise SubmissionError(
                f"column {name!r}: structure {table['id'][row]!r} has {left[row]}, {source} give {right[row]}"
            )


def retrained(data: Dataset, entry: Submission, found: Mapping[str, ScoreValue], run: RunRecord) -> str:
    """Whether a run that the checker trained reaches the official scores."""
    for key in ("dataset", "dataset_fingerprint", "split", "split_hash"):
        if getattr(run, key) != getattr(entry, key):
            raise SubmissionError(f"our run: {key} is {getattr(run, key)!r}, the submission's {getattr(entry, key)!r}")
    names = [name for name in official_scores(data.card, list(found)) if name in run.scores]
    if not names:
        raise SubmissionError("our run has none of the official scores")
    for name in names:
        own, stated = run.scores[name].value, found[name].value
        if abs(own - stated) > RETRAINED_TOLERANCE * abs(own):
            raise SubmissionError(f"score {name}: our run has {own:.4g}, the submission {stated:.4g}")
    return f"{len(names)} official scores within {RETRAINED_TOLERANCE:.0%} of our run {run.name!r}"
