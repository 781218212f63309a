import json

import pytest
import torch

from slembench.core.errors import ConfigError
from slembench.training.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    load_model,
    model_description,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)


def checkpoint(step, value=1.0, **tensors):
    return Checkpoint({"step": step}, {"source": "x"}, {"w": torch.full((2, 3), value)}, tensors)


def test_round_trip_and_only_the_newest_stays(tmp_path):
    save_checkpoint(tmp_path, checkpoint(9))
    save_checkpoint(tmp_path, checkpoint(10, 2.0, rng=torch.arange(4, dtype=torch.uint8)))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000010"]
    found = load_checkpoint(tmp_path)
    assert (found.state, found.model) == ({"step": 10}, {"source": "x"})
    assert torch.equal(found.weights["w"], torch.full((2, 3), 2.0))
    assert torch.equal(found.optimizer["rng"], torch.arange(4, dtype=torch.uint8))
    assert load_checkpoint(tmp_path / "step-00000010").state == found.state


def test_an_interrupted_write_leaves_the_old_one(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint(9))
    (tmp_path / ".step-00000010.abc.part").mkdir()  # what a kill leaves behind
    assert find_checkpoint(tmp_path).name == "step-00000009"
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, Checkpoint({"step": 10, "bad": object()}, {}, {"w": torch.zeros(1)}))
    assert load_checkpoint(tmp_path).state == {"step": 9}
    save_checkpoint(tmp_path, checkpoint(11))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000011"]


def test_missing_and_damaged_ones_are_named(tmp_path):
    assert find_checkpoint(tmp_path / "nowhere") is None
    with pytest.raises(ConfigError, match=r"nowhere: no checkpoint here"):
        load_checkpoint(tmp_path / "nowhere")
    path = save_checkpoint(tmp_path, checkpoint(1))
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ConfigError, match=r"step-00000001: unreadable checkpoint"):
        load_checkpoint(tmp_path)


def test_optimizer_continues_to_the_bit():
    def steps(optimizer, parameter, n):
        for _ in range(n):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()

    a = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    first = torch.optim.AdamW([a], lr=0.1, amsgrad=True, fused=True)
    steps(first, a, 3)
    b = torch.nn.Parameter(a.detach().clone())
    second = torch.optim.AdamW([b], lr=0.1, amsgrad=True, fused=True)
    unpack_optimizer(second, {name: tensor.clone() for name, tensor in pack_optimizer(first).items()})
    steps(first, a, 3)
    steps(second, b, 3)
    assert torch.equal(a, b)


def test_model_is_built_again_from_its_description(toy, val_graphs, tmp_path):
    model = toy.model(3, width=5)
    about = json.loads(json.dumps(model_description(model)))
    save_checkpoint(tmp_path, Checkpoint({"step": 1}, about, model.state_dict()))
    again = load_model(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(val_graphs[0])["overlap"].pair, model(val_graphs[0])["overlap"].pair)


def test_weights_that_do_not_fit_are_refused(toy, tmp_path):
    model = toy.model(width=5)
    weights = {name: t for name, t in model.state_dict().items() if "pair" not in name}
    save_checkpoint(tmp_path, Checkpoint({"step": 1}, model_description(model), weights))
    with pytest.raises(ConfigError, match="weights do not fit"):
        load_model(tmp_path)
