"""The index of results: nothing disappears, nothing changes unnoticed, and an entry is retired with a reason."""

import shutil

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.leaderboard.runs import collect_runs
from slembench.results.evidence import follows
from slembench.results.index import add_entries, check_index, read_index, retire, states
from slembench.results.record import read_record, write_record


@pytest.fixture
def root(tmp_path, write_run):
    for name, size in (("a", 0.1), ("b", 0.2)):
        write_run(tmp_path / "runs" / name / "test", name, [size] * 3, model=name)
    assert [entry.path for entry in add_entries(tmp_path)] == ["runs/a/test", "runs/b/test"]
    assert check_index(tmp_path) == []
    return tmp_path


def test_committed_results_are_in_the_index_as_they_are():
    assert check_index(asset_path("results")) == []


def test_scores_of_committed_results_follow_from_their_tables():
    root = asset_path("results")
    paths = [root / path for path in read_index(root)]
    assert paths
    for run in collect_runs(paths):
        assert run.per_structure is not None, run.folder
        assert follows(run.record, run.per_structure), run.folder


def test_an_entry_that_disappears_is_noticed(root):
    shutil.rmtree(root / "runs" / "a")
    assert check_index(root) == ["runs/a/test: gone, but it is in the index"]
    with pytest.raises(DataError, match="runs/a/test: gone"):
        add_entries(root)
    assert "runs/a/test" in read_index(root)


def test_a_score_that_changes_is_noticed(root):
    record = read_record(root / "runs" / "a" / "test")
    name = "hamiltonian.mae_all.full.pooled"
    better = record.scores[name].model_copy(update={"value": 0.05})
    write_record(record.model_copy(update={"scores": record.scores | {name: better}}), root / "runs" / "a" / "test")
    (problem,) = check_index(root)
    assert problem.startswith("runs/a/test: scores changed from ")
    with pytest.raises(DataError, match="supersede"):
        add_entries(root)


@pytest.mark.parametrize("name", ["per_structure.parquet", "extra.txt"])
def test_a_file_that_changes_is_noticed(root, name):
    with (root / "runs" / "a" / "test" / name).open("ab") as stream:
        stream.write(b" ")
    assert check_index(root) == ["runs/a/test: its files changed"]


def test_a_folder_that_is_not_in_the_index_is_noticed(root, write_run):
    write_run(root / "submissions" / "c", "c", [0.3] * 3, model="c")
    assert check_index(root) == ["submissions/c: not in the index; run `slembench dev results add`"]
    assert [entry.path for entry in add_entries(root)] == ["submissions/c"]


def test_two_entries_that_collide_are_noticed(root, write_run):
    write_run(root / "submissions" / "a", "a", [0.05] * 3, model="a")
    add_entries(root)
    assert check_index(root) == ["submissions/a: same data set, split, targets, model, name and seed as runs/a/test"]
    retire(root, "runs/a/test", "trained again", "submissions/a")
    assert check_index(root) == []


def test_states(root):
    assert states(root) == {}
    retire(root, "runs/a/test", "longer  training", "runs/b/test")
    entry = read_index(root)["runs/a/test"]
    assert (entry.state, entry.reason, entry.successor) == ("superseded", "longer training", "runs/b/test")
    retire(root, "runs/b/test", "a fault in the loader")
    found = states(root)
    assert found[(root / "runs/b/test").resolve()].kind == "withdrawn"
    assert {run.state.kind for run in collect_runs([root], found)} == {"superseded", "withdrawn"}
    assert check_index(root) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("runs/x", "why"), "no active entry 'runs/x'"),
        (("runs/a/test", "  "), "a reason is needed"),
        (("runs/a/test", "why", "runs/a/test"), "no other active entry"),
        (("runs/a/test", "why", "runs/x"), "no other active entry"),
    ],
)
def test_retiring_needs_an_entry_a_reason_and_a_successor(root, arguments, message):
    with pytest.raises(DataError, match=message):
        retire(root, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("path,dataset", "place,dataset", "columns must be"),
        (",active,,", ",asleep,,", "column 'state': 'asleep'"),
        (",active,,", ",withdrawn,,", "column 'reason'"),
        (",active,,", ",superseded,why,", "column 'successor'"),
        ("runs/b/test", "runs/a/test", "stands there twice"),
        (",active,,", ",active,", "columns instead of"),
    ],
)
def test_a_broken_index_is_refused(root, old, new, message):
    path = root / "index.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read_index(root)


def test_commands(root, write_run):
    run = CliRunner()
    at = ["--results", str(root)]
    done = run.invoke(app, ["dev", "results", "check", *at])
    assert (done.exit_code, done.output) == (0, "2 entries, 0 problems\n")
    write_run(root / "runs" / "c", "c", [0.3] * 3, model="c")
    assert run.invoke(app, ["dev", "results", "check", *at]).exit_code == 1
    assert "added runs/c" in run.invoke(app, ["dev", "results", "add", *at]).output
    done = run.invoke(app, ["dev", "results", "supersede", "runs/a/test", "--by", "runs/c", "--reason", "better", *at])
    assert done.output == "runs/a/test is superseded by runs/c\n"
    done = run.invoke(app, ["dev", "results", "withdraw", "runs/b/test", "--reason", "a fault", *at])
    assert done.output == "runs/b/test is withdrawn\n"
    assert run.invoke(app, ["dev", "results", "check", *at]).exit_code == 0
    done = run.invoke(app, ["dev", "results", "withdraw", "runs/b/test", "--reason", "again", *at])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
