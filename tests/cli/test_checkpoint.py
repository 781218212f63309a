import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.training.checkpoint import load_model

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/models/slem/fixtures/dptb_slem_silicon.pth"


def command(*arguments):
    result = CliRunner().invoke(app, ["import-checkpoint", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_an_imported_checkpoint_loads(tmp_path):
    code, out, err = command(FILE, "--from", "deeptb", "--out", tmp_path / "a", "--energy-unit", "Hartree")
    assert code == 0, err
    assert "slem, 12709 parameters, hamiltonian, overlap; basis Si:1s1p" in err
    model = load_model(tmp_path / "a")
    assert (model.name, model.energy_unit, model.targets) == ("slem", "Hartree", ("hamiltonian", "overlap"))
    state = json.loads((Path(out.strip()) / "state.json").read_text())
    assert state["imported"]["program"] == "deeptb"
    assert state["imported"]["iteration"] == state["step"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([FILE, "--from", "qhnet", "--out", "{}/a"], "give --dataset NAME as well"),
        ([FILE, "--from", "deeptb", "--out", "{}/a", "--energy-unit", "kcal"], "unknown unit; known: eV"),
        ([FILE, "--from", "deeptb", "--out", "{}"], "exists already"),
        (["nothing.pth", "--from", "deeptb", "--out", "{}/a"], "nothing.pth: no such file"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    (tmp_path / "something").touch()
    code, _, err = command(*(str(a).format(tmp_path) for a in arguments))
    assert code == 1
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["something"]


def test_help_teaches_without_heavy_imports():
    call = "app(['import-checkpoint', '--help'])"
    code = f"import sys; from slembench.cli import app\ntry: {call}\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | {"COLUMNS": "120"}
    )
    assert "slembench import-checkpoint nnenv.best.pth --from deeptb" in done.stdout
    assert not {"torch", "datasets", "pandas"} & set(done.stdout.split())
