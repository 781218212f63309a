"""``slembench board --run`` and ``--html`` from the command line; `tests/leaderboard` has the tables."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app

RUN = Path(__file__).parents[2] / "results" / "runs" / "mos2-mini" / "slem-reference"


def run(*args):
    return CliRunner().invoke(app, list(map(str, args)))


def test_report_of_a_shipped_run(tmp_path):
    shutil.copytree(RUN / "test_3x3", tmp_path / "run" / "test_3x3")
    result = run("board", "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "run" / "report.html").read_text()
    assert "no predictions.h5 beside the record of split test_3x3" in page
    assert page.count("<svg ") >= 6


def test_no_run(tmp_path):
    result = run("board", "--run", tmp_path)
    assert result.exit_code == 1
    assert "give the folder of a finished run" in result.stderr
    assert result.stderr.count("\n") == 1


def test_page_and_pictures_in_another_folder(tmp_path):
    shutil.copytree(RUN / "test_3x3", tmp_path / "run" / "test_3x3")
    result = run("board", "--run", tmp_path / "run", "--out", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "page" / "report.html").is_file()
    assert not (tmp_path / "run" / "report.html").exists()
    kinds = {path.suffix for path in (tmp_path / "page" / "pictures").rglob("*.*")}
    assert kinds == {".svg", ".png"}


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--html", "s", "--run", "r"], "--html and --run: give one of them"),
        (["--no-pictures"], "--pictures belongs to the site: give --html DIR"),
        (["--html", "s", "--out", "o"], "--out has no effect on --html"),
        (["--run", "r", "--all"], "--all has no effect on --run"),
        (["--run", "r", "--dataset", "mos2-mini"], "--dataset has no effect on --run"),
        (["--readme", "r.md", "--group", "cost"], "--group has no effect on --readme"),
    ],
)
def test_options_that_do_not_go_together(args, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("board", *args)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
