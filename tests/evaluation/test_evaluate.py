"""From predictions to scores: units, missing and extra pieces, levels, what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.linalg

from slembench.core.errors import DataError, PredictionError
from slembench.evaluation import evaluate, main_scores, official_scores
from slembench.evaluation.floors import floor_predictions
from slembench.metrics.scores import ScoreName, scores_from_table
from slembench.operators.units import HARTREE_EV
from slembench.predictions import PredictionHeader


class Given:
    """Predictions from a dictionary; by default the reference itself plus noise."""

    def __init__(self, dataset, operators=("hamiltonian", "overlap"), noise=0.01, split="test"):
        self.operators = tuple(operators)
        self.attrs = PredictionHeader(
            dataset.name, dataset.fingerprint, split, "given", dataset.basis, dataset.card.units.energy
        )
        rng = np.random.default_rng(11)
        self.blocks = {}
        for sample in dataset.iterate(dataset.split(split)):
            self.blocks[sample.id] = {
                op: matrix.with_values(matrix.values + noise * rng.normal(size=len(matrix.values)))
                for op, matrix in sample.operators.items()
                if op in operators
            }

    @property
    def ids(self):
        return list(self.blocks)

    def __getitem__(self, structure):
        return self.blocks[structure]


def errors(dataset, given, op, structure):
    reference = dataset.sample(structure).operators[op].complete()
    return given[structure][op].complete().values - reference.values


def test_perfect_prediction_scores_zero(crystals):
    result = evaluate(crystals, Given(crystals, noise=0.0))
    lower = {name for name in result.scores if ScoreName.parse(name).definition.direction == "lower"}
    errors = {name: score.value for name, score in result.scores.items() if name in lower}
    assert len(errors) > 60
    assert max(errors.values()) < 1e-12
    assert {why for why in result.unavailable.values() if "not asked" not in why and "challenging" not in why} == {
        "structure 's08' has no value"  # the amplification of no error
    }
    assert len(result.block_issues) == 0


def test_errors_levels_and_gauge_of_a_crystal(crystals):
    given = Given(crystals)
    table = evaluate(crystals, given).per_structure.set_index("id")
    assert list(table.index) == crystals.split("test")
    assert table["group"].tolist() == ["g4", "g4", "g5", "g5"]
    points = np.array([(a / 3, b / 3, 0) for a in range(3) for b in range(3)])
    for structure, row in table.iterrows():
        delta, sample = errors(crystals, given, "hamiltonian", structure), crystals.sample(structure)
        s = sample.operators["overlap"].complete().values
        mu = (delta @ s) / (s @ s)
        assert row["hamiltonian.mu"] == pytest.approx(mu, abs=1e-14)
        gauge = row["hamiltonian.gauge.onsite.full.abs_sum"] + row["hamiltonian.gauge.offsite.full.abs_sum"]
        assert gauge == pytest.approx(np.abs(delta - mu * s).sum(), rel=1e-12)
        h, p, s = (
            m.hermitise().at_k(points)
            for m in (sample.operators["hamiltonian"], given[structure]["hamiltonian"], sample.operators["overlap"])
        )
        reference, predicted = (
            np.array([scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(m, s)]) for m in (h, p)
        )
        assert row["hamiltonian.band_mae_occ"] == pytest.approx(
            np.abs(predicted - mu - reference)[:, :4].mean(), abs=1e-12
        )
        levels = np.sort(reference, axis=None)
        fermi = (levels[9 * 4 - 1] + levels[9 * 4]) / 2  # 8 electrons fill 4 of the levels at each of 9 k points
        chosen = np.abs(reference - fermi) <= 5.0
        window = np.abs(predicted - mu - reference)[chosen].mean()
        assert row["hamiltonian.band_mae_window"] == pytest.approx(window, abs=1e-12)
        gaps = [max(0, e[:, 4].min() - e[:, 3].max()) for e in (predicted, reference)]
        assert row["hamiltonian.gap_mae"] == pytest.approx(abs(gaps[0] - gaps[1]), abs=1e-12)
        assert row["reference.s_min_eig"] == pytest.approx(np.linalg.eigvalsh(s).min(), abs=1e-12)


def test_scores_follow_from_the_table_alone(crystals, tmp_path):
    result = evaluate(crystals, Given(crystals))
    result.per_structure.to_parquet(tmp_path / "t.parquet")
    again, unavailable = scores_from_table(pd.read_parquet(tmp_path / "t.parquet"))
    assert again == result.scores
    assert unavailable.items() <= result.unavailable.items()
    for name, score in result.scores.items():
        parts = ScoreName.parse(name)
        assert score.unit == parts.definition.unit_of(parts.operator, "eV")


def test_identity_of_all_diag_and_off(molecules):
    result = evaluate(molecules, Given(molecules, ("density",)))
    for _, row in result.per_structure.iterrows():
        for counting in ("full", "reduced"):
            on, off = (
                {k: row[f"density.{part}.{counting}.{k}"] for k in ("abs_sum", "count")}
                for part in ("onsite", "offsite")
            )
            f = on["count"] / (on["count"] + off["count"])
            mean = (on["abs_sum"] + off["abs_sum"]) / (on["count"] + off["count"])
            both = f * on["abs_sum"] / on["count"] + (1 - f) * off["abs_sum"] / off["count"]
            assert mean == pytest.approx(both, rel=1e-14)


def test_levels_of_a_molecule(molecules):
    given = Given(molecules)
    table = evaluate(molecules, given).per_structure.set_index("id")
    for structure, row in table.iterrows():
        sample = molecules.sample(structure)
        s = sample.operators["overlap"].dense()
        h = given[structure]["hamiltonian"].hermitise().dense()
        e, e_ref = (scipy.linalg.eigh(m, s, eigvals_only=True) for m in (h, sample.operators["hamiltonian"].dense()))
        assert row["hamiltonian.eps_mae_occ"] == pytest.approx(np.abs(e - e_ref)[:5].mean(), abs=1e-12)
        assert row["hamiltonian.lumo_mae"] == pytest.approx(abs(e[5] - e_ref[5]), abs=1e-12)
    assert "hamiltonian.band_mae_occ" not in table


def test_other_energy_unit_is_converted(molecules):
    given = Given(molecules)
    expected = evaluate(molecules, given).scores
    given.attrs = replace(given.attrs, energy_unit="eV")
    for operators in given.blocks.values():
        operators["hamiltonian"] = operators["hamiltonian"] * HARTREE_EV
    found = evaluate(molecules, given).scores
    assert found.keys() == expected.keys()
    for name, score in found.items():
        assert score.unit == expected[name].unit
        assert score.value == pytest.approx(expected[name].value, rel=1e-9, abs=1e-14)


def test_missing_structure_counts_as_zero_and_is_listed(crystals):
    given = Given(crystals)
    lost = given.ids[1]
    del given.blocks[lost]
    given.blocks["s00"] = given.blocks[given.ids[0]]
    result = evaluate(crystals, given, bands=False)
    assert (result.missing, result.unknown) == ([lost], ["s00"])
    row = result.per_structure.set_index("id").loc[lost]
    reference = crystals.sample(lost).operators["hamiltonian"].complete()
    total = row["hamiltonian.onsite.full.abs_sum"] + row["hamiltonian.offsite.full.abs_sum"]
    assert not row["predicted"]
    assert total == pytest.approx(np.abs(reference.values).sum())
    assert len(result.per_structure) == 4
    assert len(result.block_issues) == 0


def test_missing_and_extra_blocks_are_listed(crystals):
    given = Given(crystals, ("overlap",))
    matrix = given.blocks["s08"]["overlap"]
    lost = int(np.flatnonzero(~matrix.onsite)[0])
    far = replace(matrix.take(np.array([lost])), pair_shift=np.array([[3, 3, 0]]))
    given.blocks["s08"]["overlap"] = matrix.take(np.setdiff1d(np.arange(matrix.n_pairs), [lost])) + far
    result = evaluate(crystals, given)
    issues = result.block_issues
    assert issues["id"].unique().tolist() == ["s08"]
    assert issues["kind"].value_counts().to_dict() == {"missing": 2, "extra": 2}
    i, j = matrix.pair_index[lost]
    found = {
        tuple(row) for row in issues[issues["kind"] == "extra"][["i", "j", "R1", "R2", "R3"]].itertuples(index=False)
    }
    assert found == {(i, j, 3, 3, 0), (j, i, -3, -3, 0)}
    row = result.per_structure.set_index("id").loc["s08"]
    assert (row["overlap.missing_blocks"], row["overlap.extra_blocks"]) == (2, 2)


def test_both_directions_that_disagree_count_each(crystals):
    given = Given(crystals, ("hamiltonian",), noise=0.0)
    matrix = given.blocks["s08"]["hamiltonian"].complete()
    pair = int(np.flatnonzero(~matrix.onsite)[0])
    values = matrix.values.copy()
    values[matrix.offsets[pair] : matrix.offsets[pair + 1]] += 1.0
    given.blocks["s08"]["hamiltonian"] = matrix.with_values(values)
    row = evaluate(crystals, given).per_structure.set_index("id").loc["s08"]
    size = matrix.offsets[pair + 1] - matrix.offsets[pair]
    given.blocks["s08"]["hamiltonian"] = matrix.with_values(values).hermitise()  # levels are those of this part
    same = evaluate(crystals, given).per_structure.set_index("id").loc["s08"]
    assert row["hamiltonian.band_mae_occ"] == pytest.approx(same["hamiltonian.band_mae_occ"], rel=1e-9)
    assert row["hamiltonian.offsite.full.abs_sum"] == pytest.approx(size)


def test_tables_agree_with_the_scores(crystals):
    result = evaluate(crystals, Given(crystals), bands=False)
    blocks = result.blocks[(result.blocks["operator"] == "hamiltonian") & (result.blocks["part"] == "all")]
    pooled = result.scores["hamiltonian.mae_all.full.pooled"].value
    assert blocks["abs_sum"].sum() / blocks["count"].sum() == pytest.approx(pooled, rel=1e-12)
    near = result.distances[result.distances["operator"] == "hamiltonian"]
    off = result.scores["hamiltonian.mae_off.full.pooled"].value
    assert near["abs_sum"].sum() / near["elements"].sum() == pytest.approx(off, rel=1e-12)
    assert near["upper"].max() == 3.0
    assert (near["mae"] * near["elements"]).to_numpy() == pytest.approx(near["abs_sum"].to_numpy())


def test_cached_levels_give_the_same(crystals, tmp_path):
    given = Given(crystals)
    first = evaluate(crystals, given, cache=tmp_path)
    assert len(list(tmp_path.rglob("*.levels"))) == 4
    assert evaluate(crystals, given, cache=tmp_path).scores == first.scores == evaluate(crystals, given).scores


def test_levels_that_cannot_be_computed_say_why(crystals, monkeypatch):
    monkeypatch.setattr(crystals, "card", crystals.card.model_copy(update={"bands": None}))
    result = evaluate(crystals, Given(crystals))
    reasons = {why for why in result.unavailable.values() if "challenging" not in why and "not asked" not in why}
    assert reasons == {"the card names no k mesh (key 'bands')"}
    assert "hamiltonian.band_mae_occ" not in result.scores
    assert "hamiltonian.mae_gauge.full.pooled" in result.scores


def test_no_electrons_no_levels(crystals, monkeypatch):
    sample = crystals.sample
    unknown = lambda id: replace(sample(id), info=replace(sample(id).info, electrons=None))  # noqa: E731
    monkeypatch.setattr(crystals, "sample", unknown)
    result = evaluate(crystals, Given(crystals))
    assert "has no number of electrons" in result.unavailable["hamiltonian.band_mae_occ"]
    assert not [name for name in result.scores if "band" in name]


def test_electrons_that_do_not_fit_the_basis(crystals, monkeypatch):
    sample = crystals.sample
    monkeypatch.setattr(
        crystals, "sample", lambda id: replace(sample(id), info=replace(sample(id).info, electrons=99.0))
    )
    with pytest.raises(DataError, match="structure 's08': 99.0 electrons do not fit the 14 levels"):
        evaluate(crystals, Given(crystals))


def test_predicted_overlap_that_is_no_metric_is_reported(crystals):
    given = Given(crystals)
    given.blocks["s08"]["overlap"] = given.blocks["s08"]["overlap"] * -1.0
    scores = evaluate(crystals, given).scores
    assert scores["overlap.s_not_pd"].value == 1
    assert scores["overlap.s_min_eig"].value < 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "other"}, "dataset is 'other', the data set's is 'made-up-crystals'"),
        ({"dataset_fingerprint": "0"}, "dataset_fingerprint is '0'"),
    ],
)
def test_predictions_of_other_data(crystals, change, message):
    given = Given(crystals)
    given.attrs = replace(given.attrs, **change)
    with pytest.raises(PredictionError, match=message):
        evaluate(crystals, given)


def test_predictions_in_another_basis(crystals, molecules):
    given = Given(crystals)
    given.attrs = replace(given.attrs, basis=molecules.basis.restrict(np.array([5])))
    with pytest.raises(PredictionError, match="basis is .* predict on this data set"):
        evaluate(crystals, given)


def test_operators_that_are_not_there(crystals):
    with pytest.raises(PredictionError, match="cannot score density: the predictions hold hamiltonian, overlap"):
        evaluate(crystals, Given(crystals), operators=["density"])
    with pytest.raises(PredictionError, match="cannot score overlap: the predictions hold hamiltonian"):
        evaluate(crystals, Given(crystals, ("hamiltonian",)), operators=["overlap"])
    only = evaluate(crystals, Given(crystals), operators=["overlap"], bands=False)
    assert {name.split(".")[0] for name in only.scores} == {"overlap"}


def test_other_atoms_are_named(crystals):
    given = Given(crystals)
    blocks = given.blocks["s08"]["hamiltonian"]
    swapped = replace(blocks, numbers=blocks.numbers[::-1], pair_index=1 - blocks.pair_index, values=blocks.values)
    given.blocks["s08"] = {"hamiltonian": swapped, "overlap": swapped}
    with pytest.raises(PredictionError, match=r"structure 's08': atoms are \[7, 5\], the data set's are \[5, 7\]"):
        evaluate(crystals, given)


def test_unknown_split(crystals):
    with pytest.raises(DataError, match="no split 'tests'"):
        evaluate(crystals, Given(crystals), "tests")


def test_official_scores(crystals):
    scores = evaluate(crystals, floor_predictions(crystals, "zero")).scores
    assert official_scores(crystals.card, list(scores)) == [
        "hamiltonian.mae_all.full.pooled",
        "hamiltonian.band_mae_occ",
        "overlap.mae_all.full.pooled",
    ]


def test_main_scores_are_the_official_ones_and_the_others_of_their_form(crystals):
    names = ["a.gap_mae", "hamiltonian.mae_off.full.pooled", "hamiltonian.mae_all.full.pooled"]
    other_forms = ["hamiltonian.mae_all.reduced.pooled", "hamiltonian.mae_all.full.per_structure"]
    expected = ["hamiltonian.mae_all.full.pooled", "a.gap_mae", "hamiltonian.mae_off.full.pooled"]
    assert main_scores(crystals.card, names + other_forms) == expected
