"""``slembench evaluate`` from the command line."""

import json

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.evaluation import evaluate
from slembench.evaluation.floors import FLOORS, floor_predictions
from slembench.metrics.scores import scores_from_table
from slembench.predictions import PredictionWriter
from slembench.results.record import read_record, read_table

FLOOR_NAMES = ["floor-zero", "floor-irreps-mean", "floor-two-body"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(app, ["evaluate", *map(str, args)])


@pytest.fixture
def file(crystals, tmp_path):
    """Predictions of the validation floor as a file, one structure short."""
    path, floor = tmp_path / "mine.h5", floor_predictions(crystals, "irreps-mean")
    header = {
        key: getattr(floor.attrs, key) for key in ("dataset", "dataset_fingerprint", "split", "basis", "energy_unit")
    }
    with PredictionWriter(path, model="mine", **header) as writer:
        for structure in floor.ids[1:]:
            writer.add(structure, floor[structure]["hamiltonian"].numbers, floor[structure])
    return path


def test_table(run, crystals, file):
    result = run("--dataset", crystals.root, "--predictions", file, "--floors")
    assert result.exit_code == 0, result.output
    for text in ("mine", "floor-zero", "floor-irreps-mean", "4 structures", "meV", "hamiltonian.mae_all.full.pooled *"):
        assert text in result.output
    assert "mine: 1 structures without a prediction, counted as zero: s08" in result.output
    assert "reduced" not in result.output
    assert "hamiltonian.mae_all.reduced.pooled" in run("--dataset", crystals.root, "--floors", "--all").output


def test_files_and_json(run, crystals, file, tmp_path):
    out = tmp_path / "scores"
    result = run("--dataset", crystals.root, "--predictions", file, "--floors", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert [entry["model"] for entry in content] == ["mine", *FLOOR_NAMES]
    for folder, entry in zip((out, *(out / name for name in FLOOR_NAMES)), content):
        assert json.loads((folder / "scores.json").read_text()) == entry
        scores, _ = scores_from_table(read_table(folder / "per_structure.parquet"))
        assert {name: score._asdict() for name, score in scores.items()} == entry["scores"]
        assert len(read_table(folder / "blocks.parquet")) > 0
    assert content[0]["missing_structures"] == ["s08"]
    score = content[0]["scores"]["hamiltonian.mae_all.full.pooled"]
    assert score["unit"] == "eV"
    shown = run("--dataset", crystals.root, "--predictions", file, "--no-bands").output
    assert f"{1000 * score['value']:.4g} meV" in shown


def test_reference_levels_are_cached(run, crystals, tmp_path):
    arguments = ("--dataset", crystals.root, "--floors")
    assert run(*arguments, "--no-bands").exit_code == 0
    assert not (tmp_path / "cache").exists()
    assert run(*arguments, "--no-cache").exit_code == 0
    assert not (tmp_path / "cache").exists()
    assert run(*arguments).exit_code == 0
    assert len(list((tmp_path / "cache").rglob("*.levels"))) == 4


def test_errors_are_one_line(run, crystals, file):
    result = run("--dataset", crystals.root)
    assert (result.exit_code, result.stderr) == (1, "error: nothing to score: give --predictions FILE, or --floors\n")
    file.write_bytes(file.read_bytes()[:5000])
    result = run("--dataset", crystals.root, "--predictions", file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {file}: truncated or not an HDF5 file")
    assert result.stderr.count("\n") == 1


def floors(data, *args):
    command = ["evaluate", "--dataset", data.root, "--floors", *args]
    return CliRunner().invoke(app, list(map(str, command)))


def test_all_operators_of_all_test_splits_once(crystals, tmp_path):
    result = floors(crystals, "--records", tmp_path / "set")
    assert result.exit_code == 0, result.output
    splits = [name for name in crystals.splits if name not in ("train", "val")]
    folders = sorted(tmp_path.rglob("record.yaml"))
    assert [p.relative_to(tmp_path / "set" / "floors").parts[:2] for p in folders] == sorted(
        (floor, split) for floor in FLOORS for split in splits
    )
    record = read_record(tmp_path / "set" / "floors" / "irreps-mean" / splits[0])
    assert record.targets == tuple(crystals.card.operators)
    source = floor_predictions(crystals, "irreps-mean", splits[0], record.targets, crystals.split("train"))
    expected = evaluate(crystals, source, splits[0], operators=record.targets).scores
    values = {name: score.value for name, score in expected.items()}
    assert {name: score.value for name, score in record.scores.items()} == pytest.approx(values, rel=1e-12)
    assert all(f"{crystals.card.name}, split {split}" in result.output for split in splits)


def test_what_is_there_is_kept_unless_asked(crystals, tmp_path):
    path = tmp_path / "floors" / "zero" / "test" / "record.yaml"
    assert floors(crystals, "--records", tmp_path, "--split", "test").exit_code == 0
    first = path.stat().st_mtime_ns
    assert floors(crystals, "--records", tmp_path, "--split", "test").exit_code == 0
    assert path.stat().st_mtime_ns == first
    assert floors(crystals, "--records", tmp_path, "--split", "test", "--again").exit_code == 0
    assert path.stat().st_mtime_ns > first


def test_unknown_split(crystals, tmp_path):
    result = floors(crystals, "--records", tmp_path, "--split", "nowhere")
    assert result.exit_code == 1
    assert "no split 'nowhere'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--records", "r"], "--records keeps scores of the floors: give --floors, without --predictions"),
        (["--floors", "--again"], "--again belongs to records of the floors: --floors --records FOLDER"),
        (["--floors", "--records", "r", "--json"], "--json has no meaning here"),
        (["--floors", "--split", "val", "--split", "test"], "--split: give one split"),
        (["--floors", "--ensemble", "b.h5"], "--ensemble gives further members"),
        (["runs/a"], "give --scf, without --predictions and --floors"),
        (["--floors", "--structures", "3"], "--structures belongs to a table of self-consistent runs: --scf RUN..."),
        (["--scf", "runs/a", "--path"], "--path has no meaning here"),
        (["--scf", "runs/a"], "runs/a: no such file; give the folder of a finished run"),
    ],
)
def test_options_that_do_not_go_together(crystals, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["evaluate", "--dataset", str(crystals.root), *arguments])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
