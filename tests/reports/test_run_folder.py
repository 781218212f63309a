"""A run folder is read as it is; what is missing is said, what is no run is refused."""

import shutil

import pytest

from slembench.core.errors import DataError
from slembench.reports.run_folder import read_run


def test_everything_a_run_left_behind(crystal_run):
    run = read_run(crystal_run)
    (result,) = run.splits
    assert result.record.split == "test"
    assert len(result.per_structure) == 4
    assert set(result.blocks["operator"]) == {"hamiltonian", "overlap"}
    assert len(result.distances) > 0
    assert result.no_predictions == ""
    assert list(run.floors("test")) == ["zero"]
    assert [row["event"] for row in run.log()] == ["train", "validation"]


@pytest.mark.parametrize("part", ["test", "test/record.yaml"])
def test_one_record_of_a_run(crystal_run, part):
    run = read_run(crystal_run / part)
    assert run.folder == crystal_run
    assert len(run.splits) == 1


def test_missing_parts(crystal_run, tmp_path):
    (tmp_path / "test").mkdir()
    shutil.copy(crystal_run / "test" / "record.yaml", tmp_path / "test")
    run = read_run(tmp_path)
    assert run.splits[0].per_structure is None
    assert "no predictions.h5" in run.splits[0].no_predictions
    assert run.floors("test") == {}
    assert run.log() == []


def test_predictions_of_another_run(crystal_run, tmp_path):
    shutil.copytree(crystal_run, tmp_path / "run")
    (tmp_path / "run" / "test" / "predictions.h5").write_bytes(b"something else")
    assert "sha256" in read_run(tmp_path / "run").splits[0].no_predictions


def test_no_run(tmp_path):
    with pytest.raises(DataError, match="give the folder of a finished run"):
        read_run(tmp_path)
