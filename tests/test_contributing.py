"""The model that CONTRIBUTING.md shows, written from its text to a folder outside the repository, goes all the way."""

import json
import re
from pathlib import Path

import pytest
import torch
from ase.build import mx2
from typer.testing import CliRunner

from slembench.cli import app
from slembench.harness.recipe import load_recipe
from slembench.operators.orbitals import Basis
from slembench.suite.checks import contract_report, generic_model

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder two-body with the files of the text."""
    place = tmp_path_factory.mktemp("elsewhere") / "two-body"
    place.mkdir()
    for language, name in (("python", "model.py"), ("yaml", "recipe.yaml")):
        (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
        (place / name).write_text(found, encoding="utf-8")
    return place


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def command(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_keeps_the_contract(folder, double):
    settings = load_recipe(str(folder))
    basis = Basis.parse({"S": "2s1p", "Mo": "1s1p1d"})
    cutoffs = {16: 4.0, 42: 4.5}
    model = generic_model(settings.kind, settings.model, basis, cutoffs, ("hamiltonian", "overlap"))
    layer = mx2("MoS2", vacuum=6.0)
    layer.pbc = (True, True, False)
    layer.rattle(0.05, seed=1)
    report = contract_report(model, layer)
    assert max(report.values()) < 1e-10, report
    with torch.no_grad():
        model.atom["overlap"].weight.add_(1.0)
    assert contract_report(model, layer)["rotation"] < 1e-10


def test_it_is_listed_trained_scored_ranked_and_remembered(folder, crystals, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    listing = ["models", "list", "--model", folder, "--measure", "--dataset", crystals.root, "--json"]
    facts = json.loads(command(*listing))[0]["facts"]
    assert facts["symmetry"] == "O3"
    assert max(facts["rotation_error"], facts["inversion_error"]) < 1e-10
    run = ["run", "--dataset", crystals.root, "--model", folder, "--variant", "quickstart", "--no-floors"]
    out = command(*run, "--set", "training.max_steps=20", "--set", "training.validate_every=10", "--out", "runs/mine")
    assert "hamiltonian.mae_all.full.pooled" in out
    losses = [json.loads(line) for line in Path("runs/mine/log.jsonl").read_text().splitlines()]
    first, last = (row["loss"] for row in losses if row["event"] == "validation")
    assert last < first
    assert "two-body" in command("board", "--dataset", crystals.name, "--runs", "runs/mine")
    command("dev", "expected", "runs/mine", "--write", "--score", "hamiltonian.mae_all.full.pooled")
    assert "as expected" in command("dev", "expected", "runs/mine")
