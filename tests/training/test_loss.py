"""The loss against blocks: full counting, every element of every ordered pair, from BlockMatrix alone."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from slembench.nn.readout import OperatorFeatures
from slembench.training.config import LossConfig
from slembench.training.loss import ElementTable, OperatorLoss, absolute_errors, target_scales

DOUBLE = torch.zeros((), dtype=torch.float64)
OPERATORS = ("hamiltonian", "overlap")


@pytest.fixture(scope="module")
def case(toy):
    """A batch of float64 graphs, a random Hermitian change of every operator, and that change as block elements."""
    layout, rng = toy.BlockIrreps(toy.BASIS), np.random.default_rng(1)
    graphs, predictions, changes = [], [], {name: [] for name in OPERATORS}
    for seed in range(3):
        atoms, operators = toy.structure(seed)
        new = {n: m.with_values(m.values + rng.normal(size=m.values.shape)).hermitise() for n, m in operators.items()}
        graphs.append(toy.build_graph(atoms, toy.CUTOFFS, layout, operators, torch.float64))
        predictions.append(toy.build_graph(atoms, toy.CUTOFFS, layout, new, torch.float64))
        for name in OPERATORS:
            difference, onsite = new[name] - operators[name], operators[name].onsite
            changes[name].append(
                (difference.take(np.flatnonzero(onsite)).values, difference.take(np.flatnonzero(~onsite)).values)
            )
    batch, other = Batch.from_data_list(graphs), Batch.from_data_list(predictions)
    prediction = {n: OperatorFeatures(other[f"{n}_onsite"], other[f"{n}_pair"]) for n in OPERATORS}
    elements = {n: tuple(np.concatenate(part) for part in zip(*changes[n])) for n in OPERATORS}
    return layout, batch, prediction, elements


def mean(name, values, delta=0.1):
    size = np.abs(values)
    if name == "l1":
        return size.mean()
    if name == "mse":
        return (size**2).mean()
    if name == "huber":
        return np.where(size < delta, size**2 / 2, delta * (size - delta / 2)).mean()
    return (size.mean() + np.sqrt((size**2).mean())) / 2


@pytest.mark.parametrize("name", ["l1", "mse", "huber", "l1_rmse"])
def test_loss_equals_the_mean_over_block_elements(case, name):
    layout, batch, prediction, elements = case
    weights = {"hamiltonian": {"weight": 3.0, "onsite_share": 0.25}, "overlap": {"weight": 1.0, "onsite_share": None}}
    scales = {"hamiltonian": 2.0, "overlap": 0.5}
    loss = OperatorLoss(layout, LossConfig(name=name, operators=weights), scales, DOUBLE)
    (h_on, h_off), (s_on, s_off) = elements["hamiltonian"], elements["overlap"]
    h = 0.25 * mean(name, h_on / 2) + 0.75 * mean(name, h_off / 2)
    share = len(s_on) / (len(s_on) + len(s_off))
    s = share * mean(name, s_on / 0.5) + (1 - share) * mean(name, s_off / 0.5)
    assert float(loss(prediction, batch)) == pytest.approx((3 * h + s) / 4, rel=1e-12)


def test_mae_equals_the_mean_over_block_elements(case):
    layout, batch, prediction, elements = case
    errors = absolute_errors(ElementTable(layout, DOUBLE), prediction["hamiltonian"], batch, "hamiltonian")
    assert errors.mae == pytest.approx(np.abs(np.concatenate(elements["hamiltonian"])).mean(), rel=1e-12)
    assert (errors.onsite_count, errors.pair_count) == tuple(map(len, elements["hamiltonian"]))
    assert (errors + errors).mae == pytest.approx(errors.mae)


def test_features_that_do_not_exist_change_nothing(case):
    layout, batch, prediction, _ = case
    loss = OperatorLoss(layout, LossConfig(), dict.fromkeys(OPERATORS, 1.0), DOUBLE)
    hidden = {
        name: OperatorFeatures(
            f.onsite + 9.0 * ~torch.from_numpy(layout.onsite_mask)[batch.species],
            f.pair + 9.0 * ~torch.from_numpy(layout.pair_mask)[batch.pair_type],
        )
        for name, f in prediction.items()
    }
    assert not torch.equal(hidden["overlap"].pair, prediction["overlap"].pair)
    assert float(loss(hidden, batch)) == float(loss(prediction, batch))


def test_scale_is_the_rms_of_pair_elements(toy):
    matrices = [toy.structure(seed)[1]["hamiltonian"] for seed in range(4)]
    values = np.concatenate([m.take(np.flatnonzero(~m.onsite)).values for m in matrices])
    graphs = toy.graphs(range(4), torch.float64)
    scales = target_scales(toy.BlockIrreps(toy.BASIS), graphs, ["hamiltonian"])
    assert scales["hamiltonian"] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-12)


def test_single_atoms_have_an_onsite_loss_only(toy):
    atoms, operators = toy.structure(0, n_atoms=1)
    layout = toy.BlockIrreps(toy.BASIS)
    graph = toy.build_graph(atoms, toy.CUTOFFS, layout, operators, torch.float64)
    (scale,) = target_scales(layout, [graph], ["overlap"]).values()
    values = operators["overlap"].values
    assert scale == pytest.approx(np.sqrt((values**2).mean()))
    zero = {"overlap": OperatorFeatures(0 * graph.overlap_onsite, graph.overlap_pair)}
    loss = OperatorLoss(layout, LossConfig(name="mse"), {"overlap": scale}, DOUBLE)
    assert float(loss(zero, graph)) == pytest.approx(1.0)


def test_gradient_is_finite_at_zero_error(case):
    layout, batch, _, _ = case
    exact = {n: OperatorFeatures(batch[f"{n}_onsite"].clone(), batch[f"{n}_pair"].clone()) for n in OPERATORS}
    for features in exact.values():
        features.pair.requires_grad_()
    OperatorLoss(layout, LossConfig(), dict.fromkeys(OPERATORS, 1.0), DOUBLE)(exact, batch).backward()
    assert torch.isfinite(exact["overlap"].pair.grad).all()
