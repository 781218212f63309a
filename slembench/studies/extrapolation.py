"""What measured costs say about sizes that were not measured: a million atoms, and training on the whole of QH9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from slembench.harness import load_recipe
from slembench.metrics.scaling import PowerLaw, power_law
from slembench.studies.designs import ModelSpec

MILLION = 1_000_000

QH9_STRUCTURES = 130_831
QH9_TRAIN = 104_664
QH9_ATOMS = 18
"""QH9-stable: molecules, those of the random training split (80 %), and atoms of a mean QM9 molecule, hydrogen included
(Yu et al., NeurIPS 2023, arXiv 2306.09549; Ramakrishnan et al., Sci. Data 1, 140022)."""


@dataclass(frozen=True)
class Fit:
    """A power law of one model's cost.

    Attributes:
        model: with variant.
        quantity: column of the table.
        axis: what was varied.
        law: cost = factor * size ** exponent.
        sizes: that were measured.
        values: measured costs.
    """

    model: str
    quantity: str
    axis: str
    law: PowerLaw
    sizes: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, size: float) -> tuple[float, float, float]:
        """Cost at another size, from the largest one that was measured, with the ends of the exponent's interval.

        An exponent below 1 tells of costs that every call has; for larger sizes it counts as 1.
        """
        largest = max(range(len(self.sizes)), key=lambda k: self.sizes[k])
        growth = size / self.sizes[largest]
        ends = (self.law.exponent, self.law.low, self.law.high)
        # Anchored at the largest measured size, not at the fitted line: the line averages over small sizes, whose
        # fixed costs do not matter for larger ones.
        value, low, high = (self.values[largest] * growth ** max(exponent, 1.0) for exponent in ends)
        return value, low, high


def fits(table: pd.DataFrame, axis: str, quantity: str, of: str | None = None) -> list[Fit]:
    """One fit for each model that was measured at two sizes at least.

    Args:
        table: of `slembench.studies.scaling`, one data set.
        axis: atoms, cutoff or lmax.
        quantity: column that is fitted.
        of: column of sizes; by default that of the axis (lmax + 1 for lmax).

    Example:
        Costs that grow as N^1.5, and what they say about a larger structure:

        >>> atoms = [10, 100, 1000]
        >>> table = pd.DataFrame({"model": "slem", "axis": "atoms", "atoms": atoms, "cpu_s": [n**1.5 for n in atoms]})
        >>> fit = fits(table, "atoms", "cpu_s")[0]
        >>> round(fit.law.exponent, 3), round(fit.at(4000)[0] / 1000**1.5, 3)
        (1.5, 8.0)
    """
    found = []
    for model in dict.fromkeys(table["model"]):
        rows = series(table, model, axis)
        # lmax + 1 angular momenta from 0 to lmax: a power law in lmax itself could not hold at lmax = 0
        sizes = rows[of or axis] + (1 if (of or axis) == "lmax" else 0)
        # a peak of memory below what the process held before is 0, and has no logarithm
        usable = rows[quantity] > 0
        x, y = sizes[usable].astype(float).tolist(), rows[quantity][usable].astype(float).tolist()
        if len(set(x)) > 1:
            found.append(Fit(model, quantity, axis, power_law(x, y), tuple(x), tuple(y)))
    return found


def series(table: pd.DataFrame, model: str, axis: str) -> pd.DataFrame:
    """Rows of one model along one axis; the series of cutoffs has its full one among the rows of atoms."""
    own = table[table["model"] == model]
    rows = own[own["axis"] == axis]
    if axis == "cutoff" and len(rows):
        whole = own[(own["axis"] == "atoms") & (own["atoms"] == rows["atoms"].iloc[0])]
        rows = pd.concat([whole, rows])
    return rows


@dataclass(frozen=True)
class Training:
    """Cost of a whole training on QH9.

    Attributes:
        model: with variant.
        structures: that go through the model in all steps.
        epochs: of the random training split.
        seconds: CPU seconds a structure, at the mean molecule.
        hours: CPU hours in all.
        low, high: of the hours, from the interval of the exponent.
    """

    model: str
    structures: int
    epochs: float
    seconds: float
    hours: float
    low: float
    high: float


def qh9_trainings(table: pd.DataFrame) -> list[Training]:
    """Whole trainings with the steps and batches of each model's own recipe, at the cost of a step on one molecule.

    Args:
        table: measured on molecules of QH9's kind.
    """
    found = []
    for fit in fits(table, "atoms", "train_cpu_s"):
        spec = ModelSpec.parse(fit.model)
        training = load_recipe(spec.model, variant=spec.variant).training
        if training.max_steps is None:
            continue
        structures = training.max_steps * training.batch_size
        seconds, low, high = fit.at(QH9_ATOMS)
        # 3600 s in an hour; structures, not steps: the cost of a step is that of one structure
        hours: Sequence[float] = [structures * value / 3600 for value in (seconds, low, high)]
        found.append(Training(fit.model, structures, structures / QH9_TRAIN, seconds, hours[0], *sorted(hours[1:])))
    return found
