"""The overview, the block of docs/board.md, and whether that is the board of the committed results."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import slembench
from slembench.cli import app
from slembench.core.errors import ConfigError
from slembench.leaderboard.overview import BEGIN, END, overview, overview_block, write_overview
from slembench.results.record import TrainingSummary
from slembench.tables.cells import grid

PAGE = Path(__file__).resolve().parents[2] / "docs" / "board.md"


@pytest.fixture
def boards(add_run):
    add_run("a", [0.010, 0.020])
    add_run("a-later", [0.030, 0.030], config={"layers": 3})
    add_run("b", [0.040, 0.040], model="other")
    add_run("zero", [1.0, 2.0], kind="floor", model="floor-zero")
    add_run("old", [0.001], model="old", dataset_fingerprint="0" * 64, dataset_revision=0)
    add_run("large", [0.001], model="other", split="test_3x3")
    return slembench.board(runs=[add_run.root], committed=False).boards


def test_the_board_on_the_page_is_that_of_the_committed_results():
    boards = slembench.board(runs=()).boards
    assert overview_block(boards) in PAGE.read_text(), "run `slembench board --readme docs/board.md`"


def test_one_line_a_task_and_the_best_entry_of_each_model(boards):
    section = overview(boards)
    assert [column.title for column in section.columns] == [
        "data set", "operator", "trained for", "other", "slem", "best floor", "unit", "score",
    ]  # fmt: skip
    assert grid(section)[0] == [["mos2-mini", "H", "9 steps", "40", "15 (1)", "1500", "meV", "MAE all"]]


def test_models_with_other_budgets_stand_in_another_line(boards, add_run):
    training = TrainingSummary(
        seed=0, partition=100, n_train=60, steps=99, structures_seen=99, wall_s=900.0, budget="99 steps"
    )
    add_run("long", [0.001, 0.001], config={"layers": 4}, training=training)
    rows = grid(overview(slembench.board(runs=[add_run.root], committed=False).boards))[0]
    assert [row[2:6] for row in rows] == [["9 steps", "40", "15 (1)", "1500"], ["99 steps", "-", "1 (1)", "1500"]]


def test_the_block_replaces_what_stood_there(boards, tmp_path):
    path = tmp_path / "R.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_overview(boards, path)
    assert path.read_text() == f"before\n{overview_block(boards)}\nafter\n"
    write_overview(boards, path)
    assert path.read_text().count(BEGIN) == 1
    assert "old" not in path.read_text()


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_file_without_marks_is_refused(boards, tmp_path, text):
    path = tmp_path / "R.md"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"R\.md: needs the line"):
        write_overview(boards, path)
    assert path.read_text() == text


def test_command(boards, add_run, tmp_path):
    path = tmp_path / "R.md"
    path.write_text(f"{BEGIN}\n{END}\n")
    options = ["board", "--no-committed", "--runs", str(add_run.root), "--readme", str(path)]
    assert CliRunner().invoke(app, options).exit_code == 0
    assert "| mos2-mini | H | 9 steps | 40 | 15 (1) | 1500 |" in path.read_text()
    done = CliRunner().invoke(app, [*options[:-1], str(tmp_path / "none.md")])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
