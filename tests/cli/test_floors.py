import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.evaluation import evaluate
from slembench.evaluation.floors import FLOORS, floor_predictions
from slembench.results.record import read_record


def run(*args):
    return CliRunner().invoke(app, ["floors", *map(str, args)])


def test_all_operators_of_all_test_splits_once(crystals, tmp_path):
    result = run(crystals.root, "--out", tmp_path / "set")
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
    assert run(crystals.root, "--out", tmp_path, "--split", "test").exit_code == 0
    first = path.stat().st_mtime_ns
    assert run(crystals.root, "--out", tmp_path, "--split", "test").exit_code == 0
    assert path.stat().st_mtime_ns == first
    assert run(crystals.root, "--out", tmp_path, "--split", "test", "--again").exit_code == 0
    assert path.stat().st_mtime_ns > first


def test_unknown_split(crystals, tmp_path):
    result = run(crystals.root, "--out", tmp_path, "--split", "nowhere")
    assert result.exit_code == 1
    assert "no split 'nowhere'" in result.output
