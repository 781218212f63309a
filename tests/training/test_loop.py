import json

import numpy as np
import pytest
import torch

from slembench.core.errors import ConfigError
from slembench.core.progress import ProgressBar
from slembench.training import TrainConfig, train
from slembench.training.checkpoint import load_model
from slembench.training.log import JsonLog


def config(**values):
    return TrainConfig(**{"max_steps": 60, "validate_every": 20, "log_every": 1, "optimizer": {"lr": 0.02}} | values)


def test_it_learns_and_keeps_the_best(toy, train_graphs, val_graphs, tmp_path):
    model = toy.model()
    result = train(model, train_graphs, val_graphs, config(max_steps=300, clip_norm=10.0), tmp_path)
    rows = JsonLog(tmp_path / "log.jsonl").rows("validation")
    assert [row["step"] for row in rows] == list(range(20, 301, 20))
    assert rows[-1]["loss"] < 0.2 * rows[0]["loss"]
    assert result.best_loss == min(row["loss"] for row in rows)
    assert result.checkpoint.name == f"step-{result.best_step:08d}"
    assert (result.steps, result.structures_seen) == (300, 300)
    assert result.peak_memory_bytes > 1e7
    again = load_model(result.checkpoint)(val_graphs[0])["hamiltonian"].pair
    assert torch.equal(again, model(val_graphs[0])["hamiltonian"].pair)


def test_validation_error_is_the_mae_over_blocks(toy, train_graphs, val_graphs, tmp_path):
    model = toy.model()
    result = train(model, train_graphs, val_graphs, config(max_steps=5), tmp_path)
    total, count = 0.0, 0
    for seed, graph in zip(range(100, 103), val_graphs):
        features, reference = model(graph)["overlap"], toy.structure(seed)[1]["overlap"]
        parts = [part.detach().double().numpy() for part in features]
        predicted = model.layout.to_blocks(
            graph.numbers.numpy(), *parts, graph.pair_index.T.numpy(), graph.pair_shift.numpy()
        )
        difference = predicted.align(reference.pair_index, reference.pair_shift)[0].values - reference.values
        total, count = total + np.abs(difference).sum(), count + len(difference)
    # to_blocks averages a shell with itself over both directions, which the features do not
    assert result.validation["overlap"] == pytest.approx(total / count, rel=0.1)


def test_every_epoch_sees_every_structure_once_in_another_order(toy, train_graphs, val_graphs, tmp_path, monkeypatch):
    model, seen = toy.model(), []
    forward = toy.Toy.forward_irreps
    monkeypatch.setattr(
        toy.Toy,
        "forward_irreps",
        lambda self, g: (self.training and seen.append(g.positions[:5, 0]), forward(self, g))[1],
    )
    train(model, train_graphs, val_graphs, config(max_steps=14), tmp_path)
    order = [next(i for i, g in enumerate(train_graphs) if torch.equal(g.positions[:, 0], x)) for x in seen]
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7))
    assert order[:7] != order[7:]


def test_batches_cover_an_epoch_with_a_smaller_last_one(toy, train_graphs, val_graphs, tmp_path):
    result = train(toy.model(), train_graphs, val_graphs, config(max_steps=6, batch_size=3), tmp_path)
    assert result.structures_seen == 14


@pytest.mark.parametrize("budget", ["wall_s", "cpu_s"])
def test_a_budget_of_time_ends_the_run_and_the_schedule(toy, train_graphs, val_graphs, tmp_path, budget):
    schedule = {"name": "cosine", "final_factor": 0.0}
    # long against the first step, which on a busy machine alone takes half a second
    settings = config(max_steps=None, **{f"max_{budget}": 2.0}, validate_every=100_000, schedule=schedule)
    result = train(toy.model(), train_graphs, val_graphs, settings, tmp_path)
    rows = JsonLog(tmp_path / "log.jsonl").rows("train")
    assert 2.0 <= getattr(result, budget) < 7.0
    assert rows[0]["lr"] > 0.019
    assert rows[-1]["lr"] < 0.02 * 0.2
    assert result.best_step == result.steps == len(rows)


@pytest.mark.parametrize("schedule", [{"name": "plateau", "plateau_patience": 0}, {"name": "constant"}])
def test_learning_rate_of_the_schedule_reaches_the_optimizer(toy, train_graphs, val_graphs, tmp_path, schedule):
    settings = config(max_steps=100, validate_every=2, schedule=schedule, optimizer={"lr": 0.1})
    train(toy.model(), train_graphs, val_graphs, settings, tmp_path)
    rates = {row["lr"] for row in JsonLog(tmp_path / "log.jsonl").rows("train")}
    assert (len(rates) > 1) == (schedule["name"] == "plateau")
    assert max(rates) == 0.1


def test_averaged_weights_are_the_ones_that_are_scored_and_kept(toy, train_graphs, val_graphs, tmp_path):
    model = toy.model()
    result = train(model, train_graphs, val_graphs, config(max_steps=20, ema_decay=0.99), tmp_path)
    plain = toy.model()
    train(plain, train_graphs, val_graphs, config(max_steps=20), tmp_path / "plain")
    name = "onsite.overlap.weight"
    average, last = model.state_dict()[name], plain.state_dict()[name]
    assert not torch.equal(average, last)
    assert torch.equal(load_model(result.checkpoint).state_dict()[name], average)
    again = train(toy.model(), train_graphs, val_graphs, config(max_steps=20, ema_decay=0.99), tmp_path / "again")
    assert again.best_loss == result.best_loss


def test_a_finished_run_is_not_trained_again(toy, train_graphs, val_graphs, tmp_path):
    first = train(toy.model(), train_graphs, val_graphs, config(), tmp_path)
    rows = len(JsonLog(tmp_path / "log.jsonl").rows("train"))
    second = train(toy.model(seed=5), train_graphs, val_graphs, config(), tmp_path)
    assert (second.best_loss, second.steps, second.checkpoint) == (first.best_loss, first.steps, first.checkpoint)
    assert len(JsonLog(tmp_path / "log.jsonl").rows("train")) == rows


def test_another_configuration_does_not_resume(toy, train_graphs, val_graphs, tmp_path):
    train(toy.model(), train_graphs, val_graphs, config(), tmp_path)
    with pytest.raises(ConfigError, match=r"training.max_steps = 60, this run 90.*--fresh"):
        train(toy.model(), train_graphs, val_graphs, config(max_steps=90), tmp_path)
    with pytest.raises(ConfigError, match=r"model.config = .*width"):
        train(toy.model(width=3), train_graphs, val_graphs, config(), tmp_path)


def test_errors_say_what_to_do(toy, train_graphs, val_graphs, tmp_path):
    with pytest.raises(ConfigError, match="no validation structures"):
        train(toy.model(), train_graphs, [], config(), tmp_path)
    settings = config(optimizer={"lr": 1e30}, matmul_precision="highest")
    with pytest.raises(ConfigError, match=r"step \d+: the .*loss is (inf|nan); lower training.optimizer.lr"):
        train(toy.model(), train_graphs, val_graphs, settings, tmp_path)
    assert torch.get_float32_matmul_precision() == "highest"


def test_state_file_is_plain_json(toy, train_graphs, val_graphs, tmp_path):
    train(toy.model(), train_graphs, val_graphs, config(), tmp_path)
    state = json.loads(next((tmp_path / "checkpoint" / "last").glob("*/state.json")).read_text())
    assert state["step"] == 60
    assert TrainConfig.model_validate(state["training"]) == config()


def test_losses_on_levels_begin_with_their_part_of_the_budget(toy, train_graphs, val_graphs, tmp_path):
    """Equal steps before it, other ones after it; the validation counts them from the start."""
    graphs = [[graph.clone() for graph in part] for part in (train_graphs, val_graphs)]
    for graph in (*graphs[0], *graphs[1]):
        graph.electrons = torch.tensor([4.0], dtype=torch.float64)
    runs = {}
    for name, levels in (("without", None), ("with", {"wavefunction": 1.0, "bands": 1.0, "begin": 0.5})):
        settings = config(max_steps=20, validate_every=5, loss={"levels": levels})
        train(toy.model(), *graphs, settings, tmp_path / name)
        log = JsonLog(tmp_path / name / "log.jsonl")
        runs[name] = [[row["loss"] for row in log.rows(event)] for event in ("train", "validation")]
    steps, checks = zip(runs["without"], runs["with"])
    assert steps[0][:10] == steps[1][:10]
    assert all(a < b for a, b in zip(steps[0][10:], steps[1][10:]))
    assert all(a < b for a, b in zip(*checks))


def test_a_bar_follows_the_budget(toy, train_graphs, val_graphs, tmp_path, capsys, monkeypatch):
    shown = []

    class Bar(ProgressBar):
        def update(self, completed, description=None, total=None):
            shown.append((self.show, completed, description))
            super().update(completed, description, total)

    monkeypatch.setattr("slembench.training.loop.ProgressBar", Bar)
    train(toy.model(), train_graphs, val_graphs, config(max_steps=4, validate_every=2), tmp_path / "a")
    assert [(show, completed) for show, completed, _ in shown] == [(True, n / 4) for n in range(1, 5)]
    assert shown[-1][2].startswith("step 4, loss ")
    assert "hamiltonian MAE" in shown[-1][2]
    train(toy.model(), train_graphs, val_graphs, config(max_steps=4), tmp_path / "b", progress=False)
    assert not shown[-1][0]
    assert capsys.readouterr() == ("", "")  # no terminal here
