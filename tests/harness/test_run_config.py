"""Command and Python call make the same run, also under torchrun; its name and config.yaml stay what they were."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from slembench.cli import app
from slembench.core.errors import ConfigError
from slembench.harness import RunConfig, open_run, run
from slembench.harness.folder import CONFIG_FILE
from slembench.results.record import read_record
from slembench.training.checkpoint import load_checkpoint
from slembench.training.log import JsonLog

ROOT = Path(__file__).parents[2]
CHANGES = {"training.max_steps": 4, "training.validate_every": 2, "training.log_every": 1, "training.batch_size": 3}


def test_the_name_of_a_known_run_and_its_config_stay(tmp_path, monkeypatch):
    """Written with the program before there was a `RunConfig`; a new hash would orphan every finished run.

    If the recipe of SLEM or the data set change on purpose, their values change here too, and nothing else may.
    """
    monkeypatch.chdir(tmp_path)
    changes = ["training.max_steps=7", "model.n_layers=2"]
    with open_run(RunConfig("mos2-mini", "slem", variant="quickstart", changes=changes, seed=3, partition=20)) as found:
        folder = found.folder
    assert folder == Path("runs/mos2-mini/slem-quickstart-456565cd")
    assert (folder / CONFIG_FILE).read_text() == Path(__file__).with_name("known_config.yaml").read_text()


@pytest.mark.parametrize("stop_after", ["train", None])
def test_command_and_python_make_the_same_run(crystals, toy_folder, tmp_path, stop_after):
    options = {"variant": "longer", "seed": 2, "partition": 60, "threads": 1, "floors": False, "stop_after": stop_after}
    records = run(crystals.root, str(toy_folder), changes=CHANGES, out=tmp_path / "python", name="same", **options)
    command = ["run", "--dataset", str(crystals.root), "--model", str(toy_folder), "--variant", "longer", "--seed", "2"]
    command += ["--partition", "60", "--threads", "1", "--no-floors", "--out", str(tmp_path / "command")]
    command += ["--name", "same", *(["--stop-after", "train"] if stop_after else [])]
    for key, value in CHANGES.items():
        command += ["--set", f"{key}={value}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    configs = [(tmp_path / name / CONFIG_FILE).read_text() for name in ("python", "command")]
    assert configs[0] == configs[1]
    losses = [
        [row["loss"] for row in JsonLog(tmp_path / name / "log.jsonl").rows("train")] for name in ("python", "command")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4
    if stop_after:
        assert records == {}
        assert str(tmp_path / "command" / "checkpoint" / "best") in done.stdout
        assert not (tmp_path / "command" / "test").exists()
        # the same call without it goes on: nothing is trained again
        options["stop_after"] = None
        run(crystals.root, str(toy_folder), changes=CHANGES, out=tmp_path / "python", name="same", **options)
        rows = JsonLog(tmp_path / "python" / "log.jsonl").rows("train")
        assert [row["loss"] for row in rows] == losses[0]
    assert read_record(tmp_path / "python" / "test").training.steps == 4


def test_what_is_asked_for_is_checked_at_once(toy_folder):
    with pytest.raises(ConfigError, match=r"training: key 'steps': unknown key"):
        RunConfig("no-such-data", str(toy_folder), changes=["training.steps=3"])
    with pytest.raises(ConfigError, match="no variant 'slow'"):
        RunConfig("no-such-data", str(toy_folder), variant="slow")
    config = RunConfig("no-such-data", str(toy_folder), changes=CHANGES, seed=5)
    assert (config.settings.training.max_steps, config.settings.training.seed) == (4, 5)


SCRIPT = """
import json, os, sys
import slembench
data, model, out, changes = sys.argv[1:]
if __name__ == "__main__":
    import logging
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    for seed in (1, 2):  # two runs, one after the other, in the same processes
        records = slembench.run(data, model, changes=json.loads(changes), seed=seed, out=f"{out}-{seed}", threads=1)
        print(f"rank {os.environ.get('RANK', 0)}: {sorted(records)}", flush=True)
"""


@pytest.fixture(scope="module")
def one_and_two(crystals, toy_folder, tmp_path_factory):
    """Folders and output of the same script in one process and in two of torchrun."""
    place = tmp_path_factory.mktemp("distributed")
    (place / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    changes = json.dumps(CHANGES | {"training.dtype": "float64"})
    outputs = {}
    for processes in (1, 2):
        several = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
        own = [str(place / "script.py"), str(crystals.root), str(toy_folder), str(place / f"of-{processes}"), changes]
        command = [sys.executable, *(several if processes > 1 else []), *own]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        outputs[processes] = done.stdout + done.stderr
    return place, outputs


def test_the_python_call_trains_in_all_processes_of_torchrun(one_and_two):
    place, _ = one_and_two
    for seed in (1, 2):
        folders = [place / f"of-{processes}-{seed}" for processes in (1, 2)]
        losses = [[row["loss"] for row in JsonLog(folder / "log.jsonl").rows("train")] for folder in folders]
        # one log with each step once: the processes trained together, and only the main one wrote
        assert len(losses[1]) == 4
        assert losses[1] == pytest.approx(losses[0], rel=1e-9)
        states = [load_checkpoint(folder / "checkpoint" / "last") for folder in folders]
        # a process that trains alone would store one generator's state
        assert [sum(key.startswith("rng.cpu") for key in state.optimizer) for state in states] == [1, 2]
        configs = [yaml.safe_load((folder / CONFIG_FILE).read_text()) for folder in folders]
        assert configs[0] == configs[1]
        scores = [read_record(folder / "test").scores["hamiltonian.mae_all.full.pooled"].value for folder in folders]
        assert scores[1] == pytest.approx(scores[0], rel=1e-6)


def test_records_and_messages_come_from_the_main_process(one_and_two):
    _, outputs = one_and_two
    assert outputs[1].count("rank 0: ['test']") == 2
    assert outputs[2].count("rank 0: ['test']") == 2
    assert outputs[2].count("rank 1: []") == 2
    for stage in ("trained: 4 steps", "predicted: test"):
        assert outputs[1].count(stage) == outputs[2].count(stage) == 2


def test_messages_are_logged(crystals, toy_folder, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="slembench"):
        run(crystals.root, str(toy_folder), changes=CHANGES, out=tmp_path / "run", threads=1)
        run(crystals.root, str(toy_folder), changes=CHANGES, out=tmp_path / "run", threads=1)
    stages = [message.split(":")[0] for message in caplog.messages if not message.startswith(str(tmp_path))]
    assert stages[:5] == ["data", "model", "trained", "physics", "predicted"]
    assert caplog.messages[-1] == f"{tmp_path / 'run'}: finished already (--fresh begins again)"
