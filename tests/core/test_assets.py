"""Assets are found in a checkout, in a wheel and in the user's own folders, in that order."""

import os
from pathlib import Path

import pytest

from slembench.core import assets
from slembench.core.assets import asset_path, asset_roots, list_assets
from slembench.core.errors import DataError, SlembenchError


@pytest.fixture(autouse=True)
def no_user_folders(monkeypatch):
    monkeypatch.delenv("SLEMBENCH_DATA", raising=False)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package: slembench/_assets/datasets/shipped/card.yaml."""
    package = tmp_path / "site-packages" / "slembench"
    card = package / "_assets" / "datasets" / "shipped" / "card.yaml"
    card.parent.mkdir(parents=True)
    card.write_text("shipped")
    monkeypatch.setattr(assets, "_PACKAGE", package)
    return package


def user_folder(path: Path, **files: str) -> str:
    for name, text in files.items():
        (path / name).mkdir(parents=True)
        (path / name / "card.yaml").write_text(text)
    return str(path)


def test_published_results_are_shipped():
    assert asset_path("results", "published", "related.yaml").is_file()
    assert "published" in list_assets("results")


def test_wheel_layout(installed):
    assert (
        asset_path("datasets", "shipped", "card.yaml") == installed / "_assets" / "datasets" / "shipped" / "card.yaml"
    )
    assert list_assets("datasets") == ["shipped"]
    assert list_assets("baselines") == []


def test_checkout_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "slembench")
    assert asset_roots("baselines") == [tmp_path / "baselines"]


def test_user_folders_follow_the_shipped_one(installed, tmp_path, monkeypatch):
    a = user_folder(tmp_path / "a", shipped="hidden", own="a")
    b = user_folder(tmp_path / "b", own="b", other="b")
    monkeypatch.setenv("SLEMBENCH_DATA", os.pathsep.join([a, b]))
    assert list_assets("datasets") == ["other", "own", "shipped"]
    texts = {name: asset_path("datasets", name, "card.yaml").read_text() for name in list_assets("datasets")}
    assert texts == {"shipped": "shipped", "own": "a", "other": "b"}
    assert asset_roots("results") == [installed / "_assets" / "results"]


def test_hidden_folders_and_files_are_no_assets(installed):
    for name in (".cache", "__pycache__"):
        (installed / "_assets" / "datasets" / name).mkdir()
    (installed / "_assets" / "datasets" / "README.md").write_text("")
    assert list_assets("datasets") == ["shipped"]


def test_missing_asset_names_the_places(installed, tmp_path, monkeypatch):
    own = user_folder(tmp_path / "own", x="x")
    monkeypatch.setenv("SLEMBENCH_DATA", own)
    with pytest.raises(DataError, match="datasets/nothing/card.yaml does not exist") as error:
        asset_path("datasets", "nothing", "card.yaml")
    assert str(installed) in str(error.value)
    assert own in str(error.value)
    assert isinstance(error.value, SlembenchError)


def test_wrong_kind_and_wrong_user_folder(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="unknown kind of asset 'weights'"):
        asset_path("weights", "x")
    monkeypatch.setenv("SLEMBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="SLEMBENCH_DATA: .*nowhere is not a folder"):
        list_assets("datasets")
