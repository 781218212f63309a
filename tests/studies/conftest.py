"""A small data set, a small model, a plan whose runs take a second each, and what it gives when nothing disturbs it."""

import shutil
from pathlib import Path

import pytest
import yaml

from slembench.studies import local_backend, run_study, write_plan
from slembench.studies.designs import ModelSpec, Options, data_efficiency
from slembench.studies.report import write_report
from slembench.training.log import JsonLog

TOY = Path(__file__).parents[1] / "training" / "toy.py"
RECIPE = {
    "model": {"width": 8},
    "training": {"max_steps": 40, "validate_every": 10, "log_every": 5, "optimizer": {"lr": 0.02}},
    "targets": ["hamiltonian"],
    "variants": {"wide": {"model": {"width": 16}}},
}
COMPARED = ("report.md", "report.html", "scores.csv")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """The graph cache of these tests is a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "toy"
    folder.mkdir()
    shutil.copy(TOY, folder / "model.py")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return str(folder)


@pytest.fixture(scope="session")
def small_plan(crystals, toy_model):
    """Three parts of the training data."""
    return data_efficiency([crystals], Options((ModelSpec(toy_model),), steps=150), (1, 0.6, 0.2))


@pytest.fixture(scope="session")
def whole(small_plan, tmp_path_factory):
    """Compared files of a study that nothing disturbed: name -> bytes."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    write_plan(small_plan, folder)
    result = run_study(small_plan, folder, local_backend())
    assert (len(result.made), result.failed) == (3, {})
    write_report(small_plan, folder)
    return contents(folder)


@pytest.fixture(scope="session")
def helpers():
    """Functions that several test files use."""
    return {"contents": contents, "steps_of": steps_of}


def contents(folder):
    """Compared files of a study: name -> bytes."""
    return {name: (folder / name).read_bytes() for name in COMPARED}


def steps_of(folder, key):
    """Steps that the log of a run holds; 0 before it begins."""
    rows = JsonLog(folder / "runs" / key / "log.jsonl").rows("train")
    return max((row["step"] for row in rows), default=0)
