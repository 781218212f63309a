"""Exponents of made-up runs and tables whose power laws are known."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.errors import DataError
from slembench.results.exponents import data_exponents, power_laws
from slembench.results.record import RunRecord, ScoreValue, TrainingSummary, write_record, write_table

SCORE = "hamiltonian.mae_all.full.pooled"


def store(folder, n_train, seed, errors, model="slem"):
    training = TrainingSummary(
        seed=seed, partition=100, n_train=n_train, steps=1, structures_seen=1, wall_s=1, budget="1 steps"
    )
    count = np.full(len(errors), 10)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(len(errors))], "group": [f"g{k}" for k in range(len(errors))]})
    for part, share in (("onsite", 4), ("offsite", 6)):
        table[f"hamiltonian.{part}.full.abs_sum"] = errors * share
        table[f"hamiltonian.{part}.full.count"] = count * share // 10
    record = RunRecord(
        name=folder.name, model=model, model_kind="model", config={"training": {"seed": seed}}, dataset="made-up",
        dataset_revision=1, dataset_fingerprint="f", split="test", split_hash="h", targets=("hamiltonian",),
        training=training, scores={SCORE: ScoreValue(value=float(errors.mean()), unit="eV")},
    )  # fmt: skip
    write_record(record, folder / "test")
    write_table(table, folder / "test" / "per_structure.parquet")


@pytest.fixture
def runs(tmp_path):
    rng = np.random.default_rng(0)
    difficulty = rng.lognormal(0, 0.3, 30)
    for n in (10, 20, 40):
        for seed in (0, 1):
            errors = n**-0.5 * difficulty * np.exp(rng.normal(0, 0.03, 30))
            (tmp_path / f"{n}-{seed}" / "test").mkdir(parents=True)
            store(tmp_path / f"{n}-{seed}", n, seed, errors)
    return tmp_path


def test_runs_that_differ_in_size_and_seed_give_one_exponent(runs):
    (found,) = data_exponents([runs])
    assert (found.sizes, found.seeds, found.unit) == ((10, 20, 40), (2, 2, 2), "eV")
    line = np.polyfit(np.log(found.sizes), np.log(found.values), 1)
    assert found.law.exponent == pytest.approx(line[0])
    assert found.law.low < -0.5 < found.law.high
    means = [pd.read_parquet(runs / f"10-{s}/test/per_structure.parquet") for s in (0, 1)]
    sums = [sum(t[f"hamiltonian.{p}.full.abs_sum"].sum() for p in ("onsite", "offsite")) / 300 for t in means]
    assert found.values[0] == pytest.approx(np.mean(sums), rel=1e-12)


def test_other_models_are_fitted_apart_and_single_sizes_not_at_all(runs):
    (runs / "other" / "test").mkdir(parents=True)
    store(runs / "other", 10, 0, np.full(30, 0.2), model="lem")
    assert [fit.model for fit in data_exponents([runs])] == ["slem"]


def test_table_of_sizes():
    atoms = [10, 100, 1000, 10, 100, 1000]
    table = pd.DataFrame({"atoms": atoms, "system": ["a"] * 3 + ["b"] * 3})
    table["seconds"] = np.where(table["system"] == "a", 2e-3 * table["atoms"], 1e-6 * table["atoms"] ** 2.5)
    found = power_laws(table, "atoms", ["seconds"], ["system"]).set_index("system")
    assert found["exponent"].to_dict() == pytest.approx({"a": 1.0, "b": 2.5})
    assert found.loc["a", ["points", "smallest_atoms", "largest_atoms"]].tolist() == [3, 10, 1000]
    with pytest.raises(DataError, match="no column 'mib' in the table; it has atoms, system, seconds"):
        power_laws(table, "atoms", ["mib"])
    with pytest.raises(DataError, match="a power law needs positive values"):
        power_laws(table.assign(seconds=-1), "atoms", ["seconds"])


def test_command(runs, tmp_path):
    def call(*args):
        return CliRunner().invoke(app, ["study", "fit", *map(str, args)])

    result = call(runs, "--out", tmp_path / "e.csv")
    assert result.exit_code == 0, result.output
    assert pd.read_csv(tmp_path / "e.csv")["n_train"].tolist() == ["10 20 40"]
    pd.DataFrame({"atoms": [1, 2, 4], "seconds": [1.0, 2.0, 4.0]}).to_csv(tmp_path / "t.csv", index=False)
    assert "1.000" in call("--table", tmp_path / "t.csv").output
    for args, words in (
        ((), "give folders of runs, or --table FILE"),
        ((runs / "10-0",), "no two of these runs differ in nothing but seed"),
        (("--table", tmp_path / "none.csv"), "not readable as CSV"),
        ((runs, "--score", "hamiltonian.gap_mae"), "the record has no score 'hamiltonian.gap_mae'"),
    ):
        result = call(*args)
        assert result.exit_code == 1
        assert words in " ".join(result.output.split())
