"""H, S and D alone or together from one trunk, for SLEM and LEM, on crystals and molecules."""

import pytest
import torch

from slembench.data.graph import build_graph
from slembench.inference.physics import structure_blocks
from slembench.models.lem.model import Lem
from slembench.models.slem.model import Slem
from slembench.suite.checks import contract_report

from .conftest import CUTOFFS, small_slem

ALL = ("hamiltonian", "overlap", "density")


@pytest.mark.parametrize("kind", [Slem, Lem])
@pytest.mark.parametrize("targets", [("density",), ("overlap",), ALL])
def test_any_choice_of_operators_keeps_the_contract(kind, targets, layer, chain):
    model = small_slem("O3", targets, kind=kind, n_layers=1)
    for atoms in (layer, chain):
        assert set(structure_blocks(model, atoms)) == set(targets)
        assert max(contract_report(model, atoms).values()) < 1e-10


@pytest.mark.parametrize("kind", [Slem, Lem])
def test_operators_share_one_trunk_and_have_heads_of_their_own(kind, chain):
    together, alone = small_slem("O3", ALL, kind=kind), small_slem("O3", ("hamiltonian",), kind=kind)
    layers = [sum(p.numel() for p in model.layers.parameters()) for model in (together, alone)]
    assert layers[0] == layers[1] > 0.5 * alone.n_parameters
    assert set(together.heads) == {"hamiltonian", "density"}
    graph = build_graph(chain, CUTOFFS, together.layout, dtype=torch.float64)
    result = together(graph)
    assert (result["hamiltonian"].pair - result["density"].pair).abs().max() > 1e-3
    gradients = {}
    for name in ALL:
        together.zero_grad()
        together(graph)[name].pair.square().sum().backward()
        gradients[name] = {n for n, p in together.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    trunk = {n for n, _ in together.named_parameters() if n.startswith("layers.")}
    assert trunk & gradients["hamiltonian"] == trunk & gradients["density"] != set()
    assert not trunk & gradients["overlap"]


@pytest.mark.parametrize("kind", [Slem, Lem])
def test_the_same_trunk_predicts_the_same_with_or_without_other_heads(kind, chain):
    together = small_slem("O3", ALL, kind=kind)
    graph = build_graph(chain, CUTOFFS, together.layout, dtype=torch.float64)
    for name in ALL:
        alone = small_slem("O3", (name,), kind=kind)
        alone.load_state_dict(together.state_dict(), strict=False)
        for part in ("onsite", "pair"):
            assert torch.equal(getattr(alone(graph)[name], part), getattr(together(graph)[name], part))


@pytest.mark.parametrize("kind", [Slem, Lem])
@pytest.mark.parametrize("residual", [None, "tanh"])
def test_overlaps_depend_on_species_and_distance_alone(kind, residual, layer):
    """Pairs of one kind and length have one overlap up to rotation: their blocks have the same norms."""
    model = small_slem("O3", ("overlap",), kind=kind, overlap_residual=residual)
    graph = build_graph(layer, CUTOFFS, model.layout, dtype=torch.float64)
    graph.pair_vector *= 3.0 / graph.pair_vector.norm(dim=1, keepdim=True)
    pair = model(graph)["overlap"].pair
    for c in model.layout.classes:
        norms = pair[:, c.slice].reshape(len(pair), 2 * c.l + 1, c.n_paths).norm(dim=1)
        for kind_of_pair in graph.pair_type.unique():
            rows = norms[graph.pair_type == kind_of_pair]
            assert (rows - rows[0]).abs().max() < 1e-12 * max(1.0, float(rows[0].max()))
            assert c.polar or float(rows.abs().max()) == 0.0
