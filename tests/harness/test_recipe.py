import pytest
import yaml

from slembench.core.errors import ConfigError
from slembench.harness.recipe import find_recipe, load_recipe, merged, parse_changes


def test_recipe_then_variant_then_changes_then_seed(toy_folder):
    plain = load_recipe(str(toy_folder))
    assert (plain.model.width, plain.training.max_steps, plain.training.optimizer.lr) == (8, 30, 0.02)
    longer = load_recipe(str(toy_folder), variant="longer")
    assert (longer.model.width, longer.model.dropout, longer.training.max_steps) == (8, 0.1, 60)
    changes = ["training.max_steps=7", "model.width=3", "targets=[overlap]", "training.optimizer.lr=1e-3"]
    changed = load_recipe(str(toy_folder), variant="longer", changes=changes, seed=4)
    assert (changed.model.width, changed.training.max_steps, changed.training.validate_every) == (3, 7, 10)
    assert (changed.training.optimizer.lr, changed.training.seed, changed.targets) == (1e-3, 4, ("overlap",))
    assert load_recipe(str(toy_folder), variant="h").targets == ("hamiltonian",)


def test_changes_from_python_are_a_mapping(toy_folder):
    settings = load_recipe(
        str(toy_folder), changes={"training.clip_norm": 2.0, "training.schedule": {"name": "constant"}}
    )
    assert settings.training.clip_norm == 2.0
    assert settings.training.schedule.name == "constant"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.max_step=5"], r"recipe.yaml: training: key 'max_step': unknown key.*max_steps"),
        (["model.depth=5"], r"recipe.yaml: model: key 'depth': unknown key.*width"),
        (["training.optimizer.lr=fast"], r"training: key 'optimizer.lr': .*valid number"),
        (["steps=5"], r"change 'steps': the key must begin with one of model, training, targets"),
        (["training.max_steps"], r"must look like training.max_steps=100"),
        (["model.width=[1"], r"the value is not YAML"),
    ],
)
def test_wrong_changes_name_the_key(toy_folder, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(toy_folder), changes=changes)


def test_unknown_names_list_the_known_ones(toy_folder):
    with pytest.raises(ConfigError, match=r"recipe.yaml: no variant 'quick'; there are: h, longer"):
        load_recipe(str(toy_folder), variant="quick")
    with pytest.raises(ConfigError, match="no model 'slam'"):
        load_recipe("slam")


@pytest.mark.parametrize(
    ("text", "message"),
    [("train: {}", "key 'train': unknown key"), ("- 1", "must be a mapping"), ("a: [", "not readable as YAML")],
)
def test_broken_recipes_name_the_file(tmp_path, toy_folder, text, message):
    file = tmp_path / "other.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"other.yaml: .*{message}"):
        load_recipe(str(toy_folder), recipe=file)


def test_a_model_without_recipe_needs_a_budget_only(toy_folder, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "model.py").write_text((toy_folder / "model.py").read_text())
    with pytest.raises(ConfigError, match="max_steps, max_wall_s or max_cpu_s"):
        load_recipe(str(tmp_path / "bare"))
    assert load_recipe(str(tmp_path / "bare"), changes=["training.max_steps=3"]).training.max_steps == 3


def test_merged_leaves_its_arguments_alone():
    base, changes = {"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "e": {"f": 2}}
    assert merged(base, changes) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": {"f": 2}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_values_are_yaml():
    assert parse_changes(["model.a=1", "model.b= x", "model.c=null", "model.d=a=b"]) == {
        "model.a": 1,
        "model.b": "x",
        "model.c": None,
        "model.d": "a=b",
    }


def test_every_variant_of_the_shipped_recipe_is_valid():
    names = yaml.safe_load(find_recipe("slem").read_text())["variants"]
    assert {"quickstart", "reference"} <= set(names)
    for variant in ["", *names]:
        assert load_recipe("slem", variant=variant).kind.name == "slem"
