"""``slembench dev``: recipes of data sets, their pages, and the expected scores of models."""

import json

import pytest
from typer.testing import CliRunner

import slembench.data.recipes.assemble
import slembench.data.recipes.generate
from slembench.cli import app
from slembench.core.errors import DataError
from slembench.results.record import Hardware, RunRecord, ScoreValue, TrainingSummary, write_record

MAE = "hamiltonian.mae_all.full.per_structure"


def invoke(*args):
    return CliRunner().invoke(app, ["dev", "expected", *map(str, args)])


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


def command(*args):
    return CliRunner().invoke(app, ["dev", *map(str, args)])


def test_page_of_a_folder(molecules, tmp_path):
    result = command("page", molecules.root, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    names = ["made-up-molecules.md", *(f"made-up-molecules/{p}.png" for p in ("structure", "sparsity", "decay"))]
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.parametrize(("args", "problem"), [([], "give the name"), (["--all", "mos2-mini"], "give the name")])
def test_one_or_all(args, problem, tmp_path):
    result = command("page", *args, "--out", tmp_path)
    assert result.exit_code == 1
    assert problem in result.stderr


def test_generate_computes_then_assembles(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(
        slembench.data.recipes.generate,
        "run_recipe",
        lambda name, folder, jobs: calls.append((name, folder, jobs)),
    )
    monkeypatch.setattr(
        slembench.data.recipes.assemble,
        "assemble",
        lambda name, folder, out: calls.append((name, folder, out)),
    )
    done = CliRunner().invoke(app, ["dev", "generate", "mos2-mini", "--workdir", str(tmp_path), "--jobs", "2"])
    assert done.exit_code == 0
    assert calls == [("mos2-mini", tmp_path, 2), ("mos2-mini", tmp_path, tmp_path / "mos2-mini")]


def test_failed_calculation_ends_generation(monkeypatch, tmp_path):
    def fail(*args):
        raise DataError("work: 1 calculations failed")

    monkeypatch.setattr(slembench.data.recipes.generate, "run_recipe", fail)
    monkeypatch.setattr(slembench.data.recipes.assemble, "assemble", lambda *args: pytest.fail("must not be reached"))
    done = CliRunner().invoke(app, ["dev", "generate", "mos2-mini", "--workdir", str(tmp_path)])
    assert done.exit_code == 1
    assert "error: work: 1 calculations failed" in done.output


def test_assemble_of_an_empty_folder(tmp_path):
    done = CliRunner().invoke(app, ["dev", "assemble", "mos2-mini", "--workdir", str(tmp_path)])
    assert done.exit_code == 1
    assert "no *.npz files" in done.output
    assert not list(tmp_path.iterdir())


def test_schema_refuses_unknown_keys():
    schema = json.loads(CliRunner().invoke(app, ["dev", "schema"]).output)
    assert schema["additionalProperties"] is False
    assert {"code_licence", "weights_licence", "split_hash", "training"} <= set(schema["required"])
