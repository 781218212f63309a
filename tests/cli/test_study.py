"""The commands of ``slembench study``, apart from long runs, which the tests of studies have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.studies import read_plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "training" / "toy.py", folder / "model.py")
    return str(folder)


def command(*arguments, columns=200):
    result = CliRunner().invoke(app, ["study", *map(str, arguments)], env={"COLUMNS": str(columns)})
    return result.exit_code, result.stdout, result.stderr


def test_a_plan_is_written_and_shown_with_its_cost(crystals, toy_folder, tmp_path):
    out = tmp_path / "study"
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", out, "--plan-only"]
    code, text, err = command("data-efficiency", *options, "--fractions", "1,.2", "--cpu-seconds", "7")
    assert code == 0, err
    plan = read_plan(out)
    assert [run.partition for run in plan.runs] == [100, 20]
    assert all(key in text for key in plan.keyed)
    assert "2 runs, about 14 CPU s of training" in text
    assert not (out / "runs").exists()
    code, text, err = command("data-efficiency", *options, "--fractions", "1", "--steps", "40")
    assert code == 0, err
    assert "measured now" in text.replace("\n", " ") or "40 steps of" in text
    code, _, err = command("seeds", *options, "--cpu-seconds", "7")
    assert (code, err.startswith("error: "), "of another kind, data-efficiency" in err) == (1, True, True)


def test_a_narrow_table_of_runs_loses_nothing(crystals, toy_folder, tmp_path):
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path / "s", "--cpu-seconds", "7"]
    code, text, err = command("data-efficiency", *options, "--fractions", "1", "--plan-only", columns=50)
    assert code == 0, err
    assert "\u2026" not in text
    rows = [
        [cell.strip() for cell in line.strip("\u2502 ").split("\u2502")]
        for line in text.splitlines()
        if line[0] == "\u2502"
    ]
    (key,) = read_plan(tmp_path / "s").keyed
    assert "".join(row[0] for row in rows) == key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fractions", "1,x"], "--fractions 1,x: give numbers separated by commas"),
        (["--fractions", "0.3"], "each must be one of 1, 0.8, 0.6, 0.4, 0.2"),
        (["--set", "training.steps=3"], "steps': unknown key"),
        (["--split", "nothing"], "no split 'nothing'"),
        (["--seeds", "0,0"], "seeds: give each one once"),
    ],
)
def test_mistakes_are_one_line(crystals, toy_folder, tmp_path, arguments, message):
    given = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path / "s", "--steps", 5, *arguments]
    code, _, err = command("data-efficiency", *given)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: ")
    assert message in err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("option", "value"), [("--copies", "0"), ("--copies", "2,-1"), ("--factors", "1,0")])
def test_sizes_that_mean_nothing_are_one_line(crystals, toy_folder, tmp_path, option, value):
    out = tmp_path / "s"
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", out, f"{option}={value}"]
    code, _, err = command("scaling", *options)
    assert (code, err.count("\n"), "give " in err) == (1, 1, True), err
    assert not out.exists()


def test_folders_that_hold_something_else_are_left_alone(crystals, toy_folder, tmp_path):
    (tmp_path / "notes").write_text("mine")
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path, "--steps", 5]
    code, _, err = command("data-efficiency", *options)
    assert (code, "exists and is not a study" in err) == (1, True)
    code, _, err = command("run", tmp_path)
    assert (code, "no plan.yaml there" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_help_teaches_without_heavy_imports():
    code = (
        "import sys; from slembench.cli import app\ntry: app(['study', 'transfer', '-h'])\nfinally: print(*sys.modules)"
    )
    environment = os.environ | {"COLUMNS": "120"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "slembench study transfer --dataset" in done.stdout
    assert not {"torch", "datasets", "pandas", "ray"} & set(done.stdout.split())
