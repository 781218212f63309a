"""``slembench expected``: writes an entry from a run, and ends with 1 where a run is worse."""

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.results.record import Hardware, RunRecord, ScoreValue, TrainingSummary, write_record

MAE = "hamiltonian.mae_all.full.per_structure"


def invoke(*args):
    return CliRunner().invoke(app, ["expected", *map(str, args)])


@pytest.fixture
def run(tmp_path):
    """Function that stores a record of a run with one score, and gives the folder of the run."""

    def store(name, value, model="toy"):
        training = TrainingSummary(
            seed=0, partition=100, n_train=5, steps=7, structures_seen=7, wall_s=9.0, budget="7 steps"
        )
        record = RunRecord(
            name=name, model=model, model_kind="model", config={"model": {"name": model}, "variant": "board"},
            dataset="qh9-mini", dataset_revision=1, dataset_fingerprint="f", split="test", split_hash="h",
            targets=("hamiltonian",), training=training, scores={MAE: ScoreValue(value=value, unit="Hartree")},
            hardware=Hardware(cpu="a processor", threads=1, dtype="float32"),
        )  # fmt: skip
        (tmp_path / name / "test").mkdir(parents=True)
        write_record(record, tmp_path / name / "test")
        return tmp_path / name

    return store


def test_written_from_one_run_and_held_against_others(run, tmp_path):
    home = tmp_path / "model"
    home.mkdir()
    first = run("first", 2.0)
    result = invoke(first, "--model", home)
    assert result.exit_code == 1
    assert "no such file" in result.output
    result = invoke(first, "--write", "--tolerance", 0.1, "--model", home)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(home / "expected.yaml")
    result = invoke(first, run("alike", 2.1), run("better", 1.0), "--model", home)
    assert result.exit_code == 0, result.output
    assert result.output.count("as expected") == 2
    assert "better" in result.output
    result = invoke(first, run("worse", 2.3), "--model", home)
    assert result.exit_code == 1
    assert "worse" in result.output


def test_the_folder_of_a_model_is_found_or_asked_for(run):
    result = invoke(run("lost", 2.0, model="no-such-model"))
    assert result.exit_code == 1
    assert "no folder of model 'no-such-model' here; give --model" in " ".join(result.output.split())
