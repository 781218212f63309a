"""What is known of models without importing them."""

import subprocess
import sys

import pytest

from slembench.core.errors import DataError
from slembench.models.facts import EXPECTED_FILE, ModelFacts, Reach, list_models, read_entry
from slembench.models.registry import load_model_class, model_names
from slembench.results.expected import Expected, read_expected, write_expected

FACTS = ModelFacts(
    dataset="mos2-mini",
    symmetry="O3",
    parameters=3,
    receptive_field=Reach(onsite=5.0, pair=None),
    rotation_error=1e-14,
    inversion_error=0.5,
)


def test_every_named_model_is_listed_with_what_its_folder_says():
    entries = list_models()
    assert [entry.name for entry in entries] == model_names()
    for entry in entries:
        assert entry.description
        assert entry.facts.parameters > 0
        assert entry.facts.inputs == load_model_class(entry.name).inputs


def test_listing_loads_neither_torch_nor_any_model():
    code = "import sys; from slembench.models.facts import list_models; list_models(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not {"torch", "e3nn", "pandas", "ase", "scipy", "numpy"} & loaded
    assert not {name for name in loaded if name.endswith(".model")}


def test_facts_stay_beside_the_runs(tmp_path):
    (tmp_path / "model.py").touch()
    assert read_entry(str(tmp_path)).facts is None
    write_expected(tmp_path, Expected(description="none yet", runs={}))
    assert "measured" not in (tmp_path / EXPECTED_FILE).read_text()
    write_expected(tmp_path, read_expected(tmp_path).model_copy(update={"measured": FACTS}))
    (tmp_path / "recipe.yaml").write_text("description: a toy\n")
    entry = read_entry(str(tmp_path))
    assert (entry.description, entry.facts, entry.folder) == ("a toy", FACTS, tmp_path)
    assert read_expected(tmp_path).description == "none yet"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("measured: {parameters: many}", "key 'measured"),
        ("measured: [", "not readable as YAML"),
        ("- a list", "must be a mapping"),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    (tmp_path / "model.py").touch()
    (tmp_path / EXPECTED_FILE).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_entry(str(tmp_path))
    assert str(tmp_path / EXPECTED_FILE) in str(caught.value)
