"""A model folder as a contributor would bring it: the toy model of the training tests, with a recipe."""

import shutil
from pathlib import Path

import pytest
import yaml

TOY = Path(__file__).parents[1] / "training" / "toy.py"
RECIPE = {
    "description": "a small model for tests",
    "model": {"width": 8},
    "training": {"max_steps": 30, "validate_every": 10, "optimizer": {"lr": 0.02}},
    "variants": {
        "longer": {"training": {"max_steps": 60}, "model": {"dropout": 0.1}},
        "h": {"targets": ["hamiltonian"]},
    },
}


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "my-toy"
    folder.mkdir()
    shutil.copy(TOY, folder / "model.py")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """The graph cache of these tests is a temporary folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
