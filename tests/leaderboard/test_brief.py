"""The board as a terminal shows it: one table a task, at most 80 columns."""

import re

import pytest
from typer.testing import CliRunner

import slembench
from slembench.cli import app
from slembench.core.errors import ConfigError
from slembench.leaderboard.sections import short_count
from slembench.tables.cells import grid
from slembench.tables.text import to_text

COLUMNS = 80


@pytest.fixture(scope="module")
def shipped():
    return slembench.board(runs=())


def test_every_shipped_task_has_one_table_of_at_most_80_columns(shipped):
    tasks = [b.task for b in shipped.boards if b.is_official and b.is_current]
    assert [section.title for section in shipped.brief()] == tasks
    lines = shipped.text().splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) < 30 * len(tasks)


def test_no_cell_of_a_shipped_table_is_folded(shipped):
    """A row is a line: as many lines as rows between the rule under the head and the next empty line."""
    for section in shipped.brief():
        text = to_text([section], COLUMNS)
        body = re.search(r"─+\n(.*?)(\n\n|\Z)", text, re.DOTALL)[1].rstrip().splitlines()
        assert len(body) == len(section.rows) + len(section.notes), text


def test_rows_are_ranked_models_then_floors(add_run):
    add_run("good", [0.010, 0.020])
    add_run("bad", [0.040, 0.040], model="other")
    add_run("zero", [1.0, 2.0], kind="floor", model="floor-zero")
    (section,) = slembench.board(runs=[add_run.root], committed=False).brief()
    texts, _ = grid(section)
    assert [row[:2] for row in texts] == [["1", "slem"], ["2", "other"], ["floor", "zero"]]
    titles = [column.title for column in section.columns]
    assert titles[:5] == ["rank", "model", "trained for", "MAE all [95 % interval] (meV)", "of best floor (%)"]
    error, share = ([row[titles.index(title)] for row in texts] for title in titles[3:5])
    assert error[0].startswith("15")
    assert share == ["1", "2.67", "100"]  # 15, 40 and 1500 meV


def test_superseded_entries_are_counted_not_shown(shipped):
    retired = [b for b in shipped.boards if b.is_official and b.is_current and b.retired]
    notes = {s.title: s.notes for s in shipped.brief()}
    for board in retired:
        assert any(f"{len(board.retired)} superseded or withdrawn" in note for note in notes[board.task])


@pytest.mark.parametrize("group", ["main", "levels", "physics", "cost", "floors", "published"])
def test_one_group(shipped, group):
    sections = shipped.group(group)
    assert sections
    assert {section.group for section in sections} == {group}


def test_an_unknown_group_is_refused_by_name(shipped):
    with pytest.raises(ConfigError, match="--group colour: no such group of tables here; there are: main, "):
        shipped.group("colour")


def test_results_of_an_older_revision_are_shown_where_there_are_no_others(add_run):
    add_run("old", [0.010, 0.020], dataset_fingerprint="0" * 64, dataset_revision=0)
    (section,) = slembench.board(runs=[add_run.root], committed=False).brief()
    assert section.title.startswith("mos2-mini r0 (not the present data)")
    add_run("new", [0.010, 0.020])
    assert [s.title for s in slembench.board(runs=[add_run.root], committed=False).brief()] == [
        "mos2-mini r1, test, hamiltonian"
    ]


def test_every_counting_has_its_own_title(add_run):
    add_run("good", [0.010, 0.020])
    boards = slembench.board(runs=[add_run.root], committed=False)
    assert [section.title for section in boards.brief(everything=True)] == [board.title for board in boards.boards]


def run(*words):
    return CliRunner().invoke(app, ["board", "--dataset", "si-mini", *words], env={"COLUMNS": "80"})


def test_command():
    brief, everything, group = run(), run("--columns", "all"), run("--group", "physics")
    assert (brief.exit_code, everything.exit_code, group.exit_code) == (0, 0, 0)
    assert max(map(len, brief.stdout.splitlines())) <= COLUMNS
    assert len(brief.stdout.splitlines()) < len(everything.stdout.splitlines()) / 4
    assert "physics checks" in everything.stdout
    assert "physics checks" in group.stdout
    assert "physics checks" not in brief.stdout
    wrong = run("--columns", "few")
    assert wrong.exit_code == 1
    assert "use brief or all" in wrong.output


def test_records_of_other_data_sets_are_not_parsed(add_run, tmp_path):
    add_run("mine", [0.010, 0.020])
    other = tmp_path / "other" / "record.yaml"
    other.parent.mkdir()
    other.write_text("name: x\ndataset: si-mini\nnot a record: [\n")
    assert slembench.board("mos2-mini", runs=[add_run.root, tmp_path / "other"], committed=False).boards


@pytest.mark.parametrize(
    ("count", "text"), [(950, "950"), (999_400, "999k"), (999_600, "1.00M"), (1_395_000, "1.40M"), (12_345, "12.3k")]
)
def test_short_count(count, text):
    assert short_count(count) == text
