"""A stranger's path onto the board: plain NumPy and h5py, then the command line, all outside the repository."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from slembench.cli import app

MODEL = """
import json, sys
import h5py, numpy as np

with h5py.File("mine.h5", "r+") as file:
    file.attrs["model"] = "toy"
    shells = json.loads(file.attrs["basis"])
    numbers, start = file["numbers"][:], file["atom_offsets"][:]
    size = {5: 5, 7: 9}
    for m in range(len(file["ids"])):
        for op, level in (("hamiltonian", -5.0), ("overlap", 1.0)):
            blocks = []
            for k in range(file["pair_offsets"][m], file["pair_offsets"][m + 1]):
                i, j = file["pair_index"][k]
                n = [size[numbers[start[m] + a]] for a in (i, j)]
                same = i == j and not file["pair_shift"][k].any()
                blocks.append((level * np.eye(*n) if same else np.zeros(n)).ravel())
            first, last = file[f"operators/{op}/offsets"][m : m + 2]
            file[f"operators/{op}/values"][first:last] = np.concatenate(blocks)
assert not any(name.split(".")[0] == "slembench" for name in sys.modules)
"""

SAY = ["--code-licence", "MIT", "--weights-licence", "none", "--trained-on", "nothing", "--budget", "0 steps"]


def test_a_strangers_path(crystals, tmp_path, monkeypatch):
    """Template, own script, submit, verify, board, site: six commands in an empty folder."""
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SLEMBENCH_DATA", str(crystals.root.parent))
    bench = ["slembench"]
    commands = [
        [*bench, "predictions", "template", crystals.root, "--out", "mine.h5", "--structures", "mine.extxyz"],
        [sys.executable, "-I", "model.py"],
        [*bench, "submit", "mine.h5", "--dataset", crystals.root, "--out", "entry", *SAY],
        [*bench, "verify", "entry", "--dataset", crystals.root, "--out", "runs/toy"],
        [*bench, "leaderboard", "--runs", "runs", "--out", "tables", "--dataset", crystals.name],
        [*bench, "site", "build", "--runs", "runs", "--out", "site", "--dataset", crystals.name, "--no-pictures"],
    ]
    for program, *words in (list(map(str, command)) for command in commands):
        if program == "slembench":
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{words}: {done.output}"
        else:
            subprocess.run([program, *words], check=True, capture_output=True)
    assert "toy" in (tmp_path / "tables/leaderboard.md").read_text()
    (page,) = (tmp_path / "site/runs").iterdir()
    assert all(word in page.read_text() for word in ("re-scored", "licence of the weights", "0 steps"))
    assert "evidence" in yaml.safe_load((tmp_path / "runs/toy/record.yaml").read_text())["config"]
    assert len((tmp_path / "mine.extxyz").read_text().split("Lattice")) == 1 + len(crystals.split("test"))


def test_unfilled_template_is_refused(crystals, tmp_path):
    run = CliRunner()
    file = tmp_path / "mine.h5"
    assert run.invoke(app, ["predictions", "template", str(crystals.root), "--out", str(file)]).exit_code == 0
    with h5py.File(file) as stored:
        assert np.isnan(stored["operators/hamiltonian/values"][:]).all()
        assert [i.decode() for i in stored["ids"]] == crystals.split("test")
        assert "checksum" not in stored.attrs
    result = run.invoke(app, ["submit", str(file), "--dataset", str(crystals.root), "--out", str(tmp_path / "x"), *SAY])
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    assert "s08" in result.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", [["predictions", "template"], ["submit"], ["verify"]])
def test_help_teaches(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"slembench {' '.join(command)} " in result.output


def test_schema_refuses_unknown_keys():
    schema = json.loads(CliRunner().invoke(app, ["predictions", "schema"]).output)
    assert schema["additionalProperties"] is False
    assert {"code_licence", "weights_licence", "split_hash", "training"} <= set(schema["required"])
