"""Verdicts on claims: orders, growth, transfer and figures, from the committed results and from made-up tables."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from slembench.assets import asset_path
from slembench.errors import DataError
from slembench.reproduction.checks import judge
from slembench.reproduction.claims import Claim, read_claims
from slembench.results.record import read_record

ROOT = asset_path("results").parent
SCORE = "hamiltonian.mae_all.full.pooled"


def judged(root=ROOT, **check):
    check.setdefault("score", SCORE)
    if check["kind"] == "figure":
        del check["score"]
    return judge(TypeAdapter(Claim).validate_python({"id": "x", "claim": "c", "source": "s", "check": check}), root)


def test_an_order_holds_and_its_reverse_does_not():
    floors = [["floors/two-body"], ["floors/irreps-mean"], ["floors/zero"]]
    verdict = judged(kind="order", dataset="mos2-mini", entries=floors)
    assert verdict.word == "held"
    shown = [row["value"] for row in verdict.table.rows]
    wanted = [read_record(ROOT / "results/runs/mos2-mini" / name / "test").scores[SCORE].value for [name] in floors]
    assert np.allclose([number.value for number in shown], 1e3 * np.array(wanted), rtol=1e-9)
    assert judged(kind="order", dataset="mos2-mini", entries=floors[::-1]).word == "did not hold"


def test_an_entry_is_not_told_apart_from_itself():
    verdict = judged(kind="order", dataset="mos2-mini", entries=[["floors/zero"], ["floors/zero"]])
    assert verdict.text == "undecided"
    assert "not told apart" in verdict.why
    assert "1 seed" in verdict.weakness


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "results" / "studies" / "s"
    folder.mkdir(parents=True)
    rows = [
        {"data": "d", "model": model, "fraction": fraction, "seed": 0, "split": "test", f"{SCORE} (eV)": value}
        for model, values in {"flat": (1.0, 1.1), "steep": (0.9, 2.7)}.items()
        for fraction, value in zip((1.0, 0.2), values)
    ]
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("model", "other", "bound", "word"),
    [
        ("flat", "steep", 1.2, "held"),
        ("flat", "steep", 1.05, "did not hold"),
        ("steep", "flat", 5.0, "did not hold"),
        ("steep", "flat", None, "did not hold"),
    ],
)
def test_growth_with_fewer_structures(study, model, other, bound, word):
    verdict = judged(study, kind="growth", study="s", dataset="d", model=model, others=[other], at_most=bound)
    assert verdict.word == word
    assert [row["growth"].value for row in verdict.table.rows] == pytest.approx(
        [1.1, 3.0] if model == "flat" else [3.0, 1.1]
    )
    assert verdict.table.rows[0]["1"].value == pytest.approx(1000 if model == "flat" else 900)  # meV


def test_transfer_to_other_structures():
    check = {"kind": "transfer", "dataset": "mos2-mini", "splits": ["test", "test_3x3"], "entries": [["floors/zero"]]}
    factor = judged(**check, at_most=9).table.rows[0]["factor"].value
    values = [
        read_record(ROOT / "results/runs/mos2-mini/floors/zero" / split).scores[SCORE].value
        for split in check["splits"]
    ]
    assert factor == pytest.approx(values[1] / values[0])
    assert judged(**check, at_most=max(1.001, factor * 1.01)).word == "held"


@pytest.mark.parametrize(("bound", "word"), [(0.05, "held"), (0.02, "undecided"), (0.005, "did not hold")])
def test_a_figure_against_its_bound(tmp_path, bound, word):
    (tmp_path / "r.json").write_text(json.dumps({"share": 0.02, "ends": [0.01, 0.03]}))
    check = {"kind": "figure", "file": "r.json", "path": ["share"], "interval": ["ends"], "at_most": bound, "unit": "%"}
    assert judged(tmp_path, **check).word == word


def test_an_exponent_is_of_l_plus_1(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"cpu_s": {str(l): (l + 1) ** 2.5 for l in (2, 3, 4, 6)}}))
    check = {"kind": "figure", "file": "r.json", "path": ["cpu_s"], "exponent": True}
    verdict = judged(tmp_path, **check, at_most=3)
    assert [row["value"].value for row in verdict.table.rows] == pytest.approx([2.5, 2.5])
    assert (verdict.word, judged(tmp_path, **check, at_most=2).word) == ("held", "did not hold")


def test_missing_evidence_is_named(tmp_path):
    with pytest.raises(DataError, match=r"claim 'x': .*r\.json"):
        judged(tmp_path, kind="figure", file="r.json", path=["a"], at_most=1)
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(DataError, match="claim 'x': no 'a'"):
        judged(tmp_path, kind="figure", file="r.json", path=["a"], at_most=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claims: []", "claims"),
        ("claims: [{id: a, claim: b, source: c, check: {kind: guess}}]", "check"),
        ("claims: {", "not readable"),
    ],
)
def test_a_broken_list_is_refused(tmp_path, text, message):
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_claims(path)
