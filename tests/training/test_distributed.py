"""Two processes that share every batch take the same steps as one, and resume exactly (torchrun, gloo)."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from slembench.training.batches import Batches
from slembench.training.checkpoint import load_checkpoint
from slembench.training.distributed import ProcessGroup, current_process_group, process_group
from slembench.training.log import JsonLog

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "max_steps": 60,
    "batch_size": 3,
    "validate_every": 10,
    "log_every": 1,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "dtype": "float64",
    "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.01},
}


def start(folder, settings, processes=2):
    """Toy training in several processes; seven training and three validation structures, so parts are uneven."""
    own = [str(Path(__file__).with_name("toy.py")), str(folder), json.dumps(settings), "0.0"]
    several = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--standalone"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(several if processes > 1 else ()), *own]
    return subprocess.Popen(command, cwd=folder.parent, env=environment, stderr=subprocess.PIPE)


def finish(process):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()


def losses(folder, event="train"):
    return [row["loss"] for row in JsonLog(folder / "log.jsonl").rows(event)]


@pytest.fixture(scope="module", params=["l1_rmse"])
def pair(request, tmp_path_factory):
    """Folders of the same training in one process and in two."""
    place = tmp_path_factory.mktemp("together")
    folders = place / "one", place / "two"
    for folder, processes in zip(folders, (1, 2)):
        finish(start(folder, SETTINGS, processes))
    return folders


def test_two_processes_take_the_same_steps_as_one(pair):
    one, two = pair
    assert len(losses(one)) == len(losses(two)) == 60
    for event in ("train", "validation"):
        assert losses(two, event) == pytest.approx(losses(one, event), rel=1e-9)
    weights = [load_checkpoint(folder / "checkpoint" / "last").weights for folder in pair]
    for name, tensor in weights[0].items():
        assert torch.allclose(weights[1][name], tensor, rtol=1e-7, atol=1e-9), name


def test_what_is_counted_is_that_of_the_whole_batch(pair):
    maes = [[row["mae"] for row in JsonLog(folder / "log.jsonl").rows("validation")] for folder in pair]
    for ours, theirs in zip(*maes):
        assert ours == pytest.approx(theirs, rel=1e-9)
    states = [load_checkpoint(folder / "checkpoint" / "last").state for folder in pair]
    assert states[0]["structures_seen"] == states[1]["structures_seen"] == 7 * 20
    gradients = [[row["gradient_norm"] for row in JsonLog(folder / "log.jsonl").rows("train")] for folder in pair]
    assert gradients[1] == pytest.approx(gradients[0], rel=1e-7)


def test_killed_and_resumed_to_the_bit(pair, tmp_path):
    folder, log = tmp_path / "run", JsonLog(tmp_path / "run" / "log.jsonl")
    process = start(folder, SETTINGS)
    until = time.monotonic() + 600
    while not any(row["step"] >= 25 for row in log.rows("train")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert 20 <= max(row["step"] for row in log.rows("train")) < 60
    finish(start(folder, SETTINGS))
    assert len(log.rows("resume")) == 1
    for event in ("train", "validation"):
        assert losses(folder, event) == losses(pair[1], event)


def test_a_batch_is_divided_without_rest_and_without_repetition(train_graphs):
    """Seven structures in batches of three among two and five processes."""
    for size in (2, 5):
        parts = [Batches(train_graphs, 3, torch.device("cpu"), ProcessGroup(rank, size)) for rank in range(size)]
        for step in range(6):
            local_batches = [part.train_batch(step, seed=1) for part in parts]
            whole = Batches(train_graphs, 3, torch.device("cpu")).train_batch(step, seed=1)
            assert {part.global_size for part in local_batches} == {whole.local_size}
            assert sum(part.local_size for part in local_batches) == whole.local_size
            found = torch.cat([part.batch.positions for part in local_batches if part.batch is not None])
            assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, whole.batch.positions.tolist()))
        assert sum(local.local_size for part in parts for local in part.iter_epoch()) == len(train_graphs)


def test_alone_nothing_is_exchanged():
    with process_group() as group:
        assert (group, current_process_group()) == (ProcessGroup(), ProcessGroup())
    values = torch.ones(3, requires_grad=True)
    assert ProcessGroup().all_reduce(values) is values
    assert ProcessGroup().sum([1.0, 2.0]) == [1.0, 2.0]
    with ProcessGroup().main_process_first():
        pass
