"""The record of a run and its tables: round trip, and every wrong key is named."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from slembench.core.errors import DataError
from slembench.evaluation import evaluate
from slembench.evaluation.floors import floor_predictions
from slembench.metrics.scores import scores_from_table
from slembench.results.record import (
    BLOCKS_FILE,
    DISTANCES_FILE,
    PER_STRUCTURE_FILE,
    RECORD_FILE,
    Cost,
    Hardware,
    RunRecord,
    TrainingSummary,
    read_record,
    read_table,
    score_values,
    write_record,
    write_table,
    write_tables,
)


@pytest.fixture(scope="module")
def evaluation(crystals):
    return evaluate(crystals, floor_predictions(crystals, "zero"))


@pytest.fixture
def record(evaluation):
    return RunRecord(
        name="first",
        model="slem",
        model_kind="model",
        config={"lr": 0.002, "irreps": "32x0e+16x1o", "nested": {"deep": [1, 2]}},
        dataset="made-up-crystals",
        dataset_revision=1,
        dataset_fingerprint="f" * 64,
        split="test",
        split_hash="e" * 64,
        targets=("hamiltonian", "overlap"),
        training=TrainingSummary(
            seed=1, partition=100, n_train=6, steps=10, structures_seen=60, wall_s=1.5, budget="10 steps"
        ),
        scores=score_values(evaluation),
        missing=("s09",),
        cost=Cost(parameters=1000, train_wall_s=1.5),
        versions={"torch": "2.13.0"},
        hardware=Hardware(cpu="some processor", threads=2, dtype="float32"),
        files={"predictions.h5": "a" * 64},
    )


def test_round_trip(tmp_path, record):
    path = write_record(record, tmp_path / "run")
    assert path == tmp_path / "run" / RECORD_FILE
    assert read_record(tmp_path / "run") == read_record(path) == record
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == [RECORD_FILE]
    assert record.created.endswith("+00:00")


def test_scores_keep_every_digit(tmp_path, record, evaluation):
    write_record(record, tmp_path)
    found = read_record(tmp_path).scores
    assert {name: (score.value, score.unit) for name, score in found.items()} == evaluation.scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "key 'colour'"),
        ({"model_kind": "floors"}, "key 'model_kind'"),
        ({"scores": {"a": {"value": ".nan", "unit": "eV"}}}, "key 'scores.a.value'"),
        ({"scores": {"a": {"value": float("nan"), "unit": "eV"}}}, "key 'scores.a.value'"),
        ({"training": {"seed": 1}}, "key 'training.partition'"),
        ({"dataset_revision": "x"}, "key 'dataset_revision'"),
    ],
)
def test_wrong_keys_are_named(tmp_path, record, change, message):
    path = write_record(record, tmp_path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(DataError, match=f"record.yaml: {message}"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", ["a: [", "", "- 1"])
def test_what_is_no_record(tmp_path, content):
    (tmp_path / RECORD_FILE).write_text(content)
    with pytest.raises(DataError, match=RECORD_FILE):
        read_record(tmp_path)


def test_no_record(tmp_path):
    with pytest.raises(DataError, match="not readable"):
        read_record(tmp_path)


def test_tables(tmp_path, evaluation):
    paths = write_tables(evaluation, tmp_path)
    assert [path.name for path in paths] == [PER_STRUCTURE_FILE, BLOCKS_FILE, DISTANCES_FILE]
    for path, table in zip(paths, (evaluation.per_structure, evaluation.blocks, evaluation.distances)):
        pd.testing.assert_frame_equal(read_table(path), table)
    assert scores_from_table(read_table(paths[0]))[0] == evaluation.scores
    paths[0].write_bytes(paths[0].read_bytes()[:500])
    with pytest.raises(DataError, match="per_structure.parquet: not readable as Parquet"):
        read_table(paths[0])
    with pytest.raises(DataError, match="not readable as Parquet"):
        read_table(tmp_path / "none.parquet")


def test_means_are_kept_only_where_they_do_not_follow(tmp_path, evaluation):
    table = evaluation.blocks
    path = write_table(table, tmp_path / "blocks.parquet")
    assert not {"mae", "rmse"} & set(pq.read_schema(path).names)
    pd.testing.assert_frame_equal(read_table(path), table, check_dtype=False)
    changed = table.assign(mae=table["mae"] * 1.5)
    path = write_table(changed, tmp_path / "changed.parquet")
    assert "mae" in pq.read_schema(path).names
    assert read_table(path)["mae"].equals(changed["mae"])
