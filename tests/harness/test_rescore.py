"""Finished runs scored again: same numbers from the same predictions, today's card and metrics, no training."""

import shutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.errors import ConfigError, DataError
from slembench.data import load_dataset
from slembench.data.card import CARD_FILE
from slembench.harness import run
from slembench.harness.rescore import find_runs, rescore
from slembench.results.record import read_record, write_record


@pytest.fixture(scope="module")
def finished(crystals, toy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    run(crystals.root, str(toy_folder), out=folder, seed=3, threads=1)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def older(folder):
    """Make the record look as if an older version had scored the run; returns the true one."""
    record = read_record(folder / "test")
    few = {"hamiltonian.mae_all.full.pooled": record.scores["hamiltonian.mae_diag.full.pooled"]}
    write_record(record.model_copy(update={"scores": few, "physics": {}}), folder / "test")
    (folder / "test" / "distances.parquet").unlink()
    shutil.rmtree(folder / "floors" / "zero")
    return record


def test_the_record_is_what_it_was_without_training(copied, crystals, monkeypatch):
    record = older(copied)
    monkeypatch.setattr(import_module("slembench.harness.run"), "train", None)
    predictions = (copied / "test" / "predictions.h5").stat().st_mtime_ns
    new = rescore(copied, dataset=crystals.root)["test"]
    assert read_record(copied / "test") == new
    assert new.scores == record.scores
    assert (new.created, new.training, new.cost, new.files) == (
        record.created,
        record.training,
        record.cost,
        record.files,
    )
    assert {name: check.passed for name, check in new.physics.items()} == {
        name: check.passed for name, check in record.physics.items()
    }
    assert (copied / "test" / "distances.parquet").is_file()
    assert (copied / "floors" / "zero" / "test" / "record.yaml").is_file()
    assert (copied / "test" / "predictions.h5").stat().st_mtime_ns == predictions


def test_predictions_are_made_again_from_the_checkpoint(copied, crystals):
    record = read_record(copied / "test")
    (copied / "test" / "predictions.h5").unlink()
    new = rescore(copied, dataset=crystals.root, floors=False, physics=False)["test"]
    for name, score in record.scores.items():
        assert new.scores[name].value == pytest.approx(score.value, rel=1e-4, abs=1e-6), name
    assert new.physics == record.physics
    assert new.files.keys() == record.files.keys()


def test_a_card_with_challenging_lists_counts(copied, crystals, tmp_path):
    """Keys of the card that touch no data change neither fingerprint nor split hash, and the new scores appear."""
    root = shutil.copytree(crystals.root, tmp_path / "data")
    card = yaml.safe_load((root / CARD_FILE).read_text())
    hard = crystals.split("test")[1]
    card["challenging"] = {"baseline": "made up", "samples": [hard], "blocks": {"hamiltonian": ["B", "s1", "N", "p1"]}}
    (root / CARD_FILE).write_text(yaml.safe_dump(card))
    assert load_dataset(root).fingerprint == crystals.fingerprint
    new = rescore(copied, dataset=root, floors=False, physics=False)["test"]
    table = pd.read_parquet(copied / "test" / "per_structure.parquet").set_index("id").loc[hard]
    sums = [sum(table[f"hamiltonian.{part}.full.{c}"] for part in ("onsite", "offsite")) for c in ("abs_sum", "count")]
    found = new.scores["hamiltonian.mae_challenging_samples.full.pooled"].value
    assert found == pytest.approx(sums[0] / sums[1], rel=1e-12)
    assert np.isfinite(new.scores["hamiltonian.mae_challenging_block"].value)


def test_what_cannot_be_scored_again_is_explained(copied, crystals, molecules, tmp_path):
    with pytest.raises(DataError, match="key 'dataset' is 'made-up-crystals', the data set's is 'made-up-molecules'"):
        rescore(copied, dataset=molecules.root)
    with pytest.raises(ConfigError, match="no finished run here or below"):
        find_runs([tmp_path / "nothing"])
    shutil.rmtree(copied / "checkpoint")
    assert rescore(copied, dataset=crystals.root, floors=False)["test"].physics
    (copied / "test" / "predictions.h5").unlink()
    with pytest.raises(ConfigError, match=r"neither predictions\.h5 nor a checkpoint"):
        rescore(copied, dataset=crystals.root)


def test_command_goes_through_all_runs_below(copied, crystals):
    shutil.copytree(copied, copied.parent / "other")
    shutil.rmtree(copied.parent / "other" / "checkpoint")
    (copied.parent / "other" / "test" / "predictions.h5").unlink()
    options = ["--dataset", str(crystals.root), "--no-floors", "--no-physics"]
    result = CliRunner().invoke(app, ["dev", "rescore", str(copied.parent), *options])
    assert result.exit_code == 1
    assert "1 of 2 runs scored again" in result.output
    assert "neither predictions.h5 nor a checkpoint" in result.output
    result = CliRunner().invoke(app, ["dev", "rescore", str(copied), *options])
    assert result.exit_code == 0, result.output
