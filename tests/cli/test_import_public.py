"""``slembench import-checkpoint`` with files of weights alone."""

import torch
from typer.testing import CliRunner

from slembench.cli import app
from slembench.models.registry import load_model_class
from slembench.training.checkpoint import load_model

QHNET = ["--from", "qhnet", "--dataset", "qh9-mini", "--set", "model.width=4", "--set", "model.bottleneck=2"]


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    result = CliRunner().invoke(
        app, ["import-checkpoint", str(tmp_path / "x.pt"), *QHNET, "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 1
    assert "refused unread" in result.output


def test_weights_alone_need_a_data_set(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    command = ["import-checkpoint", str(tmp_path / "x.pt"), "--from", "qhnet", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "give --dataset" in result.output


def test_a_model_without_importer_says_so(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    command = ["import-checkpoint", str(tmp_path / "x.pt"), "--from", "slem", "--dataset", "mos2-mini"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    assert "does not import checkpoints" in result.output


def test_an_imported_model_can_be_loaded(tmp_path, monkeypatch):
    """The command writes what `load_model` reads (the weights themselves are checked by the parity tests)."""
    kind = load_model_class("qhnet")
    seen = []

    def fake(cls, file, config, basis, cutoffs, targets):
        seen.append(file)
        return cls(config, basis, cutoffs, targets).to(torch.float64)

    monkeypatch.setattr("slembench.harness.recipe.load_model_class", lambda name: kind)
    monkeypatch.setattr(kind, "from_public", classmethod(fake))
    (tmp_path / "x.pt").write_bytes(b"nothing")
    result = CliRunner().invoke(
        app, ["import-checkpoint", str(tmp_path / "x.pt"), *QHNET, "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 0, result.output
    assert seen
    model = load_model(tmp_path / "o")
    assert model.name == "qhnet"
    assert model.energy_unit == "Hartree"
    assert next(model.parameters()).dtype == torch.float64
