"""``slembench compare``: paired differences of runs on the same structures."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.evaluation import evaluate
from slembench.evaluation.floors import floor_predictions
from slembench.results.record import RunRecord, score_values, write_record, write_tables


def run(*args):
    return CliRunner().invoke(app, ["compare", *map(str, args)])


@pytest.fixture(scope="module")
def runs(crystals, tmp_path_factory):
    """Function that stores a floor as a run with the errors scaled, and gives its folder."""
    evaluation, folder = evaluate(crystals, floor_predictions(crystals, "irreps-mean")), tmp_path_factory.mktemp("runs")

    def add(name, factor, seed=0, split_hash="h", model="slem"):
        record = RunRecord(
            name=name, model=model, model_kind="model", dataset=crystals.name, dataset_revision=1,
            dataset_fingerprint="f", split="test", split_hash=split_hash, targets=("hamiltonian",),
            scores=score_values(evaluation),
        )  # fmt: skip
        place = folder / f"{name}-{seed}" / "test"
        place.mkdir(parents=True)
        write_record(record, place)
        write_tables(evaluation, place)
        table = evaluation.per_structure.copy()
        for column in table.columns[table.columns.str.endswith("abs_sum")]:
            table[column] *= factor + 0.01 * seed
        table.to_parquet(place / "per_structure.parquet")
        return place.parent

    return add


def test_difference_of_two_runs(runs, crystals, tmp_path):
    a, b = runs("a", 1.0), runs("b", 1.5)
    result = run(a, b, "--json", "--all", "--out", tmp_path / "d.csv")
    assert result.exit_code == 0, result.output
    rows = {row["score"]: row for row in json.loads(result.stdout)}
    row = rows["hamiltonian.mae_all.full.pooled"]
    assert row["b"] == pytest.approx(1.5 * row["a"], rel=1e-9)
    assert row["difference"] == pytest.approx(-0.5 * row["a"], rel=1e-9)
    assert row["low"] <= row["difference"] <= row["high"] < 0
    assert (row["groups"], row["seeds"], row["verdict"]) == (2, 1, "not resolved")
    assert "hamiltonian.rmse_all.full.pooled" not in rows  # no ratio of sums over structures
    assert "hamiltonian.band_mae_occ" in rows
    assert (tmp_path / "d.csv").read_text().count("\n") == len(rows) + 1
    shown = CliRunner().invoke(app, ["compare", str(a), str(b)], env={"COLUMNS": "80"}).output
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("not resolved") == len(json.loads(run(a, b, "--json").stdout))
    assert "a (1 seed)" in shown
    assert "2 groups of structures" in shown


def test_several_seeds_of_a_side(runs):
    a = [runs("c", 1.0, seed) for seed in (0, 1)]
    b = [runs("d", 1.0, seed) for seed in (0, 1, 2)]
    result = run(",".join(map(str, a)), ",".join(map(str, b)), "--score", "hamiltonian.mae_all.full.pooled", "--json")
    (row,) = json.loads(result.stdout)
    assert row["seeds"] == 2
    assert row["difference"] == pytest.approx((1.005 - 1.01) / 1.005 * row["a"], rel=1e-6)
    assert row["low"] < 0 < row["high"]


@pytest.fixture(scope="module")
def strangers(runs):
    """A run, one on another split, and one of another model."""
    return {
        "e": runs("e", 1.0),
        "other": runs("other", 1.0, split_hash="g"),
        "q": runs("q", 1.0, model="qhnet"),
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{e}", "{other}"], "split_hash differs"),
        (["{e},{q}", "{e}"], "runs of several models: qhnet, slem"),
        (["no-such-folder", "{e}"], "no-such-folder: no record of a run of split test there"),
        (["{e}", "{e}", "--split", "val"], "e-0: no record of a run of split val there"),
        (["{e}", "{e}", "--score", "hamiltonian.rmse_all.full.pooled"], "is not a mean of absolute errors"),
        (["{e}", "{e}", "--score", "nonsense"], "no score 'nonsense'"),
    ],
)
def test_what_cannot_be_compared(strangers, args, message):
    result = run(*(text.format(**strangers) for text in args))
    assert result.exit_code == 1
    assert message in result.output.replace("\n", " ")


def test_the_paired_interval_is_that_of_the_bootstrap(runs):
    from slembench.metrics.scores import structure_values
    from slembench.metrics.statistics import paired_bootstrap
    from slembench.results.compare import compare, read_side

    a, b = read_side([runs("s", 1.0)], "test"), read_side([runs("t", 1.2)], "test")
    (row,) = compare(a, b, ["hamiltonian.mae_off.full.per_structure"])
    values = [structure_values(side.tables[0], row.score) for side in (a, b)]
    expected = paired_bootstrap(values[0][0], values[1][0], values[0][1], a.tables[0]["group"].tolist())
    assert row.paired == expected
    assert np.isfinite(row.a)
