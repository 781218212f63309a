"""Sessions of the suite inside a test, with toy models that lie outside the repository."""

import os
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

import slembench.suite.session

TOY = Path(__file__).with_name("toy.py")
PACKAGE = Path(slembench.suite.session.__file__).parents[2]
INSTALLED = any(e.value == "slembench.suite.plugin" for e in entry_points(group="pytest11"))
PLUGIN = [] if INSTALLED else ["-p", "slembench.suite.plugin"]


@pytest.fixture
def toy(tmp_path):
    """Function: a model folder whose recipe asks for a manner and a claim."""

    def make(**config):
        folder = tmp_path / "models" / "-".join(["toy", *config.values()])
        folder.mkdir(parents=True)
        shutil.copy(TOY, folder / "model.py")
        recipe = {"model": config, "training": {"max_steps": 20, "validate_every": 10, "optimizer": {"lr": 0.02}}}
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return folder

    return make


@pytest.fixture
def session(pytester, crystals, monkeypatch, tmp_path):
    """Function: a session of pytest with the plug-in, in an empty folder; paths as keywords, flags as arguments."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SLEMBENCH_DATA", str(crystals.root.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(*words, process=False, suite=True, **options):
        options = {"dataset": crystals.name, **options} if suite and options else options
        given = [f"--slembench-{key}={value}" for key, value in options.items()]
        start = pytester.runpytest_subprocess if process else pytester.runpytest_inprocess
        return start(*PLUGIN, *(["--pyargs", "slembench.suite"] if suite else []), *given, *words)

    return run
