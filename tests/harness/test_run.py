from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import slembench
from slembench.core.errors import ConfigError, DataError
from slembench.harness import RunConfig, prepare, run
from slembench.inference.physics import model_physics
from slembench.metrics.catalogue import catalogue
from slembench.predictions import read_predictions
from slembench.results.record import read_record
from slembench.training.checkpoint import load_model
from slembench.training.log import JsonLog

SMALL = "4x0e+4x0o+2x1o+2x1e+2x2e+2x2o+2x3o+2x3e+2x4e+2x4o"


@pytest.fixture(scope="module")
def finished(crystals, toy_folder, tmp_path_factory):
    """A finished run and its records."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    return folder, run(crystals.root, str(toy_folder), out=folder, partition=80, seed=3, threads=1)


def test_record_says_what_was_done(finished, crystals, toy_folder):
    folder, records = finished
    record = records["test"]
    assert list(records) == ["test"]
    assert record == read_record(folder / "test")
    assert (record.model, record.model_kind, record.targets) == (str(toy_folder), "model", ("hamiltonian", "overlap"))
    assert record.name.startswith("my-toy-")
    assert record.dataset_fingerprint == crystals.fingerprint
    assert record.split_hash == crystals.split_hash("test")
    training = record.training
    assert (training.seed, training.partition, training.n_train, training.steps) == (3, 80, 5, 30)
    assert (training.budget, training.structures_seen) == ("30 steps", 30)
    assert record.config["model"]["width"] == 8
    assert record.config["training"]["optimizer"]["lr"] == 0.02
    assert record.cost.parameters > 1000
    assert record.cost.peak_memory_bytes > 1e7
    assert record.cost.inference_ms_per_atom > 0
    pairs = sum(len(crystals.pairs(s)[0]) for s in crystals.iterate(crystals.split("test")))
    assert record.cost.pairs_per_atom == pytest.approx(pairs / 8)
    assert record.hardware.threads == 1
    assert record.versions["slembench"] == slembench.__version__


def test_record_holds_the_physics_of_the_model(finished, crystals):
    folder, records = finished
    checks = records["test"].physics
    assert list(checks) == [name for name, metric in catalogue().items() if metric.form == "check"]
    assert {check.structure for check in checks.values()} == {crystals.split("test")[0]}
    direct = model_physics(load_model(folder), crystals.sample(crystals.split("test")[0]).atoms)
    for name, check in direct.items():
        stored = checks[name]
        assert (stored.passed, stored.limit, stored.note) == (check.passed, check.limit, check.note)
        assert stored.value == (None if np.isnan(check.value) else pytest.approx(check.value, rel=0.5, abs=1e-12))
    assert checks["permutation"].passed
    assert checks["translation"].passed
    assert not read_record(folder / "floors" / "zero" / "test").physics


def test_scores_are_those_of_the_predictions_file(finished, crystals):
    folder, records = finished
    total, count = 0.0, 0
    with read_predictions(folder / "test" / "predictions.h5") as predictions:
        for sample in crystals.iterate(crystals.split("test")):
            index, shift = crystals.pairs(sample)
            found = [
                m.complete().align(index, shift)[0].values
                for m in (predictions[sample.id]["hamiltonian"], sample.operators["hamiltonian"])
            ]
            total, count = total + np.abs(found[0] - found[1]).sum(), count + len(found[0])
    assert records["test"].scores["hamiltonian.mae_all.full.pooled"].value == pytest.approx(total / count, rel=1e-12)


def test_folder_holds_evidence_and_floors(finished, crystals):
    folder, _ = finished
    assert list(pd.read_parquet(folder / "test" / "per_structure.parquet")["id"]) == crystals.split("test")
    for floor in ("zero", "irreps-mean"):
        record = read_record(folder / "floors" / floor / "test")
        assert (record.name, record.model_kind, record.config) == (f"floor-{floor}", "floor", {"partition": 80})
    assert not list(folder.rglob("*.tmp")) + list(folder.rglob("*.part"))


def test_runs_appear_on_the_leaderboard(finished):
    folder, _ = finished
    frame = slembench.board(runs=[folder], committed=False).frame()
    assert {"floor-zero", "floor-irreps-mean"} < set(frame["model"])


def test_the_same_command_again_changes_nothing(finished, crystals, toy_folder):
    folder, records = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = run(crystals.root, str(toy_folder), out=folder, partition=80, seed=3)
    assert again == records
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_another_run_does_not_take_the_folder(finished, crystals, toy_folder):
    folder, _ = finished
    with pytest.raises(ConfigError, match=r"another training.seed \(3, now 4\); begin again with --fresh"):
        run(crystals.root, str(toy_folder), out=folder, partition=80, seed=4)
    with pytest.raises(ConfigError, match=r"another partition \(80, now 60\)"):
        run(crystals.root, str(toy_folder), out=folder, partition=60, seed=3)


def test_a_folder_of_something_else_is_left_alone(crystals, toy_folder, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"is not a run"):
        run(crystals.root, str(toy_folder), out=tmp_path, fresh=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("stage", ["predict", "read_predictions", "evaluate", "write_record"])
def test_interrupted_at_any_stage_it_goes_on(crystals, toy_folder, tmp_path, monkeypatch, finished, stage):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    arguments = {"out": tmp_path / "run", "partition": 80, "seed": 3}
    with monkeypatch.context() as patch:
        # by import: the attribute `run` of the package is the function
        module = import_module("slembench.harness.scoring" if stage == "evaluate" else "slembench.harness.run")
        patch.setattr(module, stage, stop)
        with pytest.raises(KeyboardInterrupt):
            run(crystals.root, str(toy_folder), **arguments)
    assert not (tmp_path / "run" / "test" / "record.yaml").exists()
    rows = JsonLog(tmp_path / "run" / "log.jsonl").rows("train")
    written = [path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("predictions.h5")]
    assert len(written) == (stage != "predict")
    records = run(crystals.root, str(toy_folder), **arguments)
    if written:
        assert (tmp_path / "run" / "test" / "predictions.h5").stat().st_mtime_ns == written[0]
    assert JsonLog(tmp_path / "run" / "log.jsonl").rows("train") == rows
    assert records["test"].scores == finished[1]["test"].scores
    assert records["test"].training.wall_s == pytest.approx(rows[-1]["wall_s"], abs=1.0)


def test_fresh_begins_again(crystals, toy_folder, tmp_path):
    first = run(crystals.root, str(toy_folder), out=tmp_path / "run", floors=False)
    second = run(crystals.root, str(toy_folder), out=tmp_path / "run", floors=False, seed=1, fresh=True)
    assert second["test"].training.seed == 1
    assert second["test"].scores != first["test"].scores
    assert not (tmp_path / "run" / "floors").exists()


def test_name_follows_from_the_settings(crystals, toy_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [
        prepare(RunConfig(crystals.root, str(toy_folder), variant=variant, seed=seed, partition=partition))
        for variant, seed, partition in (("", 0, 100), ("", 0, 100), ("", 1, 100), ("", 0, 20), ("longer", 0, 100))
    ]
    names = [found.name for found in runs]
    assert names[0] == names[1]
    assert len(set(names)) == 4
    assert names[4].startswith("my-toy-longer-")
    assert runs[0].folder.resolve() == tmp_path / "runs" / "made-up-crystals" / names[0]


def test_targets_follow_the_data_set_unless_named(crystals, molecules, toy_folder, tmp_path):
    def config(data, out):
        return RunConfig(data.root, str(toy_folder), changes=["targets=[density]"], out=tmp_path / out)

    assert prepare(config(molecules, "d")).targets == ("density",)
    with pytest.raises(ConfigError, match="has no 'density', only hamiltonian, overlap"):
        prepare(config(crystals, "c"))
    with pytest.raises(DataError, match="no split 'test_4x4'"):
        run(crystals.root, str(toy_folder), splits=["test_4x4"], out=tmp_path / "e")


def test_slem_learns_molecules_with_three_operators(molecules, tmp_path):
    changes = {
        "training.max_steps": 12,
        "training.max_wall_s": None,
        "training.schedule": {"name": "constant"},
        "training.validate_every": 4,
        "model.irreps_hidden": SMALL,
        "model.n_layers": 1,
        "targets": ["hamiltonian", "overlap", "density"],
    }
    record = run(molecules.root, "slem", changes=changes, out=tmp_path / "run")["test"]
    assert record.targets == ("hamiltonian", "overlap", "density")
    assert record.scores["density.mae_all.full.pooled"].value < 1.0
    rows = JsonLog(tmp_path / "run" / "log.jsonl").rows("validation")
    assert rows[-1]["loss"] < rows[0]["loss"]
