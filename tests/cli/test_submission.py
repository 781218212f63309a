"""Templates and submissions from the command line; `tests/test_submitting.py` walks the whole path."""

import h5py
import numpy as np
from typer.testing import CliRunner

from slembench.cli import app

SAY = ["--code-licence", "MIT", "--weights-licence", "none", "--trained-on", "nothing", "--budget", "0 steps"]


def test_unfilled_template_is_refused(crystals, tmp_path):
    run = CliRunner()
    file = tmp_path / "mine.h5"
    assert run.invoke(app, ["data", "template", str(crystals.root), "--out", str(file)]).exit_code == 0
    with h5py.File(file) as stored:
        assert np.isnan(stored["operators/hamiltonian/values"][:]).all()
        assert [i.decode() for i in stored["ids"]] == crystals.split("test")
        assert "checksum" not in stored.attrs
    result = run.invoke(app, ["submit", str(file), "--dataset", str(crystals.root), "--out", str(tmp_path / "x"), *SAY])
    assert result.exit_code == 1
    assert "NaN" in result.stderr
    assert "s08" in result.stderr
    assert "leave the structure out" in result.stderr
    assert not (tmp_path / "x").exists()


def test_reference_of_training_structures(crystals, tmp_path):
    """What a stranger learns from: the stored blocks, in the layout of the answer; never of a test split."""
    run, file = CliRunner(), tmp_path / "train.h5"
    command = ["data", "template", str(crystals.root), "--filled", "--out", str(file)]
    assert run.invoke(app, [*command, "--split", "train"]).exit_code == 0
    with h5py.File(file) as stored:
        assert [i.decode() for i in stored["ids"]] == crystals.split("train")
        reference = [crystals.sample(name).operators["overlap"].values for name in crystals.split("train")]
        assert np.array_equal(stored["operators/overlap/values"][:], np.concatenate(reference))
    refused = run.invoke(app, command)
    assert refused.exit_code == 1
    assert "only train and val are for learning" in refused.stderr


def test_submit_looks_before_it_works(tmp_path):
    for file, out, message in (("nowhere.h5", "new", "no such run"), (__file__, str(tmp_path), "exists already")):
        result = CliRunner().invoke(app, ["submit", file, "--out", out, *SAY])
        assert result.exit_code == 1
        assert message in result.stderr
