import shutil
import subprocess
import sys

import pytest

from slembench.core.errors import DataError
from slembench.data import list_datasets, load_card, load_dataset


def test_folder_of_the_user_is_found_by_name(crystals, tmp_path, monkeypatch):
    shutil.copytree(crystals.root, tmp_path / "mine")
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv("SLEMBENCH_DATA", str(tmp_path))
    assert "mine" in list_datasets()
    assert "notes" not in list_datasets()
    assert load_dataset("mine").ids == crystals.ids
    assert load_card("mine") == crystals.card


def test_folder_given_as_path(crystals):
    assert load_dataset(crystals.root).ids == crystals.ids
    assert load_dataset(str(crystals.root)).name == crystals.name


def test_relative_path_without_a_slash(crystals, monkeypatch):
    monkeypatch.chdir(crystals.root.parent)
    assert load_dataset(crystals.root.name).root.name == crystals.root.name


def test_unknown_name_lists_the_known_ones(crystals, tmp_path, monkeypatch):
    shutil.copytree(crystals.root, tmp_path / "mine")
    monkeypatch.setenv("SLEMBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"no data set 'yours': give a folder with a card.yaml, or one of: .*mine"):
        load_dataset("yours")
    with pytest.raises(DataError, match=r"published elsewhere \(slembench data get NAME\): .*qh9-stable-id"):
        load_dataset("yours")
    with pytest.raises(DataError, match="no data set"):
        load_dataset(tmp_path)


def test_lists_and_cards_are_read_without_the_libraries_that_open_data():
    code = (
        "import sys; from slembench.data import list_datasets, load_card\n"
        "from slembench.data.official.inventory import inventory\n"
        "load_card(list_datasets()[0]); inventory()\n"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'datasets', 'scipy', 'h5py', 'vesin'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_public_names_of_the_package():
    import slembench.data

    assert {getattr(slembench.data, name).__name__ for name in slembench.data.__all__} == set(slembench.data.__all__)
    assert set(slembench.data.__all__) <= set(dir(slembench.data))
    with pytest.raises(AttributeError, match=r"module 'slembench.data' has no attribute 'nothing'"):
        slembench.data.nothing  # noqa: B018
