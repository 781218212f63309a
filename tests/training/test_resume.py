"""A training that was killed at any moment goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slembench.training.log import JsonLog

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "max_steps": 150,
    "batch_size": 2,
    "validate_every": 10,
    "log_every": 1,
    "clip_norm": 10.0,
    "ema_decay": 0.95,
    "optimizer": {"name": "adamw", "lr": 0.1, "weight_decay": 0.01},
    "schedule": {"name": "plateau", "plateau_patience": 0, "warmup_steps": 30},
}


def start(folder, settings=SETTINGS):
    command = [sys.executable, str(Path(__file__).with_name("toy.py")), str(folder), json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder.parent, env=environment, stderr=subprocess.PIPE)


def finish(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def kill_after(process, log, steps):
    """SIGKILL once the log has a training row of step ``steps``."""
    deadline = time.monotonic() + 60
    while not any(row["step"] >= steps for row in log.rows("train")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def numbers(log, event):
    return [(row["step"], row["loss"], row.get("lr"), row.get("gradient_norm")) for row in log.rows(event)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(start(folder))
    return folder


def test_killed_twice_and_resumed_gives_the_same_losses_to_the_bit(whole, tmp_path):
    folder = tmp_path / "run"
    log = JsonLog(folder / "log.jsonl")
    for steps in (40, 95):
        kill_after(start(folder), log, steps)
    finish(start(folder))
    assert len(log.rows("resume")) == 2
    assert all(0 < row["step"] < 150 for row in log.rows("resume"))
    reference = JsonLog(whole / "log.jsonl")
    assert len(numbers(log, "train")) == 150
    assert len({rate for _, _, rate, _ in numbers(log, "train")}) > 30  # warm-up, then reductions
    for event in ("train", "validation"):
        assert numbers(log, event) == numbers(reference, event)
    for pattern in (
        "last/step-*/optimizer.safetensors",
        "last/step-*/model.safetensors",
        "best/step-*/model.safetensors",
    ):
        (ours,), (theirs,) = ((f / "checkpoint").glob(pattern) for f in (folder, whole))
        assert ours.parent.name == theirs.parent.name
        assert ours.read_bytes() == theirs.read_bytes()
