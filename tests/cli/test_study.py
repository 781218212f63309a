"""The commands of ``slembench study``, apart from long runs, which the tests of studies have."""

import shutil
from pathlib import Path

import pandas as pd
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
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", out]
    code, text, err = command("new", "data-efficiency", *options, "--fractions", "1,.2", "--cpu-seconds", "7")
    assert code == 0, err
    plan = read_plan(out)
    assert [run.partition for run in plan.runs] == [100, 20]
    assert all(key in text for key in plan.keyed)
    assert "2 runs, about 14 CPU s of training" in text
    assert not (out / "runs").exists()
    code, text, err = command("new", "data-efficiency", *options, "--fractions", "1", "--steps", "40")
    assert code == 0, err
    assert "measured now" in text.replace("\n", " ") or "40 steps of" in text
    code, _, err = command("new", "seeds", *options, "--cpu-seconds", "7")
    assert (code, err.startswith("error: "), "of another kind, data-efficiency" in err) == (1, True, True)


def test_a_narrow_table_of_runs_loses_nothing(crystals, toy_folder, tmp_path):
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path / "s", "--cpu-seconds", "7"]
    code, text, err = command("new", "data-efficiency", *options, "--fractions", "1", columns=50)
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
    code, _, err = command("new", "data-efficiency", *given)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: ")
    assert message in err
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("option", "value"), [("--copies", "0"), ("--copies", "2,-1"), ("--factors", "1,0")])
def test_sizes_that_mean_nothing_are_one_line(crystals, toy_folder, tmp_path, option, value):
    out = tmp_path / "s"
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", out, f"{option}={value}"]
    code, _, err = command("new", "scaling", *options)
    assert (code, err.count("\n"), "give " in err) == (1, 1, True), err
    assert not out.exists()


def test_folders_that_hold_something_else_are_left_alone(crystals, toy_folder, tmp_path):
    (tmp_path / "notes").write_text("mine")
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path, "--steps", 5]
    code, _, err = command("new", "data-efficiency", *options)
    assert (code, "exists and is not a study" in err) == (1, True)
    code, _, err = command("run", tmp_path)
    assert (code, "no plan.yaml there" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seeds", "--shots", "1"], "--shots belongs to transfer, not to seeds; leave it out"),
        (["transfer", "--split", "test"], "--split belongs to data-efficiency, locality, seeds, not to transfer"),
        (["scaling", "--set", "a=1"], "--set belongs to data-efficiency, transfer, locality, seeds, not to scaling"),
        (["locality", "--dataset", "mos2-mini"], "--dataset: the design locality takes one data set"),
    ],
)
def test_options_of_another_design(crystals, toy_folder, tmp_path, arguments, message):
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", tmp_path / "s"]
    code, _, err = command("new", *arguments, *options)
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert not (tmp_path / "s").exists()


def test_scaling_is_planned_measured_and_reported(crystals, toy_folder, tmp_path):
    out = tmp_path / "s"
    options = ["--dataset", crystals.root, "--models", toy_folder, "--out", out, "--copies", "1,2", "--factors", "1"]
    code, text, err = command("new", "scaling", *options, "--lmax", "none")
    assert code == 0, err
    assert f"2 measurements planned in {out}; make them with: slembench study run {out}" in text
    assert [path.name for path in out.iterdir()] == ["scaling.yaml"]
    code, _, err = command("run", out, "--jobs", 2)
    assert (code, "--jobs has no meaning for a scaling study" in err) == (1, True)
    code, text, err = command("run", out)
    assert code == 0, err
    assert str(out / "scaling.md") in text
    table = pd.read_csv(out / "measurements.csv")
    assert table["atoms"].tolist() == [2, 4]
    code, text, err = command("report", out, "--page", tmp_path / "docs" / "page.md")
    assert code == 0, err
    assert (tmp_path / "docs" / "page.md").is_file()
    # a larger plan keeps the rows that are there
    options[options.index("1,2")] = "1,2,3"
    assert command("new", "scaling", *options, "--lmax", "none")[0] == 0
    assert command("run", out)[0] == 0
    again = pd.read_csv(out / "measurements.csv")
    pd.testing.assert_frame_equal(again[:2], table)


def test_broken_plan_of_a_scaling_study_names_the_key(tmp_path):
    (tmp_path / "scaling.yaml").write_text("datasets: [mos2-mini]\nmodels: [slem]\ncopy: [1]\n")
    code, _, err = command("run", tmp_path)
    assert (code, "copy" in err, "scaling.yaml" in err, err.count("\n")) == (1, True, True, 1)
