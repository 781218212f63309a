import math

import pytest
import torch

from slembench.models.contract import Stage
from slembench.training.config import TrainConfig
from slembench.training.schedule import Elapsed, Schedule


def schedule(max_steps=100, max_wall_s=None, max_cpu_s=None, lr=1.0, **settings):
    budgets = {"max_steps": max_steps, "max_wall_s": max_wall_s, "max_cpu_s": max_cpu_s}
    return Schedule(TrainConfig(**budgets, optimizer={"lr": lr}, schedule=settings))


def test_cosine_equals_torch():
    ours = schedule(name="cosine", final_factor=0.1, lr=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.03)
    for step in range(100):
        assert ours.lr(Elapsed(step, 0.0)) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        theirs.step()


def test_cosine_driven_by_wall_time_depends_on_nothing_else():
    ours = schedule(max_steps=None, max_wall_s=60.0, name="cosine", final_factor=0.0)
    assert ours.lr(Elapsed(0, 0.0)) == 1.0
    assert ours.lr(Elapsed(12345, 30.0)) == pytest.approx(0.5)
    assert ours.lr(Elapsed(3, 60.0)) == pytest.approx(0.0, abs=1e-12)
    assert ours.lr(Elapsed(3, 75.0)) == pytest.approx(0.0, abs=1e-12)


def test_cosine_ends_with_the_budget_that_is_used_up_first():
    ours = schedule(max_steps=100, max_wall_s=60.0, name="cosine", final_factor=0.0)
    assert ours.lr(Elapsed(50, 10.0)) == pytest.approx(0.5)
    assert ours.lr(Elapsed(50, 60.0)) == pytest.approx(0.0, abs=1e-12)
    ours = schedule(max_steps=100, max_cpu_s=20.0, name="cosine", final_factor=0.0)
    assert ours.lr(Elapsed(5, 1e9, 10.0)) == pytest.approx(0.5)
    assert ours.lr(Elapsed(5, 1e9, 30.0)) == pytest.approx(0.0, abs=1e-12)


def test_cosine_falls_once_in_every_stage():
    ours = schedule(name="cosine", final_factor=0.0)
    ours.stages = (Stage(0.4), Stage(0.8, 0.1))
    found = [ours.lr(Elapsed(step)) for step in (0, 20, 39, 40, 60, 79, 80, 90, 100)]
    single = [0.5 * (1 + math.cos(math.pi * x)) for x in (0, 0.5, 39 / 40, 0, 0.5, 39 / 40, 0, 0.5, 1)]
    single[6:] = [0.1 * x for x in single[6:]]
    assert found == pytest.approx(single, abs=1e-12)
    assert Schedule(ours.config, ours.stages).state().keys() == {"factor", "best", "bad"}


def test_warm_up_rises_linearly_and_is_then_over():
    ours = schedule(name="constant", warmup_steps=4, lr=2.0)
    assert [ours.lr(Elapsed(step, 0.0)) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_plateau_equals_torch():
    losses = [5, 4, 4, 4.1, 3.9999, 4, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2.5, 2.6]
    ours = schedule(name="plateau", plateau_factor=0.5, plateau_patience=2, final_factor=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, min_lr=0.1)
    rates = []
    for loss in losses:
        ours.after_validation(loss)
        theirs.step(loss)
        rates.append((ours.lr(Elapsed(0, 0.0)), optimizer.param_groups[0]["lr"]))
    assert all(a == pytest.approx(b, rel=1e-12) for a, b in rates)
    assert len({a for a, _ in rates}) > 2


def test_state_goes_through_json_and_back():
    ours, other = schedule(name="plateau", plateau_patience=1), schedule(name="plateau", plateau_patience=1)
    assert ours.state()["best"] is None
    other.restore(ours.state())
    assert math.isinf(other.best)
    for loss in (1.0, 2.0, 2.0):
        ours.after_validation(loss)
    other.restore(ours.state())
    assert other == ours
    assert other.lr(Elapsed(0, 0.0)) == 0.5
