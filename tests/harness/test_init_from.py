"""Trainings that start from the weights of another one."""

import pytest
import torch
import yaml

from slembench.core.errors import ConfigError
from slembench.core.files import sha256
from slembench.harness import run
from slembench.training.checkpoint import find_checkpoint, load_checkpoint
from slembench.training.log import JsonLog

STEPS = {"training.max_steps": 4, "training.validate_every": 2, "training.log_every": 1}


@pytest.fixture(scope="module")
def base(crystals, toy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "run"
    run(crystals.root, str(toy_folder), changes=STEPS, out=folder, floors=False, threads=1)
    return folder


def test_weights_scales_and_shifts_are_those_of_the_checkpoint(base, crystals, toy_folder, tmp_path):
    """With a learning rate near zero the weights stay what they were, although other structures are trained on."""
    still = STEPS | {"training.optimizer.lr": 1e-30}
    options = {"changes": still, "partition": 20, "floors": False, "threads": 1}
    records = run(crystals.root, str(toy_folder), out=tmp_path / "on", init_from=base, **options)
    ours, theirs = (load_checkpoint(folder).weights for folder in (tmp_path / "on", base))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    digest = sha256(find_checkpoint(base) / "model.safetensors")
    assert records["test"].config["init_from"] == {"weights_sha256": digest}
    assert yaml.safe_load((tmp_path / "on" / "config.yaml").read_text())["init_from"]["weights_sha256"] == digest


def test_it_learns_on_and_a_fresh_run_does_not_begin_there(base, crystals, toy_folder, tmp_path):
    losses = {}
    for name, start in (("fresh", None), ("on", base)):
        run(crystals.root, str(toy_folder), changes=STEPS, out=tmp_path / name, init_from=start, floors=False)
        losses[name] = JsonLog(tmp_path / name / "log.jsonl").rows("train")[0]["loss"]
    first = JsonLog(base / "log.jsonl").rows("train")
    assert losses["fresh"] == pytest.approx(first[0]["loss"], rel=1e-6)
    assert losses["on"] < 0.98 * losses["fresh"]


def test_what_cannot_be_started_from_is_explained(base, crystals, molecules, toy_folder, tmp_path):
    options = {"changes": STEPS, "floors": False}
    with pytest.raises(ConfigError, match="nothing: no checkpoint to start from"):
        run(crystals.root, str(toy_folder), out=tmp_path / "a", init_from=tmp_path / "nothing", **options)
    with pytest.raises(ConfigError, match="was trained with energy_unit eV; this run has Hartree"):
        run(molecules.root, str(toy_folder), out=tmp_path / "b", init_from=base, **options)
    wider = options | {"changes": STEPS | {"model.width": 5}}
    with pytest.raises(ConfigError, match="do not fit this run's model"):
        run(crystals.root, str(toy_folder), out=tmp_path / "c", init_from=base, **wider)
    run(crystals.root, str(toy_folder), out=tmp_path / "d", **options)
    with pytest.raises(ConfigError, match="holds a run with another init_from"):
        run(crystals.root, str(toy_folder), out=tmp_path / "d", init_from=base, **options)
