"""Verdicts on claims: orders, growth, transfer and figures, from the committed results and from made-up tables."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.results.record import read_record, read_table, write_table
from slembench.studies.claims.checks import evaluate_claim
from slembench.studies.claims.claims import Claim, read_claims

ROOT = asset_path("results").parent
SCORE = "hamiltonian.mae_all.full.pooled"


def judged(root=ROOT, **check):
    if check["kind"] != "figure":
        check.setdefault("score", SCORE)
    return evaluate_claim(
        TypeAdapter(Claim).validate_python({"id": "x", "claim": "c", "source": "s", "check": check}), root
    )


@pytest.fixture
def floors(tmp_path):
    """Copy of the floors of MoS2 that a test may spoil."""
    runs = tmp_path / "results" / "runs" / "mos2-mini"
    shutil.copytree(ROOT / "results" / "runs" / "mos2-mini" / "floors", runs / "floors")
    return tmp_path


ORDERED = [["floors/two-body"], ["floors/irreps-mean"], ["floors/zero"]]


class TestOrder:
    def test_it_holds_and_its_reverse_does_not(self):
        verdict = judged(kind="order", dataset="mos2-mini", entries=ORDERED)
        assert verdict.text == "held, not resolved"
        assert verdict.weakness == "1 seed"
        shown = [row["value"] for row in verdict.table.rows]
        folder = ROOT / "results/runs/mos2-mini"
        wanted = [1e3 * read_record(folder / name / "test").scores[SCORE].value for [name] in ORDERED]
        assert [number.value for number in shown] == pytest.approx(wanted, rel=1e-9)  # meV
        assert all(number.low < number.value < number.high for number in shown)
        assert f"better than floor-irreps-mean by {wanted[1] - wanted[0]:.4g}" in verdict.why
        assert judged(kind="order", dataset="mos2-mini", entries=ORDERED[::-1]).outcome == "did not hold"

    @pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2)])
    def test_one_wrong_pair_is_enough(self, order):
        entries = [ORDERED[k] for k in order]
        assert judged(kind="order", dataset="mos2-mini", entries=entries).outcome == "did not hold"

    def test_an_entry_is_not_told_apart_from_itself(self):
        verdict = judged(kind="order", dataset="mos2-mini", entries=[ORDERED[0], *ORDERED[:2]])
        assert verdict.text == "undecided"
        assert "not told apart" in verdict.why

    def test_several_seeds_on_enough_structures_are_resolved(self):
        entries = [["deeph-e3", "deeph-e3-seed1"], ["harmose", "harmose-seed1"]]
        verdict = judged(kind="order", dataset="mos2-mini", entries=entries)
        assert (verdict.text, verdict.weakness) == ("held", "")

    @pytest.mark.parametrize("entry", [["slem", "slem"], ["slem", "slem-reference"]])
    def test_one_entry_has_one_setting_and_each_seed_once(self, entry):
        with pytest.raises(DataError, match="differ in their seed, and in nothing else"):
            judged(kind="order", dataset="mos2-mini", entries=[entry, ["floors/zero"]])

    def test_different_budgets_are_named(self):
        verdict = judged(kind="order", dataset="mos2-mini", entries=[["slem-reference"], ["slem"]])
        assert "different budgets" in verdict.weakness

    def test_values_that_are_not_finite_are_refused(self, floors):
        path = floors / "results/runs/mos2-mini/floors/zero/test/per_structure.parquet"
        table = read_table(path)
        table.loc[3, "hamiltonian.offsite.full.abs_sum"] = np.nan
        write_table(table, path)
        with pytest.raises(DataError, match=r"claim 'x': .*not finite"):
            judged(floors, kind="order", dataset="mos2-mini", entries=[["floors/two-body"], ["floors/zero"]])


def write_study(root, curves, seeds=(0,), n=24):
    """A study of models with errors (with all, with a fifth), on ``n`` structures that scatter alike."""
    folder = root / "results" / "studies" / "s"
    folder.mkdir(parents=True, exist_ok=True)
    scatter, labels, parts = np.random.default_rng(0).uniform(0.9, 1.1, n), [], []
    for data, factor in (("d", 1.0), ("other", 7.0)):
        for model, errors in curves.items():
            for fraction, value in zip((1.0, 0.2), errors):
                for seed in seeds:
                    run = f"{data}{model}{fraction}{seed}"
                    for split, scale in (("test", 1.0), ("test_3x3", 5.0)):
                        label = {"data": data, "model": model, "fraction": fraction, "seed": seed, "split": split}
                        labels.append({**label, "run": run, f"{SCORE} (eV)": value})
                        ids = [f"s{k}" for k in range(n)]
                        sums = value * scatter * (factor if fraction < 1 else 1) * (scale if fraction < 1 else 1)
                        part = {"run": run, "split": split, "id": ids, "group": ids}
                        parts.append(pd.DataFrame({**part, f"{SCORE} sum": sums, f"{SCORE} weight": np.ones(n)}))
    pd.DataFrame(labels).to_csv(folder / "scores.csv", index=False)
    write_table(pd.concat(parts), folder / "structures.parquet")
    return folder


GROWING = {"kind": "growth", "study": "s", "dataset": "d"}


class TestGrowth:
    @pytest.mark.parametrize(
        ("model", "other", "bound", "least", "word"),
        [
            ("flat", "steep", 1.2, 2.5, "held"),
            ("flat", "steep", 1.05, 2.5, "did not hold"),
            ("flat", "steep", 1.2, 3.5, "did not hold"),
            ("steep", "flat", 5.0, 1.5, "did not hold"),
        ],
    )
    def test_with_fewer_structures(self, tmp_path, model, other, bound, least, word):
        write_study(tmp_path, {"flat": (1.0, 1.1), "steep": (0.9, 2.7)})
        check = {**GROWING, "model": model, "at_most": bound, "others": [other], "others_at_least": least}
        verdict = judged(tmp_path, **check)
        assert verdict.outcome == word
        growth = {row["entry"]: row["growth"].value for row in verdict.table.rows}
        assert growth == pytest.approx({"flat": 1.1, "steep": 3.0})
        assert verdict.table.rows[0]["1"].value == pytest.approx({"flat": 1e3, "steep": 900}[model], rel=0.02)  # meV

    def test_an_interval_that_holds_the_bound_decides_nothing(self, tmp_path):
        folder = write_study(tmp_path, {"flat": (1.0, 1.1)})
        table = read_table(folder / "structures.parquet")
        noise = np.random.default_rng(1).uniform(0.2, 1.8, len(table))
        write_table(table.assign(**{f"{SCORE} sum": table[f"{SCORE} sum"] * noise}), folder / "structures.parquet")
        verdict = judged(tmp_path, **GROWING, model="flat", at_most=1.1)
        assert verdict.outcome == "undecided"
        number = verdict.table.rows[0]["growth"]
        assert number.low < 1.1 < number.high

    @pytest.mark.parametrize(
        ("seeds", "n", "weakness"), [((0,), 24, "1 seed"), ((0, 1), 24, ""), ((0, 1), 5, "5 groups")]
    )
    def test_what_weakens_it(self, tmp_path, seeds, n, weakness):
        folder = write_study(tmp_path, {"flat": (1.0, 1.1), "steep": (0.9, 2.7)}, seeds, n)
        verdict = judged(tmp_path, **GROWING, model="flat", at_most=2, others=["steep"], others_at_least=2)
        assert verdict.weakness.startswith(weakness)
        assert bool(verdict.weakness) == bool(weakness)
        labels = pd.read_csv(folder / "scores.csv")
        labels[(labels["seed"] == 0) | (labels["fraction"] < 1)].to_csv(folder / "scores.csv", index=False)
        fewer = judged(tmp_path, **GROWING, model="flat", at_most=2)
        assert "1 seed" in fewer.weakness

    def test_broken_tables_are_named(self, tmp_path):
        folder = write_study(tmp_path, {"flat": (1.0, 1.1)})
        check = {**GROWING, "model": "flat", "at_most": 2}
        with pytest.raises(DataError, match="no run of steep with 100 %"):
            judged(tmp_path, **{**check, "others": ["steep"]})
        with pytest.raises(DataError, match="no run on elsewhere"):
            judged(tmp_path, **{**check, "dataset": "elsewhere"})
        table = read_table(folder / "structures.parquet")
        table.loc[0, f"{SCORE} sum"] = np.nan
        write_table(table, folder / "structures.parquet")
        with pytest.raises(DataError, match="not finite"):
            judged(tmp_path, **check)
        write_table(table.iloc[1:], folder / "structures.parquet")
        with pytest.raises(DataError, match="other test structures"):
            judged(tmp_path, **check)
        (folder / "scores.csv").write_text("")
        with pytest.raises(DataError, match=r"scores\.csv: not readable"):
            judged(tmp_path, **check)


MOVED = {"kind": "transfer", "dataset": "mos2-mini", "splits": ["test", "test_3x3"], "entries": [["slem"]]}


class TestTransfer:
    def test_the_factor_and_its_bound(self):
        row = judged(**MOVED, at_most=9).table.rows[0]
        folder = ROOT / "results/runs/mos2-mini/slem"
        near, far = (read_record(folder / split).scores[SCORE].value for split in MOVED["splits"])
        assert row["factor"].value == pytest.approx(far / near)
        assert row["factor"].low < far / near < row["factor"].high
        words = {bound: judged(**MOVED, at_most=bound).outcome for bound in (9, far / near, 1.01)}
        assert list(words.values()) == ["held", "undecided", "did not hold"]
        assert judged(**MOVED, at_most=9).weakness == "1 seed, 4 groups of test structures"

    def test_records_of_other_data_are_refused(self, floors):
        check = {**MOVED, "entries": [["floors/zero"]], "at_most": 9}
        assert judged(floors, **check).outcome == "held"
        path = floors / "results/runs/mos2-mini/floors/zero/test_3x3/record.yaml"
        content = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**content, "dataset_fingerprint": "0" * 64}))
        with pytest.raises(DataError, match="not of one run on one data set"):
            judged(floors, **check)


class TestFigure:
    @pytest.mark.parametrize(("bound", "word"), [(0.05, "held"), (0.02, "undecided"), (0.005, "did not hold")])
    def test_against_its_bound(self, tmp_path, bound, word):
        (tmp_path / "r.json").write_text(json.dumps({"share": 0.02, "ends": [0.01, 0.03]}))
        check = {"kind": "figure", "file": "r.json", "path": ["share"], "interval": ["ends"], "unit": "%"}
        verdict = judged(tmp_path, **check, at_most=bound)
        assert verdict.text == word
        assert verdict.why == f"2 [1, 3] %; at most {100 * bound:g} % claimed"

    def test_without_an_interval_it_is_not_resolved(self, tmp_path):
        (tmp_path / "r.json").write_text(json.dumps({"share": 0.02}))
        verdict = judged(tmp_path, kind="figure", file="r.json", path=["share"], at_most=1)
        assert verdict.text == "held, not resolved"

    def test_an_exponent_is_of_l_plus_1(self, tmp_path):
        seconds = {str(l): (l + 1) ** 2.0 for l in (2, 3, 4)} | {"6": 3 * 7**2.0, "8": 9 * 9**2.0}
        (tmp_path / "r.json").write_text(json.dumps({"cpu_s": seconds}))
        check = {"kind": "figure", "file": "r.json", "path": ["cpu_s"], "exponent": True}
        verdict = judged(tmp_path, **check, at_most=9)
        first, last = (row["value"] for row in verdict.table.rows)
        logs = np.log([[int(l) + 1, s] for l, s in seconds.items()])
        assert first.value == pytest.approx(np.polyfit(*logs.T, 1)[0])
        assert last.value == pytest.approx(np.polyfit(*logs[2:].T, 1)[0])
        assert first.low < first.value < first.high
        assert verdict.outcome == "held"
        assert judged(tmp_path, **check, at_most=last.value - 0.1).outcome == "did not hold"

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", '{"a": null}', '{"a": [1]}', '{"a": {}}', "3", '{"a": 2, "b": [3, 4]}', '{"a": 2, "b": 1}'],
    )
    def test_broken_records_are_named(self, tmp_path, content):
        (tmp_path / "r.json").write_text(content)
        with pytest.raises(DataError, match="claim 'x': "):
            judged(tmp_path, kind="figure", file="r.json", path=["a"], interval=["b"], at_most=1)

    def test_a_missing_record_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"claim 'x': .*r\.json"):
            judged(tmp_path, kind="figure", file="r.json", path=["a"], at_most=1)


ORDER = {"kind": "order", "dataset": "d", "score": SCORE, "entries": [["a"], ["b"]]}
GROWTH = {"kind": "growth", "study": "s", "dataset": "d", "score": SCORE, "model": "m", "at_most": 2}
FIGURE = {"kind": "figure", "file": "f", "path": ["p"], "at_most": 1}


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"kind": "guess"}, "check"),
        ({**ORDER, "entries": [["a"], []]}, "entries.1"),
        ({**ORDER, "entrys": 1}, "entrys"),
        ({**GROWTH, "fractions": [0.2, 1]}, "the larger one first"),
        ({**GROWTH, "at_most": float("nan")}, "at_most"),
        ({**FIGURE, "path": []}, "path"),
        ({**FIGURE, "exponent": True, "interval": ["i"]}, "has one of its own"),
    ],
)
def test_a_broken_list_is_refused(tmp_path, check, message):
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": [{"id": "a", "claim": "b", "source": "c", "check": check}]}))
    with pytest.raises(DataError, match=message):
        read_claims(path)


def test_a_list_that_is_none_is_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    for text, message in (("claims: []", "claims"), ("claims: {", "not readable")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_claims(path)
    claim = {"id": "a", "claim": "b", "source": "c", "check": FIGURE}
    path.write_text(yaml.safe_dump({"claims": [claim, claim]}))
    with pytest.raises(DataError, match="same id"):
        read_claims(path)
    with pytest.raises(ValidationError):
        TypeAdapter(Claim).validate_python({**claim, "id": "A b"})
