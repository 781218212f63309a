"""Columns of levels, orbitals, densities and budgets against SciPy, structure by structure."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import PredictionError
from slembench.evaluation import evaluate
from slembench.evaluation.floors import floor_predictions
from slembench.evaluation.sources import EnsembleSource
from slembench.metrics.catalogue import catalogue
from slembench.metrics.kpath import band_path
from slembench.metrics.scores import score_names
from slembench.predictions import PredictionHeader

MESH = np.array([(a / 3, b / 3, 0) for a in range(3) for b in range(3)])


class Given:
    """The reference with noise."""

    def __init__(self, dataset, operators, noise=0.01, seed=11, model="given"):
        self.operators, self.ids = tuple(operators), dataset.split("test")
        unit = dataset.card.units.energy
        self.attrs = PredictionHeader(dataset.name, dataset.fingerprint, "test", model, dataset.basis, unit)
        rng = np.random.default_rng(seed)
        self.blocks = {
            name: {
                op: matrix.with_values(matrix.values + noise * rng.normal(size=len(matrix.values))).hermitise()
                for op, matrix in dataset.sample(name).operators.items()
                if op in operators
            }
            for name in self.ids
        }

    def __getitem__(self, structure):
        return self.blocks[structure]


def rows_of(dataset, given, **options):
    result = evaluate(dataset, given, **options)
    return result, result.per_structure.set_index("id").to_dict("index")


def test_orbitals_and_budget_of_molecules(molecules):
    given = Given(molecules, ("hamiltonian",))
    _, rows = rows_of(molecules, given, threads=2)
    for name, row in rows.items():
        sample = molecules.sample(name)
        h, s = (sample.operators[op].dense() for op in ("hamiltonian", "overlap"))
        p = given[name]["hamiltonian"].dense()
        (eps, c), (eps_p, c_p) = scipy.linalg.eigh(h, s), scipy.linalg.eigh(p, s)
        found = {key: row[f"hamiltonian.{key}"] for key in ("psi_overlap", "psi_cos_legacy", "occ_subspace")}
        overlaps = c.T @ s @ c_p
        lengths = np.linalg.norm(c, axis=0) * np.linalg.norm(c_p, axis=0)
        assert found == pytest.approx(
            {
                "psi_overlap": np.abs(np.diag(overlaps))[:5].mean(),
                "psi_cos_legacy": (np.abs((c * c_p).sum(axis=0)) / lengths)[:5].mean(),
                "occ_subspace": (overlaps[:5, :5] ** 2).sum() / 5,
            },
            abs=1e-9,
        )
        estimate = np.diag(c.T @ (p - h) @ c)[:5]
        assert row["hamiltonian.budget_first_order"] == pytest.approx(np.abs(estimate).mean(), abs=1e-12)
        residual = np.abs((eps_p - eps)[:5] - estimate).mean()
        assert row["hamiltonian.budget_residual"] == pytest.approx(residual, abs=1e-12)
        half = np.linalg.inv(scipy.linalg.sqrtm(s).real)
        amplified = np.linalg.norm(half @ (p - h) @ half) / np.linalg.norm(p - h)
        assert row["hamiltonian.budget_amplification"] == pytest.approx(amplified, rel=1e-9)


def test_predicted_overlap_and_density_of_molecules(molecules):
    given = Given(molecules, ("overlap", "density"), noise=0.005)
    _, rows = rows_of(molecules, given)
    for name, row in rows.items():
        sample = molecules.sample(name)
        h, s = (sample.operators[op].dense() for op in ("hamiltonian", "overlap"))
        s_p, d_p = (given[name][op].dense() for op in ("overlap", "density"))
        (eps, c), eps_p = scipy.linalg.eigh(h, s), scipy.linalg.eigh(h, s_p, eigvals_only=True)
        assert row["overlap.s_min_eig"] == pytest.approx(np.linalg.eigvalsh(s_p)[0], abs=1e-12)
        assert row["overlap.eps_shift_occ"] == pytest.approx(np.abs(eps_p - eps)[:5].mean(), abs=1e-11)
        estimate = (-eps * np.diag(c.T @ (s_p - s) @ c))[:5]
        assert row["overlap.budget_first_order"] == pytest.approx(np.abs(estimate).mean(), abs=1e-11)
        assert row["density.d_trace_error"] == pytest.approx(abs(np.trace(d_p @ s) - 10), abs=1e-10)
        assert row["density.d_idempotency"] == pytest.approx(np.abs(d_p @ s @ d_p / 2 - d_p).max(), rel=1e-10)


def test_budget_of_crystals(crystals):
    given = Given(crystals, ("hamiltonian", "overlap"))
    _, rows = rows_of(crystals, given)
    for name, row in rows.items():
        sample, mu = crystals.sample(name), row["hamiltonian.mu"]
        h, s = (sample.operators[op].at_k(MESH) for op in ("hamiltonian", "overlap"))
        p, s_p = (given[name][op].at_k(MESH) for op in ("hamiltonian", "overlap"))
        estimates, errors, shifts, raw, inner = [], [], [], 0.0, 0.0
        for k in range(9):
            eps, c = scipy.linalg.eigh(h[k], s[k])
            change, half = p[k] - h[k] - mu * s[k], np.linalg.inv(scipy.linalg.sqrtm(s[k]))
            estimates.append(np.diag(c.conj().T @ change @ c).real[:4])
            errors.append((scipy.linalg.eigh(p[k], s[k], eigvals_only=True) - mu - eps)[:4])
            shifts.append((scipy.linalg.eigh(h[k], s_p[k], eigvals_only=True) - eps)[:4])
            raw += np.linalg.norm(change) ** 2
            inner += np.linalg.norm(half @ change @ half) ** 2
        found = {key: row[f"hamiltonian.budget_{key}"] for key in ("first_order", "residual", "amplification")}
        expected = {
            "first_order": np.abs(estimates).mean(),
            "residual": np.abs(np.array(errors) - estimates).mean(),
            "amplification": np.sqrt(inner / raw),
        }
        assert found == pytest.approx(expected, rel=1e-8)
        assert row["overlap.eps_shift_occ"] == pytest.approx(np.abs(shifts).mean(), rel=1e-9)


def test_path_of_crystals(crystals):
    given = Given(crystals, ("hamiltonian",))
    result, rows = rows_of(crystals, given, path=True)
    assert "hamiltonian.path_mae_occ" not in result.unavailable
    name = given.ids[0]
    sample, row = crystals.sample(name), rows[given.ids[0]]
    kpoints = band_path(sample.atoms, crystals.card.bands.path_spacing).kpoints
    h, p, s = (
        m.at_k(kpoints)
        for m in (sample.operators["hamiltonian"], given[name]["hamiltonian"], sample.operators["overlap"])
    )
    eps, eps_p = (np.array([scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(m, s)]) for m in (h, p))
    error = np.abs(eps_p - row["hamiltonian.mu"] - eps)[:, :4]
    assert row["hamiltonian.path_mae_occ"] == pytest.approx(error.mean(), abs=1e-12)


def test_every_metric_has_a_score_or_a_reason(crystals, molecules):
    for dataset, system in ((crystals, "crystals"), (molecules, "molecules")):
        operators = dataset.card.operators
        result = evaluate(dataset, Given(dataset, operators))
        for operator in operators:
            for name, metric in catalogue().items():
                names = [str(score) for score in score_names(metric, operator)]
                if names and system in metric.systems:
                    held = any(score in result.scores for score in names)
                    assert held != (f"{operator}.{name}" in result.unavailable), (operator, name)


def test_challenging_structures_of_the_card(crystals, monkeypatch):
    given = Given(crystals, ("hamiltonian",))
    hard = {"baseline": "made up", "samples": given.ids[:2], "blocks": {"hamiltonian": ("N", "d1", "B", "p1")}}
    card = crystals.card.model_copy(
        update={"challenging": type(crystals.card).model_fields["challenging"].annotation.__args__[0](**hard)}
    )
    monkeypatch.setattr(crystals, "card", card)
    scores = evaluate(crystals, given).scores
    errors, block = [], []
    for name in given.ids:
        sample = crystals.sample(name).operators["hamiltonian"].complete()
        delta = given[name]["hamiltonian"].complete() - sample
        if name in given.ids[:2]:
            errors.append(np.abs(delta.values))
        for p, (i, j) in enumerate(delta.pair_index):
            if (delta.numbers[i], delta.numbers[j]) == (7, 5):
                block.append(np.abs(delta.gather(np.array([p]))[0][4:9, 2:5]))
    pooled = scores["hamiltonian.mae_challenging_samples.full.pooled"].value
    assert pooled == pytest.approx(np.concatenate(errors).mean(), rel=1e-12)
    assert scores["hamiltonian.mae_challenging_block"].value == pytest.approx(np.mean(block), rel=1e-12)


def test_an_ensemble_knows_its_spread(crystals):
    members = [Given(crystals, ("hamiltonian",), seed=seed) for seed in (1, 2, 3)]
    for noise, name in enumerate(members[0].ids):  # the later, the noisier
        for member in members:
            h, reference = member.blocks[name]["hamiltonian"], crystals.sample(name).operators["hamiltonian"].complete()
            member.blocks[name] = {"hamiltonian": reference + (h - reference) * float(1 + noise)}
    ensemble = EnsembleSource(members)
    result = evaluate(crystals, ensemble)
    assert result.scores["hamiltonian.uncertainty_rank"].value == pytest.approx(1)
    name = ensemble.ids[0]
    found = [m[name]["hamiltonian"].complete() for m in members]
    stacked = np.stack([f.align(found[0].pair_index, found[0].pair_shift)[0].values for f in found])
    row = result.per_structure.set_index("id").loc[name]
    assert row["hamiltonian.spread"] == pytest.approx(stacked.std(axis=0, ddof=1).mean(), rel=1e-12)
    alone = evaluate(crystals, members[0])
    mean, single = (r.scores["hamiltonian.mae_all.full.pooled"].value for r in (result, alone))
    assert mean < 0.8 * single


def test_ensembles_that_do_not_belong_together(crystals):
    member = Given(crystals, ("hamiltonian",))
    with pytest.raises(PredictionError, match="at least two"):
        EnsembleSource([member])
    other = Given(crystals, ("hamiltonian",))
    other.attrs = replace(other.attrs, split="val")
    with pytest.raises(PredictionError, match="split of 'given' is 'val'"):
        EnsembleSource([member, other])


def test_overlap_that_is_no_metric(molecules):
    result = evaluate(molecules, floor_predictions(molecules, "zero"))
    assert result.scores["overlap.s_not_pd"].value == 4
    for name in ("eps_shift_occ", "budget_first_order"):
        assert result.unavailable[f"overlap.{name}"] == "structure 's08': the predicted S is not positive definite"


def test_large_cells_are_scored_around_the_fermi_level(monkeypatch):
    """Above the limit the window error stays the same, and everything else says why it is missing."""
    from slembench.data import load_dataset
    from slembench.evaluation import levels as module

    dataset = load_dataset("mos2-mini")
    ids = dataset.split("test")[:1]
    monkeypatch.setattr(dataset, "split", lambda name: ids)
    given = Given(dataset, ("hamiltonian",), noise=1e-3)
    dense = evaluate(dataset, given).scores["hamiltonian.band_mae_window"].value
    monkeypatch.setattr(module, "MAX_DENSE_ORBITALS", 100)
    result = evaluate(dataset, given)
    assert result.scores["hamiltonian.band_mae_window"].value == pytest.approx(dense, rel=1e-3)
    assert result.unavailable["hamiltonian.band_mae_occ"].startswith("too large: 180 orbitals in a cell, at most 100")
