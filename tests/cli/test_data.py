import shutil

import pytest
from typer.testing import CliRunner

from slembench.cli import app

runner = CliRunner()


@pytest.fixture
def shelf(crystals, tmp_path, monkeypatch):
    """Folder of the user with one data set, ``mine``."""
    shutil.copytree(crystals.root, tmp_path / "mine")
    monkeypatch.setenv("SLEMBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def test_list_shows_the_users_data_set(shelf):
    done = runner.invoke(app, ["data", "list"])
    assert done.exit_code == 0
    row = next(line for line in done.output.splitlines() if "mine" in line)
    for part in (" 12 ", " kB ", "stated elsewhere", " CC0 ", " yes "):
        assert part in row


def test_info_shows_the_card(shelf):
    done = runner.invoke(app, ["data", "info", "mine"])
    assert done.exit_code == 0
    for key in ("units.energy", "basis.B", "2s1p", "cutoffs.N", "bands.kmesh", "counts.splits.test"):
        assert key in done.output
    assert "fingerprint" not in done.output


def test_verify_reads_everything(shelf, crystals):
    done = runner.invoke(app, ["data", "info", "mine", "--verify"])
    assert done.exit_code == 0
    assert f"fingerprint {crystals.fingerprint}" in done.output
    assert f"split val: 2 structures, hash {crystals.split_hash('val')}" in done.output
    assert "12 structures read, nothing wrong" in done.output


def test_verify_finds_a_changed_file(shelf):
    card = shelf / "mine/card.yaml"
    card.write_text(card.read_text().replace("data.parquet: ", "data.parquet: 0"))
    assert runner.invoke(app, ["data", "info", "mine"]).exit_code == 0
    done = runner.invoke(app, ["data", "info", "mine", "--verify"])
    assert done.exit_code == 1
    assert done.output.count("error: ") == 1
    assert "is not the card's" in done.output


def test_unknown_data_set(shelf):
    done = runner.invoke(app, ["data", "info", "yours"])
    assert done.exit_code == 1
    assert "error: no data set 'yours'" in done.output
