"""The plug-in door for models."""

import pytest

from slembench.core.errors import ConfigError
from slembench.models.registry import load_model_class, model_names
from slembench.models.slem.model import Slem

TOY = """
from slembench.models.contract import ModelConfig, OperatorModel, ReceptiveField

class Toy(OperatorModel):
    name = "toy"
    @property
    def receptive_field(self):
        return ReceptiveField(1.0, 1.0, True)
    def forward_irreps(self, graph):
        return {}
"""


def test_shipped_and_dotted_names():
    assert load_model_class("slem") is Slem
    assert load_model_class("slembench.models.slem.model:Slem") is Slem
    assert "slem" in model_names()


def test_a_folder(tmp_path):
    (tmp_path / "model.py").write_text(TOY)
    assert load_model_class(str(tmp_path)).name == "toy"
    (tmp_path / "model.py").write_text(TOY + "\nclass Second(Toy):\n    pass\n")
    with pytest.raises(ConfigError, match="found Toy, Second"):
        load_model_class(str(tmp_path))
    (tmp_path / "model.py").write_text(TOY + "\nclass Second(Toy):\n    pass\nMODEL = Second\n")
    assert load_model_class(str(tmp_path)).__name__ == "Second"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "no model 'nobody'"),
        ("slembench.models.slem.model:Nobody", "has no attribute 'Nobody'"),
        ("no_such_package.x:Y", "No module named"),
        ("slembench.operators.orbitals:Basis", "not a subclass"),
    ],
)
def test_unknown_names_are_explained(name, message):
    with pytest.raises(ConfigError, match=message):
        load_model_class(name)


def test_broken_folders_are_explained(tmp_path):
    with pytest.raises(ConfigError, match=r"needs a model\.py"):
        load_model_class(str(tmp_path))
    (tmp_path / "model.py").write_text("import nothing_of_that_name")
    with pytest.raises(ConfigError, match="cannot be imported: ModuleNotFoundError"):
        load_model_class(str(tmp_path))


def test_a_folder_may_have_several_files(tmp_path):
    (tmp_path / "parts.py").write_text("NAME = 'from-parts'")
    (tmp_path / "model.py").write_text(
        TOY.replace('"toy"', "NAME").replace("\nclass", "\nfrom .parts import NAME\nclass")
    )
    kind = load_model_class(str(tmp_path))
    assert kind.name == "from-parts"
    assert load_model_class(f"{kind.__module__}:Toy") is kind


def test_dashes_stand_for_underscores():
    names = [name for name in model_names() if "-" in name]
    assert names
    assert all(load_model_class(name).name == name for name in names)
