"""Every baseline's expected.yaml is readable and speaks of a variant and of data that exist."""

import pytest

from slembench.data import load_dataset
from slembench.evaluation import official_scores
from slembench.harness.recipe import load_recipe
from slembench.models.registry import shipped_folders
from slembench.results.expected import EXPECTED_FILE, read_expected

FILES = [folder for folder in shipped_folders().values() if (folder / EXPECTED_FILE).is_file()]


@pytest.mark.parametrize("folder", FILES, ids=lambda folder: folder.name)
def test_what_is_expected_can_be_run_again(folder):
    expected = read_expected(folder)
    assert expected.runs
    for dataset, entry in expected.runs.items():
        data = load_dataset(dataset)
        settings = load_recipe(folder.name.replace("_", "-"), variant=entry.variant)
        assert f"{settings.training.max_cpu_s:.0f} CPU s" == entry.budget
        assert entry.split in data.splits
        assert list(entry.scores) == official_scores(data.card, list(entry.scores))
        assert all(score.value > 0 for score in entry.scores.values())
