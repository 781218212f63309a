"""One-shot energies and self-consistent runs with PySCF from predicted operators, beside the card's initial guess.

The protocol (functional, basis, grid, thresholds, DIIS, guess) stands on the card, key ``scf``. Each run is kept on
disk, keyed by protocol, structure and starting density, so that a scoring that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from slembench.core.errors import DataError, PredictionError
from slembench.core.files import write_text
from slembench.data import Dataset, Sample
from slembench.data.card import ScfProtocol
from slembench.data.pyscf import ScfRun, converge, one_shot_energy
from slembench.evaluation.batch import read_prediction
from slembench.evaluation.sources import check_predictions
from slembench.metrics.density import closed_shell_density
from slembench.metrics.spectrum import orbitals
from slembench.operators.orbitals import FloatArray
from slembench.predictions import PredictionSource

CACHE_VERSION = 1
"""Raised whenever what a run holds changes."""


def error_level(fock_errors: Sequence[float], level: float) -> int:
    """Iterations after which the mean Fock error is below ``level`` for the first time; all where it never is.

    Args:
        fock_errors: mean |F - H_ref| after each iteration, Hartree.
        level: the prediction's own error, Hartree.

    Example:
        >>> error_level([0.3, 0.1, 0.02, 0.001], level=0.05)
        3
    """
    below = np.flatnonzero(np.asarray(fock_errors) < level)
    return int(below[0]) + 1 if len(below) else len(fock_errors)


class ScfScorer:
    """Columns of self-consistency for single structures.

    Args:
        dataset: molecules whose card has a protocol.
        source: predictions.
        operators: operators to score; H and D have such columns.
        cache: folder of finished runs; None for no cache.
    """

    def __init__(
        self, dataset: Dataset, source: PredictionSource, operators: Sequence[str], cache: Path | None
    ) -> None:
        assert dataset.card.scf is not None
        self.protocol: ScfProtocol = dataset.card.scf
        self.dataset, self.source, self._cache = dataset, source, cache
        self.operators = [op for op in operators if op in ("hamiltonian", "density")]

    def columns(self, structure: str) -> dict[str, float]:
        """Energy errors (unit of the data) and iteration counts of every operator; NaN where a run did not converge."""
        sample = self.dataset.sample(structure)
        predicted = structure in set(self.source.ids)
        prediction = read_prediction(self.dataset, self.source, self.operators, sample, predicted)
        target = sample.operators["hamiltonian"].dense()
        guess = self._run(sample, target, None)  # the same for every operator and model
        row: dict[str, float] = {}
        for op in self.operators:
            matrix = prediction[op].hermitise().dense()
            density = matrix if op == "density" else self._density(sample, matrix)
            run = self._run(sample, target, density)
            level = float(np.abs(matrix - target).mean()) if op == "hamiltonian" else self._fock_error(sample, density)
            energy = sample.info.energy if sample.info.energy is not None else guess.energy
            row |= {f"{op}.{name}": value for name, value in scf_metrics(run, guess, energy, level).items()}
        return row

    def _density(self, sample: Sample, hamiltonian: FloatArray) -> FloatArray:
        occupied = round((sample.info.electrons or 0.0) / 2)
        return closed_shell_density(orbitals(hamiltonian, sample.operators["overlap"].dense())[1], occupied)

    def _fock_error(self, sample: Sample, density: FloatArray) -> float:
        """Error of the Fock matrix of a predicted D, which itself has no error of H."""
        fock = one_shot_energy(sample.atoms, self.protocol, density)[1]
        return float(np.abs(fock - sample.operators["hamiltonian"].dense()).mean())

    def _run(self, sample: Sample, target: FloatArray, density: FloatArray | None) -> ScfRun:
        """A run, from the cache where it is there."""
        if self._cache is None:
            return converge(sample.atoms, self.protocol, target, density)
        key = hashlib.sha256(self.protocol.model_dump_json().encode())
        key.update(f"{CACHE_VERSION}:{self.dataset.fingerprint}:{sample.id}".encode())
        key.update(b"guess" if density is None else np.ascontiguousarray(density).tobytes())
        file = self._cache / f"{key.hexdigest()[:32]}.json"
        stored = _stored(file)
        if stored is None:
            stored = converge(sample.atoms, self.protocol, target, density)
            write_text(file, json.dumps(asdict(stored)) + "\n")
        return stored


def scf_table(
    dataset: Dataset, sources: Mapping[str, PredictionSource], ids: Iterable[str], cache: Path | None
) -> pd.DataFrame:
    """Self-consistency of several predictions of the same molecules.

    Args:
        dataset: molecules whose card has a protocol.
        sources: name -> predictions of H, D or both.
        ids: molecules.
        cache: folder of finished runs; None for no cache.

    Returns:
        A row for each molecule, source and operator: ``id``, ``model``, ``operator`` and the columns of `ScfScorer`.

    Raises:
        PredictionError: predictions of something else, or without H and D.
        DataError: the card has no protocol.
    """
    if dataset.card.scf is None:
        raise DataError(f"data set {dataset.name}: the card has no protocol of self-consistent runs (key 'scf')")
    scorers = {}
    for name, source in sources.items():
        operators = [op for op in check_predictions(dataset, source, None) if op in ("hamiltonian", "density")]
        if not operators:
            raise PredictionError(f"predictions {name}: hold {', '.join(source.operators)}; needed: H or D")
        scorers[name] = ScfScorer(dataset, source, operators, cache)
    rows: list[dict[str, float | str]] = []
    for structure in ids:
        for name, scorer in scorers.items():
            columns = scorer.columns(structure)
            for op in scorer.operators:
                own = {key.removeprefix(f"{op}."): value for key, value in columns.items() if key.startswith(f"{op}.")}
                rows.append({"id": structure, "model": name, "operator": op, **own})
    return pd.DataFrame(rows)


def scf_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means over molecules for each model and operator of `scf_table`.

    Returns:
        Columns ``model``, ``operator``, ``molecules``, ``converged``, the means of the columns of `ScfScorer` (those of
        iterations over converged runs), ``lowest_ratio`` and ``highest_ratio``.
    """
    rows = []
    for (model, operator), part in table.groupby(["model", "operator"], sort=False):
        means = part.drop(columns=["id", "model", "operator"]).mean().to_dict()
        ratios = part["scf_ratio"]
        ends = {"lowest_ratio": ratios.min(), "highest_ratio": ratios.max()}
        count = {"molecules": len(part), "converged": int(part["scf_iterations"].notna().sum())}
        rows.append({"model": model, "operator": operator, **count, **means, **ends})
    return pd.DataFrame(rows)


def scf_metrics(run: ScfRun, guess: ScfRun, energy: float, level: float) -> dict[str, float]:
    """`energy_error`, `scf_ratio` and what belongs to them, of one molecule.

    Args:
        run: self-consistent run from the prediction.
        guess: the same from the card's guess.
        energy: converged energy, Hartree.
        level: mean error of the predicted H (of the Fock matrix of a predicted D), Hartree.

    Returns:
        Energy errors of the first Fock build in Hartree; iterations, ratios of them (prediction / guess; QH9's
        definitions). NaN where a run did not converge.

    Source: QH9 (arXiv 2306.09549).

    Example:
        >>> from slembench.data.pyscf import ScfRun
        >>> guess = ScfRun(10, True, -76.0, -75.5, tuple(0.5**n for n in range(10)))
        >>> run = ScfRun(4, True, -76.0, -75.99, ())
        >>> metrics = scf_metrics(run, guess, energy=-76.0, level=0.3)
        >>> {name: round(metrics[name], 6) for name in ("energy_error", "scf_ratio", "scf_error_level")}
        {'energy_error': 0.01, 'scf_ratio': 0.4, 'scf_error_level': 0.3}
    """
    nan = float("nan")
    both = run.converged and guess.converged
    return {
        "energy_error": abs(run.first_energy - energy),
        "energy_error_guess": abs(guess.first_energy - energy),
        "scf_iterations": float(run.iterations) if run.converged else nan,
        "scf_iterations_guess": float(guess.iterations) if guess.converged else nan,
        "scf_ratio": run.iterations / guess.iterations if both else nan,
        "scf_ratio_optimal": 1 / guess.iterations if guess.converged else nan,
        "scf_error_level": error_level(guess.fock_errors, level) / guess.iterations if guess.converged else nan,
    }


def _stored(file: Path) -> ScfRun | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return ScfRun(**{**content, "fock_errors": tuple(content["fock_errors"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
