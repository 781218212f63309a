"""Challenging lists: what the baseline's own tables say, on a card whose hashes stay."""

import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.errors import DataError
from slembench.data import load_dataset
from slembench.data.card import Challenging, read_card
from slembench.harness import challenging
from slembench.harness.challenging import find_challenging, update_card
from slembench.harness.recipe import load_recipe
from slembench.results.record import read_table


@pytest.fixture(scope="module")
def small(crystals, toy_folder, tmp_path_factory):
    """A copy of the data, and lists found with a small model in the place of the baseline."""
    root = shutil.copytree(crystals.root, tmp_path_factory.mktemp("data") / crystals.root.name)
    work = tmp_path_factory.mktemp("work") / "challenging"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(challenging, "BASELINE", str(toy_folder))
        patch.setattr(challenging, "VARIANT", "h")
        return root, work, find_challenging(root, work, steps=20)


def test_lists_are_the_worst_of_the_baseline(small, crystals):
    _, work, found = small
    table = pd.read_parquet(work / "test" / "per_structure.parquet")
    error = sum(table[f"hamiltonian.{part}.full.abs_sum"] for part in ("onsite", "offsite"))
    count = sum(table[f"hamiltonian.{part}.full.count"] for part in ("onsite", "offsite"))
    assert found.samples == (table["id"][int(np.argmax(error / count))],)
    blocks = read_table(work / "test" / "blocks.parquet")
    worst = blocks[blocks["part"] == "all"].sort_values("mae").iloc[-1]
    shells = tuple(worst[["element_i", "shell_i", "element_j", "shell_j"]])
    assert found.blocks == {"hamiltonian": shells}
    assert "20 steps, seed 1000; made by `slembench dev challenging made-up-crystals --steps 20`" in found.baseline
    assert not (work / "floors").exists()


def test_card_holds_them_and_no_hash_changes(small, crystals):
    root, _, found = small
    update_card(root, found)
    assert read_card(root).challenging == found
    again = load_dataset(root)
    assert again.fingerprint == crystals.fingerprint
    assert [again.split_hash(split) for split in again.splits] == [crystals.split_hash(s) for s in crystals.splits]
    with pytest.raises(DataError, match=r"key 'challenging.samples': 's00' is not in split test"):
        update_card(root, Challenging(baseline="mine", samples=("s00",)))


def test_command_leaves_the_card_on_a_dry_run(small, toy_folder, monkeypatch):
    root, work, found = small
    monkeypatch.setattr(challenging, "BASELINE", str(toy_folder))
    monkeypatch.setattr(challenging, "VARIANT", "h")
    before = (root / "card.yaml").read_bytes()
    options = ["dev", "challenging", str(root), "--steps", "20", "--workdir", str(work)]
    result = CliRunner().invoke(app, [*options, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert f"structures, worst first: {found.samples[0]}" in result.output
    assert (root / "card.yaml").read_bytes() == before


def test_the_baseline_is_a_shipped_model_with_a_seed_of_its_own():
    changes = {"training.max_steps": 1, "training.max_wall_s": None}
    settings = load_recipe(challenging.BASELINE, variant=challenging.VARIANT, changes=changes, seed=challenging.SEED)
    assert settings.training.seed == 1000
    assert load_recipe(challenging.BASELINE, variant=challenging.VARIANT).training.seed != 1000


@pytest.mark.parametrize("name", ["mos2-mini", "qh9-mini"])
def test_shipped_cards_name_test_structures_and_shells(name):
    card, data = read_card(load_dataset(name).root), load_dataset(name)
    assert card.challenging is not None
    tests = data.split("test")
    assert set(card.challenging.samples) <= set(tests)
    assert len(card.challenging.samples) == max(1, len(tests) // 10)
    for block in card.challenging.blocks.values():
        assert {block[0], block[2]} <= set(card.elements)
