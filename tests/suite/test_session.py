"""Sessions of the suite: models that obey, that do not and that fail; gates, checkpoints, workers, wrong options."""

import pytest
import yaml

from slembench.results.record import read_record
from slembench.suite.record import read_suite_record

pytest_plugins = "pytester"

COUNT = 23
"""Tests of the suite without a gate."""


def results(record):
    return {test.name: test.outcome for test in record.tests}


def test_a_model_that_obeys(session, toy, tmp_path):
    out = tmp_path / "new" / "record.yaml"
    done = session(model=toy(), out=out, steps=5)
    record = read_suite_record(out)
    # two atoms are too few for the continuity
    done.assert_outcomes(passed=COUNT - 1, skipped=1)
    done.stdout.fnmatch_lines(
        ["*slembench: *toy on made-up-crystals, split test*", "hamiltonian.mae_all.full.pooled: * meV"]
    )
    assert record.complete
    assert record.workers == 0
    assert record.outcomes == {"passed": COUNT - 1, "failed": 0, "skipped": 1}
    assert record.model is not None
    assert (record.model.name, record.model.symmetry, record.model.targets) == ("toy", "O3", ("hamiltonian", "overlap"))
    assert record.run.training.steps == 5
    assert record.run.scores["hamiltonian.mae_all.full.pooled"].unit == "eV"
    assert record.run.cost.parameters == record.model.parameters
    assert record.physics["rotation"].value < 1e-12
    assert record.physics["continuity"].passed is None
    assert set(record.contract) == {"batch", "checkpoint", "determinism"}
    assert not list(tmp_path.rglob("*.part"))


def test_a_model_that_is_not_equivariant_fails_and_is_scored(session, toy, tmp_path):
    out = tmp_path / "record.yaml"
    done = session(model=toy(manner="crooked"), out=out)
    record = read_suite_record(out)
    found = results(record)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert {name for name, outcome in found.items() if outcome == "failed"} == {
        "test_physics[rotation]",
        "test_physics[inversion]",
    }
    assert record.physics["rotation"].value > 1e-2
    assert record.physics["rotation"].passed is False
    assert "rotation: largest relative error" in next(t.note for t in record.tests if "rotation" in t.name)
    assert record.run.scores["hamiltonian.mae_all.full.pooled"].value > 0
    assert record.complete


@pytest.mark.parametrize(("claims", "skipped"), [("SO3", {"inversion"}), ("none", {"rotation", "inversion"})])
def test_only_the_symmetry_that_is_claimed_is_asked_for(session, toy, tmp_path, claims, skipped):
    out = tmp_path / "record.yaml"
    session("-k", "test_physics", model=toy(manner="crooked", claims=claims), out=out)
    record = read_suite_record(out)
    by_word = {t.name.removeprefix("test_physics[").removesuffix("]"): t for t in record.tests}
    assert {word for word, test in by_word.items() if test.note.startswith("not claimed")} == skipped
    assert by_word["rotation"].outcome == ("failed" if claims == "SO3" else "skipped")
    assert record.physics["rotation"].passed is False


def test_a_model_that_fails_is_told_in_one_line_a_test(session, toy, tmp_path):
    out = tmp_path / "record.yaml"
    done = session("--tb=line", model=toy(manner="failing"), out=out)
    record = read_suite_record(out)
    found = results(record)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert [name for name, outcome in found.items() if outcome == "passed"] == [
        "test_declarations",
        "test_unknown_settings_are_refused",
    ]
    notes = {test.name: test.note for test in record.tests}
    assert notes["test_scores"] == "nothing to score: RuntimeError: the toy is broken"
    assert notes["test_physics[locality]"] == "the model failed: RuntimeError: the toy is broken"
    assert record.run is None
    assert record.complete


WRONGS = {
    "infinite": {"test_finite", "test_scores"},
    "forgetful": {"test_determinism", "test_checkpoint"},
    "crowded": {"test_batch", "test_single_atom", "test_physics[size_extensivity]"},
}


@pytest.mark.parametrize(("manner", "tests"), WRONGS.items(), ids=WRONGS)
def test_other_wrongs_are_seen(session, toy, tmp_path, manner, tests):
    out = tmp_path / "record.yaml"
    session(model=toy(manner=manner), out=out)
    failed = {name for name, outcome in results(read_suite_record(out)).items() if outcome == "failed"}
    assert tests <= failed


def test_gate(session, toy, tmp_path):
    gate, out = tmp_path / "gate.yaml", tmp_path / "record.yaml"
    limits = {
        "hamiltonian.mae_all.full.pooled": {"max": 1e3, "unit": "eV"},
        "overlap.mae_all.full.pooled": {"max": 1e-9},
        "rotation": {"max": 1e-9},
        "continuity": {"max": 1e-4},
        "parameters": {"min": 1, "max": 1e6},
        "train_steps": {"min": 1000},
        "hamiltonian.mae_diag.full.pooled": {"max": 1e3, "unit": "meV"},
        "hamiltonian.mae_challenging_samples.full.pooled": {"max": 1},
    }
    gate.write_text(yaml.safe_dump(limits, sort_keys=False))
    session(model=toy(), gate=gate, out=out)
    record = read_suite_record(out)
    notes = {t.name.removeprefix("test_gate[")[:-1]: t.note for t in record.tests if t.name.startswith("test_gate")}
    assert list(notes) == list(limits)
    assert [name for name, note in notes.items() if not note] == [
        "hamiltonian.mae_all.full.pooled",
        "rotation",
        "parameters",
    ]
    assert "is above the limit of 1e-09" in notes["overlap.mae_all.full.pooled"]
    assert notes["continuity"] == "continuity: no value: fewer than three atoms"
    assert notes["train_steps"] == "train_steps: 10 is below the limit of 1000"
    assert "the limit is in meV, the value in eV" in notes["hamiltonian.mae_diag.full.pooled"]
    assert "no value" in notes["hamiltonian.mae_challenging_samples.full.pooled"]
    assert record.gate["parameters"].passed
    assert record.gate["rotation"].max == 1e-9
    assert record.gate["train_steps"].passed is False


def test_a_kept_run_and_its_checkpoint(session, toy, tmp_path):
    folder = toy()
    session(model=folder, run=tmp_path / "kept", out=tmp_path / "first.yaml")
    first = read_suite_record(tmp_path / "first.yaml").run
    assert read_record(tmp_path / "kept" / "test") == first
    for option in ("checkpoint", "model"):
        out = tmp_path / f"{option}.yaml"
        done = session(**{option: tmp_path / "kept"}, out=out)
        done.assert_outcomes(passed=COUNT - 3, skipped=3)
        record = read_suite_record(out)
        assert record.run.training is None
        assert record.run.scores == first.scores
        assert {n for n, o in results(record).items() if o == "skipped"} == {
            "test_training",
            "test_physics[continuity]",
            "test_cost[train_wall_s]",
        }


def test_workers_of_xdist(session, toy, tmp_path):
    out = tmp_path / "record.yaml"
    done = session("-n", "2", model=toy(manner="crooked"), out=out, process=True)
    record = read_suite_record(out)
    done.assert_outcomes(passed=COUNT - 3, skipped=1, failed=2)
    assert record.workers == 2
    assert record.complete
    assert len(record.tests) == COUNT
    assert record.physics["rotation"].passed is False
    assert record.run.scores
    assert [p.name for p in tmp_path.glob("*.yaml")] == ["record.yaml"]


def test_an_interrupted_session_says_so(session, toy, tmp_path):
    out = tmp_path / "record.yaml"
    session("-x", model=toy(manner="failing"), out=out)
    record = read_suite_record(out)
    assert not record.complete
    assert record.outcomes["failed"] == 1


GATES = {
    "no-such-metric: {max: 1}": "no score 'no-such-metric'",
    "mae_all: {max: 1}": "name one score, such as hamiltonian.mae_all.full.per_structure",
    "mae_block: {max: 1}": "is no single number",
    "rotation: {most: 1}": "key 'rotation.most': unknown key",
    "rotation: 1": "key 'rotation'",
    "rotation: {}": "give min, max or both",
    "rotation: {min: 2, max: 1}": "min 2 is above max 1",
    "rotation: {max: .nan}": "key 'rotation.max'",
    "- rotation": "must map metrics to limits",
    "rotation: {max: [}": "not readable as YAML",
}


@pytest.mark.parametrize(("text", "message"), GATES.items(), ids=range(len(GATES)))
def test_broken_gates(session, toy, tmp_path, text, message):
    gate = tmp_path / "gate.yaml"
    gate.write_text(text)
    refused(session(model="no-such-model", gate=gate), "gate.yaml", message)


WRONG = {
    "model": ({"model": "no-such-model"}, "no model 'no-such-model'"),
    "class": ({"model": "json:JSONDecoder"}, "is not a subclass"),
    "dataset": ({"model": "TOY", "dataset": "no-such-set"}, "no-such-set"),
    "split": ({"model": "TOY", "split": "exam"}, "no split 'exam'"),
    "variant": ({"model": "TOY", "variant": "huge"}, "no variant 'huge'"),
    "setting": ({"model": "TOY", "set": "model.depth=3"}, "depth"),
    "steps": ({"model": "TOY", "steps": "many"}, "--slembench-steps many"),
    "gate": ({"model": "TOY", "gate": "nowhere.yaml"}, "nowhere.yaml: not readable"),
    "out": ({"model": "TOY", "out": "."}, "--slembench-out .: is a folder"),
    "file": ({"model": "TOY", "out": "file/record.yaml"}, "file/record.yaml: the folder file cannot be made"),
    "both": ({"model": "TOY", "checkpoint": "x"}, "not both"),
    "checkpoint": ({"checkpoint": "nowhere"}, "no run or checkpoint there"),
    "alone": ({"gate": "x"}, "--slembench-gate needs --slembench-model or --slembench-checkpoint"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options(session, toy, pytester, options, message):
    pytester.path.joinpath("file").write_text("")
    options = {key: str(toy()) if value == "TOY" else value for key, value in options.items()}
    refused(session(suite="gate" not in options or "model" in options, **options), message)


def refused(done, *words):
    """One usage error in one line, and no test ran."""
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in done.stderr.lines + done.outlines if line.strip()]
    told = [line for line in lines if line.startswith("ERROR: ")]
    assert len(told) == 1, lines
    assert all(word in told[0] for word in words), told
