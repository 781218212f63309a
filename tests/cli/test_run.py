"""``slembench run``: scores beside the floors, resumed; training alone; mistakes in one line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slembench.cli import app

ROOT = Path(__file__).parents[2]
STEPS = ["--set", "training.max_steps=6", "--set", "training.validate_every=3"]
TRAIN = [*STEPS, "--stop-after", "train"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "training" / "toy.py", folder / "model.py")
    return str(folder)


def command(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_run_shows_scores_beside_floors_and_resumes(crystals, toy_folder, tmp_path):
    arguments = [
        "run",
        "--dataset",
        crystals.root,
        "--model",
        toy_folder,
        *STEPS,
        "--out",
        tmp_path / "a",
        "--name",
        "first",
    ]
    code, out, err = command(*arguments)
    assert code == 0, err
    assert "hamiltonian.mae_all.full.pooled" in out
    assert all(word in out for word in ("first", "zero", "irreps-mean", "slembench board --runs"))
    assert "trained: 6 steps" in err
    code, out, err = command(*arguments)
    assert (code, "finished already" in err, "hamiltonian.mae_all" in out) == (0, True, True)


def test_train_then_predict_then_evaluate(crystals, toy_folder, tmp_path):
    train = ["run", "--dataset", crystals.root, "--model", toy_folder, *STEPS, "--out", tmp_path / "t"]
    code, out, err = command(*train, "--stop-after", "train")
    assert code == 0, err
    assert not list((tmp_path / "t").rglob("record.yaml"))
    assert Path(out.strip()).is_dir()
    file = tmp_path / "new" / "p.h5"
    for checkpoint in (tmp_path / "t", tmp_path / "t" / "checkpoint", out.strip()):
        code, _, err = command("predict", "--checkpoint", checkpoint, "--dataset", crystals.root, "--out", file)
        assert code == 0, err
        assert "4 structures" in err
    code, out, err = command("evaluate", "--dataset", crystals.root, "--predictions", file, "--no-bands")
    assert code == 0, err
    assert "mae_all" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--dataset", "{data}", "--model", "{model}"], "max_steps, max_wall_s or max_cpu_s"),
        (["run", "--dataset", "{data}", "--model", "{model}", "--set", "training.steps=3"], "steps': unknown key"),
        (["run", "--dataset", "nowhere", "--model", "{model}", *TRAIN], "no data set 'nowhere'"),
        (["run", "--dataset", "{data}", "--model", "nothing", *TRAIN], "no model 'nothing'"),
        (["run", "--dataset", "{data}", "--model", "{model}", *TRAIN, "--partition", "30"], "partition 30 %"),
        (["predict", "--dataset", "{data}", "--checkpoint", "no", "--out", "p.h5"], "no: no checkpoint here"),
    ],
)
def test_mistakes_are_one_line(crystals, toy_folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = command(*(a.format(data=crystals.root, model=toy_folder) for a in arguments))
    assert code == 1
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.rglob("*.h5"))


def test_what_was_only_trained_is_gone_on_with(crystals, toy_folder, tmp_path):
    arguments = ["run", "--dataset", crystals.root, "--model", toy_folder, *STEPS, "--out", tmp_path / "t"]
    code, checkpoint, err = command(*arguments, "--stop-after", "train")
    assert code == 0, err
    weights = next(Path(checkpoint.strip()).glob("*.safetensors")).read_bytes()
    code, out, err = command(*arguments, "--no-floors")
    assert (code, "hamiltonian.mae_all" in out) == (0, True), err
    assert next(Path(checkpoint.strip()).glob("*.safetensors")).read_bytes() == weights
    assert (tmp_path / "t" / "test" / "record.yaml").is_file()
