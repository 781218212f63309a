"""``slembench data page`` and ``slembench report`` from the command line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app

RUN = Path(__file__).parents[2] / "results" / "runs" / "mos2-mini" / "slem-reference"


def run(*args):
    return CliRunner().invoke(app, list(map(str, args)))


def test_page_of_a_folder(molecules, tmp_path):
    result = run("data", "page", molecules.root, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    names = ["made-up-molecules.md", *(f"made-up-molecules/{p}.png" for p in ("structure", "sparsity", "decay"))]
    assert all((tmp_path / name).is_file() for name in names)


@pytest.mark.parametrize(("args", "problem"), [([], "give the name"), (["--all", "mos2-mini"], "give the name")])
def test_one_or_all(args, problem, tmp_path):
    result = run("data", "page", *args, "--out", tmp_path)
    assert result.exit_code == 1
    assert problem in result.stderr


def test_report_of_a_shipped_run(tmp_path):
    shutil.copytree(RUN / "test_3x3", tmp_path / "run" / "test_3x3")
    result = run("report", tmp_path / "run")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "run" / "report.html").read_text()
    assert "no predictions.h5 beside the record of split test_3x3" in page
    assert page.count("<svg ") >= 6


def test_no_run(tmp_path):
    result = run("report", tmp_path)
    assert result.exit_code == 1
    assert "give the folder of a finished run" in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_teaches():
    assert "slembench report runs/" in run("report", "--help").output
    assert "--all --out docs/datasets" in run("data", "page", "--help").output
