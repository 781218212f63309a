"""A stranger's path onto the board: the commands and the model of docs/submitting.md, outside the repository."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from slembench.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "submitting.md").read_text(encoding="utf-8")
MOST = 9
"""Commands that the path may take."""


def code(language):
    """The one block of code of a language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.M | re.S)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder in which the whole path was walked, with the smallest shipped data set."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "lookup.py").write_text(code("python"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for line in code("sh").replace("mos2-mini", "gan-mini").splitlines():
            program, *words = shlex.split(line)
            if program == "slembench":
                quick = ["--no-pictures"] if "--html" in words else []
                done = CliRunner().invoke(app, words + quick)
                assert done.exit_code == 0, f"{line}: {done.output}"
            else:
                subprocess.run([sys.executable, "-I", *words], check=True)
    return folder


def test_the_path_is_short_and_the_model_a_stranger():
    assert len(code("sh").splitlines()) <= MOST
    imported = set(re.findall(r"^(?:import|from) (\w+)", code("python"), flags=re.M))
    assert imported == {"json", "re", "collections", "h5py", "numpy"}


def test_the_row_is_on_the_board(folder):
    table = pd.read_csv(folder / "tables" / "leaderboard.csv")
    record = yaml.safe_load((folder / "runs/lookup/record.yaml").read_text())
    assert record["config"]["evidence"] == "re-scored"
    score = record["scores"]["hamiltonian.mae_all.full.pooled"]["value"]
    official = table[(table["operator"] == "hamiltonian") & (table["metric"] == "mae_all") & table["official"]]
    assert np.isclose(official.loc[official["run"] == "lookup", "value"].item(), score)
    assert score < official.loc[official["run"] == "floor-irreps-mean", "value"].item()


def test_the_row_is_on_the_site(folder):
    pages = [page for page in (folder / "site").rglob("*.html") if "lookup" in page.read_text(encoding="utf-8")]
    assert folder / "site" / "index.html" in pages
    assert len(pages) > 2


def test_the_submission_is_complete(folder):
    content = yaml.safe_load((folder / "submission-mine" / "submission.yaml").read_text())
    assert {path.name for path in (folder / "submission-mine").iterdir()} == {
        "submission.yaml",
        "per_structure.parquet",
        "predictions.h5",
    }
    assert content["training"] == {"data": "train split", "budget": "1 s on one core"}
    assert content["model"] == "lookup"
    assert "missing" not in content or not content["missing"]
