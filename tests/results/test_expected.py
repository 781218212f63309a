"""What a run is expected to give: written from a run, read back, and compared; every verdict and every refusal."""

import pytest

from slembench.core.errors import DataError
from slembench.results.expected import (
    EXPECTED_FILE,
    Expected,
    compare_with_expected,
    expected_run,
    read_expected,
    write_expected,
)
from slembench.results.record import Hardware, RunRecord, ScoreValue, TrainingSummary

MAE, COS, EPS = "hamiltonian.mae_all.full.pooled", "hamiltonian.psi_cos_legacy", "hamiltonian.eps_mae_occ"
VALUES = {MAE: (2.0, "eV"), COS: (0.8, "1")}


def record(factor=1.0, values=VALUES, **changes):
    training = {"seed": 3, "partition": 100, "n_train": 5, "steps": 70, "structures_seen": 70, "wall_s": 9.0}
    facts = {
        "name": "mine",
        "model": "toy",
        "model_kind": "model",
        "config": {"variant": "board"},
        "dataset": "qh9-mini",
        "dataset_revision": 1,
        "dataset_fingerprint": "f",
        "split": "test",
        "split_hash": "h",
        "targets": ("hamiltonian",),
        "training": TrainingSummary(**training, budget="360 CPU s"),
        "scores": {name: ScoreValue(value=factor * value, unit=unit) for name, (value, unit) in values.items()},
        "hardware": Hardware(cpu="a processor", threads=1, dtype="float32"),
        "versions": {"torch": "2.13"},
    }
    return RunRecord(**(facts | changes))


@pytest.fixture
def expected(tmp_path):
    entry = expected_run(record(), [MAE, COS], 0.1)
    write_expected(tmp_path, Expected(description="one run", runs={"qh9-mini": entry}))
    return read_expected(tmp_path)


def test_an_entry_says_what_it_depends_on(expected):
    entry = expected.runs["qh9-mini"]
    assert (entry.variant, entry.seed, entry.budget, entry.steps) == ("board", 3, "360 CPU s", 70)
    assert (entry.split, entry.split_hash, entry.versions) == ("test", "h", {"torch": "2.13"})
    assert entry.measured_on == "a processor, 1 threads, float32"
    assert entry.scores[MAE] == ScoreValue(value=2.0, unit="eV")


@pytest.mark.parametrize(
    ("factor", "verdicts"),
    [
        (1.09, ["as expected", "as expected"]),
        (0.91, ["as expected", "as expected"]),
        (1.11, ["worse", "better"]),  # a larger error is worse, a larger overlap is better
        (0.89, ["better", "worse"]),
    ],
)
def test_verdicts_know_the_direction_of_a_score(expected, factor, verdicts):
    findings = compare_with_expected(record(factor), expected)
    assert [finding.verdict for finding in findings] == verdicts
    assert [finding.found for finding in findings] == [factor * 2.0, factor * 0.8]


def test_a_score_that_is_not_there_is_missing(expected):
    findings = compare_with_expected(record(values={MAE: (2.0, "eV"), EPS: (1.0, "eV")}), expected)
    assert [(f.score, f.found, f.verdict) for f in findings] == [(MAE, 2.0, "as expected"), (COS, None, "missing")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mos2-mini"}, "nothing is expected on mos2-mini, only on qh9-mini"),
        ({"split": "other"}, "split is 'other', but what is expected is of 'test'"),
        ({"split_hash": "g"}, "split_hash.* is 'g'"),
        ({"config": {"variant": "mini"}}, "variant is 'mini'"),
        ({"training": None}, "budget is 'none'"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(expected, changes, message):
    with pytest.raises(DataError, match=message):
        compare_with_expected(record(**changes), expected)


def test_entries_need_a_training_and_the_score():
    with pytest.raises(DataError, match="was not trained here"):
        expected_run(record(training=None), [MAE], 0.1)
    with pytest.raises(DataError, match="has no score 'hamiltonian.eps_mae_occ'"):
        expected_run(record(), [EPS], 0.1)


def test_broken_files_are_named(tmp_path):
    with pytest.raises(DataError, match="no such file; `slembench dev expected RUN --write`"):
        read_expected(tmp_path)
    (tmp_path / EXPECTED_FILE).write_text("description: a\nruns: {x: {variant: board}}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"expected.yaml: key 'runs.x.split'"):
        read_expected(tmp_path)
    (tmp_path / EXPECTED_FILE).write_text("a: [", encoding="utf-8")
    with pytest.raises(DataError, match="not readable as YAML"):
        read_expected(tmp_path)
