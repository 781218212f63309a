import numpy as np
import torch

from slembench.training.ema import Ema


def test_average_equals_the_recursion_written_out():
    model = torch.nn.Linear(3, 2).double()
    ema = Ema(model, 0.9)
    expected = model.weight.detach().numpy().copy()
    rng = np.random.default_rng(0)
    for step in range(1, 200):
        with torch.no_grad():
            model.weight += torch.from_numpy(rng.normal(size=(2, 3)))
        ema.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach().numpy()
    assert np.abs(ema.average["weight"].numpy() - expected).max() < 1e-12


def test_applied_swaps_and_gives_the_own_weights_back():
    model = torch.nn.Linear(3, 2)
    ema = Ema(model, 0.5)
    average = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1.0
    own = model.weight.detach().clone()
    with ema.applied():
        assert torch.equal(model.weight, average)
    assert torch.equal(model.weight, own)


def test_restore_copies():
    model = torch.nn.Linear(3, 2)
    ema = Ema(model, 0.5)
    saved = {name: torch.full_like(t, 7.0) for name, t in ema.average.items()}
    ema.restore(saved)
    ema.update(1)
    assert (saved["weight"] == 7.0).all()
    assert (ema.average["weight"] < 7.0).all()
