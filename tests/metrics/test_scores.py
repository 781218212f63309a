"""Names of scores, and scores from a hand-made per-structure table."""

import numpy as np
import pandas as pd
import pytest

from slembench.core.errors import ConfigError
from slembench.metrics.catalogue import catalogue
from slembench.metrics.scores import ScoreName, score_names, scores_from_table, structure_values

ROWS = [
    # onsite: abs, sq, count, max; offsite likewise
    {"id": "a", "on": (2.0, 2.0, 4, 1.0), "off": (3.0, 5.0, 6, 2.0), "gap": 0.1, "s_min": 0.2},
    {"id": "b", "on": (8.0, 40.0, 2, 6.0), "off": (0.0, 0.0, 0, 0.0), "gap": 0.3, "s_min": -0.1},
]


@pytest.fixture
def table():
    rows = []
    for entry in ROWS:
        row = {"id": entry["id"], "energy_unit": "eV", "overlap.s_min_eig": entry["s_min"]}
        row["hamiltonian.gap_mae"] = entry["gap"]
        for op in ("hamiltonian", "overlap"):
            for part, key in (("onsite", "on"), ("offsite", "off")):
                for counting, factor in (("full", 1), ("reduced", 0.5)):
                    names = [f"{op}.{part}.{counting}.{n}" for n in ("abs_sum", "sq_sum", "count", "max")]
                    row |= dict(zip(names, np.array(entry[key]) * [factor, factor, factor, 1]))
                    row[f"{op}.gauge.{part}.{counting}.abs_sum"] = entry[key][0] * factor / 10
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.drop(columns=[name for name in frame if name.startswith("overlap.gauge")])


def test_by_hand(table):
    scores, unavailable = scores_from_table(table)
    expected = {
        "hamiltonian.mae_all.full.pooled": 13 / 12,
        "hamiltonian.mae_all.full.per_structure": (5 / 10 + 8 / 2) / 2,
        "hamiltonian.mae_diag.full.pooled": 10 / 6,
        "hamiltonian.mae_off.full.pooled": 3 / 6,
        "hamiltonian.mae_off.full.per_structure": 3 / 6,
        "hamiltonian.rmse_all.full.pooled": np.sqrt(47 / 12),
        "hamiltonian.rmse_all.full.per_structure": (np.sqrt(7 / 10) + np.sqrt(20)) / 2,
        "hamiltonian.rmse_off.reduced.per_structure": np.sqrt(5 / 6),
        "hamiltonian.max_abs.full.pooled": 6.0,
        "hamiltonian.max_abs.full.per_structure": 4.0,
        "hamiltonian.mae_gauge.full.pooled": 1.3 / 12,
        "hamiltonian.gap_mae": 0.2,
        "overlap.s_min_eig": -0.1,
        "overlap.s_not_pd": 1.0,
    }
    assert {name: scores[name].value for name in expected} == pytest.approx(expected)
    assert "overlap.mae_gauge.full.pooled" not in scores
    assert unavailable == {}


def test_every_score_is_in_the_catalogue_with_its_unit(table):
    scores, _ = scores_from_table(table)
    for name, score in scores.items():
        parts = ScoreName.parse(name)
        assert score.unit == parts.definition.unit_of(parts.operator, "eV")
    assert scores["overlap.mae_all.full.pooled"].unit == "1"


def test_what_has_no_value_says_why(table):
    table.loc[1, "hamiltonian.gap_mae"] = np.nan
    for column in [name for name in table if ".offsite." in name]:
        table[column] = 0.0
    scores, unavailable = scores_from_table(table)
    assert unavailable["hamiltonian.gap_mae"] == "structure 'b' has no value"
    assert unavailable["hamiltonian.mae_off.full.pooled"] == "no structure has such elements"
    assert not set(scores) & set(unavailable)


@pytest.mark.parametrize(
    "score",
    [
        "hamiltonian.mae_all.full.pooled",
        "hamiltonian.mae_all.reduced.per_structure",
        "hamiltonian.mae_off.full.per_structure",
        "hamiltonian.mae_gauge.full.pooled",
        "hamiltonian.gap_mae",
    ],
)
def test_ratio_of_structure_values_is_the_score(table, score):
    numerator, weight = structure_values(table, score)
    counted = weight > 0
    ratio = numerator[counted].sum() / weight.sum()
    assert ratio == pytest.approx(scores_from_table(table)[0][score].value)


@pytest.mark.parametrize(
    "score", ["hamiltonian.rmse_all.full.pooled", "hamiltonian.max_abs.full.pooled", "overlap.s_min_eig"]
)
def test_other_scores_are_no_ratio(table, score):
    with pytest.raises(KeyError, match="is not a mean"):
        structure_values(table, score)


def test_names_are_read_and_written():
    name = ScoreName.parse("density.rmse_off.reduced.per_structure")
    assert name == ScoreName("density", "rmse_off", "reduced", "per_structure")
    assert name.definition is catalogue()["rmse_off"]
    assert ScoreName.parse("hamiltonian.gap_mae") == ScoreName("hamiltonian", "gap_mae")
    for metric in catalogue().values():
        for operator in metric.operators:
            for score in score_names(metric, operator):
                assert ScoreName.parse(str(score)) == score
                assert score.definition is metric


@pytest.mark.parametrize("text", ["mae_all", "overlap.mae_all.full", "a.b.c.d.e", "hamiltonian..full.pooled", "", "a."])
def test_names_have_two_or_four_words(text):
    with pytest.raises(ConfigError, match="no score"):
        ScoreName.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "overlap.mae_all", "hamiltonian.mae.full.pooled", "hamiltonian.mae_all.full.median",
        "kinetic.mae_all.full.pooled",
        "overlap.gap_mae", "hamiltonian.gap_mae.full.pooled", "hamiltonian.mae_block", "hamiltonian.rotation",
    ],
)  # fmt: skip
def test_names_that_no_score_can_have(text):
    with pytest.raises(ConfigError, match="no score"):
        ScoreName.parse(text).definition  # noqa: B018


def test_scores_of_a_metric():
    assert [str(name) for name in score_names(catalogue()["mae_off"], "density")] == [
        "density.mae_off.full.per_structure",
        "density.mae_off.full.pooled",
        "density.mae_off.reduced.per_structure",
        "density.mae_off.reduced.pooled",
    ]
    assert [str(name) for name in score_names(catalogue()["gap_mae"], "hamiltonian")] == ["hamiltonian.gap_mae"]
    assert score_names(catalogue()["gap_mae"], "overlap") == []
    assert score_names(catalogue()["mae_block"], "hamiltonian") == []


def test_form_of_a_score():
    assert str(ScoreName.of("overlap", "mae_all", "reduced", "pooled")) == "overlap.mae_all.reduced.pooled"
    assert str(ScoreName.of("overlap", "s_min_eig", "reduced", "pooled")) == "overlap.s_min_eig"
    assert ScoreName.parse("overlap.mae_all.reduced.pooled").is_in_form("reduced", "pooled")
    assert not ScoreName.parse("overlap.mae_all.reduced.pooled").is_in_form("full", "pooled")
    assert ScoreName.parse("overlap.s_min_eig").is_in_form("full", "pooled")
