"""HarmoSE: two stages, the cascade, and rotations drawn and undone."""

import numpy as np
import pytest
import torch

from slembench.core.errors import ConfigError
from slembench.data.graph import build_graph
from slembench.models.harmose.config import HarmoseConfig
from slembench.models.harmose.model import Harmose
from slembench.operators.rotations import random_rotation, wigner_d
from slembench.suite.checks import contract_report

from ..conftest import BASIS, CUTOFFS

STAGE1 = {
    "deeph-e3": {"embedding": 4, "irreps_mid": "4x0e+3x1o+2x2e", "n_gaussians": 6, "n_blocks": 2},
    "slem": {"init_multiplicity": 3, "n_layers": 1, "latent_dim": 8},
}


def small(stage1="deeph-e3", rough=True, **options):
    torch.manual_seed(0)
    settings = {"width": 12, "heads": 3, "stage1_share": 0.0, "n_gaussians": 5} | options
    model = Harmose(HarmoseConfig(stage1=stage1, stage1_settings=STAGE1[stage1], **settings), BASIS, CUTOFFS)
    if rough:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def graph_of(model, atoms):
    return build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)


@pytest.mark.parametrize("stage1", STAGE1)
def test_both_stages_keep_all_but_rotation(layer, stage1):
    report = contract_report(small(stage1), layer)
    rotation, inversion = report.pop("rotation"), report.pop("inversion")
    assert all(error < 1e-10 for error in report.values()), report
    assert min(rotation, inversion) > 1e-3  # measured: stage 2 is not equivariant before it has learned it


@pytest.mark.parametrize("stage1", STAGE1)
def test_states_of_stage_1_turn_with_the_structure(stage1, layer):
    """What stage 2 reads: node and pair states of every l, covariant in the axes of the structure."""
    model, q = small(stage1).first, random_rotation(2)
    turned = layer.copy()
    turned.positions, turned.cell = layer.positions @ q.T, layer.cell.array @ q.T
    plain, rotated = (model.forward_with_features(graph_of(model, atoms)) for atoms in (layer, turned))
    assert torch.equal(plain[0]["hamiltonian"].pair, model.forward_irreps(graph_of(model, layer))["hamiltonian"].pair)
    for before, after in zip(plain[1:], rotated[1:]):
        assert len(before) > 2
        for l, (x, y) in enumerate(zip(before, after)):
            assert float(x.detach().abs().max()) > 1e-6
            assert torch.allclose(torch.from_numpy(wigner_d(l, q)) @ x, y, atol=1e-9 * float(x.detach().abs().max()))


def test_stage_1_only_has_its_symmetry(layer):
    model = small(stage1_only=True)
    assert model.symmetry == "O3"
    assert max(contract_report(model, layer).values()) < 1e-10
    assert not hasattr(model, "layers")


def test_stage_2_starts_at_zero(layer):
    model = small(rough=False)
    graph = graph_of(model, layer)
    both, first = model.forward_irreps(graph)["hamiltonian"], model.first.forward_irreps(graph)["hamiltonian"]
    assert torch.equal(both.pair, first.pair)
    assert torch.equal(both.onsite, first.onsite)


def test_the_cascade(layer):
    """Stage 1, then stage 2 on the frozen stage 1, then both, by the used budget; a checkpoint says which."""
    model = small(stage1_share=0.5, joint_share=0.75, later_lr_factor=0.1).train()
    assert model.stages == ((0.5, 0.1), (0.75, 0.1))
    graph = graph_of(model, layer)
    trained = []
    for used in (0.0, 0.4, 0.5, 0.9):
        model.set_progress(used)
        model.zero_grad(set_to_none=True)
        sum(f.pair.square().sum() + f.onsite.square().sum() for f in model(graph).values()).backward()
        stages = [{p.grad is not None for p in part.parameters()} for part in (model.first, model.layers)]
        trained.append(tuple(True in stage for stage in stages))
    assert trained == [(True, False), (True, False), (False, True), (True, True)]
    again = small(stage1_share=0.5, joint_share=0.75)
    assert torch.equal(again(graph)["hamiltonian"].pair, again.first(graph)["hamiltonian"].pair)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(graph)["hamiltonian"].pair, model.eval()(graph)["hamiltonian"].pair)
    assert not torch.equal(again(graph)["hamiltonian"].pair, again.first(graph)["hamiltonian"].pair)


def test_rotations_are_undone(layer):
    """With a stage 2 that copies its input's irreps of H1, a random rotation changes nothing."""
    model = small()
    graph = graph_of(model, layer)
    features, node, _ = model.first.forward_with_features(graph)
    onsite = features["hamiltonian"].onsite
    turn = model._rotation(6, onsite)
    joined = model._joined([], [onsite])
    turned = torch.cat([(d @ x).flatten(1) for d, x in zip(turn, joined)], dim=1)
    assert not torch.allclose(turned, torch.cat([x.flatten(1) for x in joined], dim=1))
    parts, start = [], 0
    for c in model.layout.classes:  # polar and axial irreps of one l stand side by side in the joined state
        if c.polar:
            start = c.l
        same = [k for k in model.layout.classes if k.l == start]
        before = sum(k.n_paths for k in same[: same.index(c)])
        parts.append((turn[c.l] @ joined[c.l])[:, :, before : before + c.n_paths].flatten(1))
    assert torch.allclose(model._turned_back(torch.cat(parts, dim=1), turn), onsite, atol=1e-12)
    assert len(node) > 1


def test_augmentation_only_in_training(layer):
    model = small()
    graph = graph_of(model, layer)
    fixed = [model.forward_irreps(graph)["hamiltonian"].pair for _ in range(2)]
    assert torch.equal(*fixed)
    model.train()
    drawn = [model.forward_irreps(graph)["hamiltonian"].pair for _ in range(2)]
    assert not torch.allclose(*drawn)


def test_blocks_of_stage_2_end_at_the_cutoff():
    import ase

    model = small("slem")
    sizes = []
    for distance in (4.0, 5.499):  # Mo-S cutoff 5.5
        graph = graph_of(model, ase.Atoms("MoS", positions=[[0, 0, 0], [0, 0, distance]]))
        both, first = model.forward_irreps(graph)["hamiltonian"], model.first.forward_irreps(graph)["hamiltonian"]
        sizes.append(float((both.pair - first.pair).abs().max().detach()))
    assert sizes[1] < 1e-5 * sizes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "must divide width"),
        ({"stage1_share": 0.5, "joint_share": 0.5}, "must be above stage1_share"),
        ({"stage1": "harmose", "stage1_settings": {}}, "not harmose itself"),
        ({"stage1_settings": {"layers": 2}}, "stage1_settings of deeph-e3: key 'layers'"),
    ],
)
def test_wrong_configurations_are_refused(options, message):
    settings = {"stage1_settings": STAGE1["deeph-e3"], "width": 12, "heads": 3} | options
    with pytest.raises(ConfigError, match=message):
        Harmose(HarmoseConfig(**settings), BASIS, CUTOFFS)


def test_softmax_over_segments():
    from slembench.nn.transformer import segment_softmax

    values = torch.randn(7, 2, dtype=torch.float64) * 50
    index = torch.tensor([0, 2, 0, 2, 2, 0, 3])
    found = segment_softmax(values, index, 5)
    for k in (0, 2, 3):
        assert np.allclose(found[index == k], torch.softmax(values[index == k], dim=0))
