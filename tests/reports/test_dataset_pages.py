"""The committed pages are what the cards and the data give, and the code on them runs."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slembench.data import load_card, load_dataset
from slembench.data.catalogue import list_datasets
from slembench.data.official_card import list_official
from slembench.reports.dataset_pages import all_names, index_page, write_page

DOCS = Path(__file__).parents[2] / "docs" / "datasets"
HINT = "run `slembench dev page --all --out docs/datasets`"


@pytest.fixture(autouse=True)
def shipped_only(monkeypatch, tmp_path):
    """What a user imported changes nothing here."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("SLEMBENCH_DATA", raising=False)


@pytest.mark.parametrize("name", all_names())
def test_committed_page(name, tmp_path):
    (page,) = write_page(name, tmp_path, draw=False)
    assert (DOCS / page.name).read_text() == page.read_text(), HINT


def test_committed_index():
    assert (DOCS / "README.md").read_text() == index_page(all_names()), HINT
    linked = set(re.findall(r"\]\((\S+)\.md\)", (DOCS / "README.md").read_text()))
    assert linked == set(all_names()) == {path.stem for path in DOCS.glob("*.md")} - {"README"}


@pytest.mark.parametrize("name", list_datasets())
def test_committed_pictures_are_of_the_committed_data(name):
    named = re.findall(r"\]\((\S+\.png)\)", (DOCS / f"{name}.md").read_text())
    assert len(named) == 4
    assert sorted(DOCS / path for path in named) == sorted((DOCS / name).iterdir())
    for path in named:
        with Image.open(DOCS / path) as image:
            assert image.text["Source"] == f"{name} {load_dataset(name).fingerprint}", HINT


def test_a_picture_drawn_again_looks_the_same(tmp_path):
    for path in write_page("md17-mini", tmp_path)[1:]:
        with Image.open(path) as new, Image.open(DOCS / path.relative_to(tmp_path)) as old:
            assert new.size == old.size
            difference = np.asarray(new.convert("L"), dtype=float) - np.asarray(old.convert("L"), dtype=float)
        assert np.abs(difference).mean() < 1, f"{path.name}: {HINT}"


def test_all_pages_are_small():
    assert sum(path.stat().st_size for path in DOCS.rglob("*")) < 2e6


@pytest.mark.parametrize("name", list_datasets())
def test_the_code_on_the_page_runs(name, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / f"{name}.md").read_text(), re.S)
    exec(compile(code, name, "exec"), {})
    printed = capsys.readouterr().out
    assert all(f"{operator} " in printed for operator in load_card(name).operators)


@pytest.mark.parametrize("name", list_official())
def test_pages_of_official_sets_say_what_to_do(name):
    text = (DOCS / f"{name}.md").read_text()
    assert f"slembench data get {name}" in text
    assert "![" not in text
