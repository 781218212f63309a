"""Parity with DeePTB's SLEM and LEM: their weights give their irreps (fixtures by `benchmarks/upstream/slem.py`)."""

import json
from pathlib import Path

import ase
import pytest
import torch
from ase.data import atomic_numbers
from safetensors import safe_open

from slembench.data.graph import build_graph
from slembench.models.lem.model import Lem
from slembench.models.slem.model import Slem
from slembench.models.slem.weights import load_embedding, raw_irreps
from slembench.operators.orbitals import Basis

FIXTURES = Path(__file__).parent / "fixtures"


def load_case(method, name):
    """Our model with DeePTB's weights, the graph in DeePTB's structure, and DeePTB's outputs by pair."""
    with safe_open(FIXTURES / f"dptb_{method}_{name}.safetensors", framework="pt") as stored:
        facts = json.loads(stored.metadata()["config"])
        tensors = {key: stored.get_tensor(key) for key in list(stored.keys())}
    kind = {"slem": Slem, "lem": Lem}[method]
    config = kind.Config(
        symmetry="SO3",
        irreps_hidden=facts["irreps_hidden"],
        init_multiplicity=facts["env_embed_multiplicity"],
        n_layers=facts["n_layers"],
        n_bessel=facts["n_radial_basis"],
        latent_dim=facts["latent_dim"],
        latent_channels=tuple(facts["latent_channels"]),
        radial_channels=facts["tp_radial_channels"][0] if facts["tp_radial_emb"] else None,
        residual_ratio=facts["res_update_ratios"],
        activation_factors=(facts["silu_factor"], facts["sigmoid_factor"]),
        pair_bias=True,
    )
    basis = Basis.parse(facts["basis"])
    cutoffs = {atomic_numbers[symbol]: radius for symbol, radius in facts["radii"].items()}
    model = kind(config, basis, cutoffs)
    assert [atomic_numbers[s] for s in facts["elements"]] == list(basis.elements)
    load_embedding(model, {key.removeprefix("weights."): t for key, t in tensors.items() if key.startswith("weights.")})
    pbc = name != "water"
    atoms = ase.Atoms(tensors["numbers"].numpy(), tensors["positions"].numpy(), cell=tensors["cell"].numpy(), pbc=pbc)
    return model, atoms, tensors


def orbital_pair_order(layout):
    """(F,) int64 | for each of our features, where it stands in DeePTB's raw irreps vector."""
    place = {}
    start = 0
    for irrep in raw_irreps(layout):
        place[irrep] = start
        start += 2 * irrep[2] + 1
    order = torch.empty(layout.n_features, dtype=torch.int64)
    for c in layout.classes:
        firsts = torch.tensor([place[a, b, c.l] for a, b in c.shell_pairs.tolist()])
        order[c.slice] = (firsts[None, :] + torch.arange(2 * c.l + 1)[:, None]).reshape(-1)
    return order


def rows_of(tensors):
    keys = torch.cat([tensors["pair_index"].T, tensors["pair_shift"].round().long()], dim=1)
    return {tuple(key): row for row, key in enumerate(keys.tolist())}


@pytest.mark.parametrize("method", ["slem", "lem"])
@pytest.mark.parametrize("name", ["mos2", "silicon", "water"])
def test_dptb_weights_give_dptb_irreps(method, name):
    model, atoms, tensors = load_case(method, name)
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)
    with torch.no_grad():
        found = model.forward_irreps(graph)["hamiltonian"]
    order = orbital_pair_order(model.layout)
    rows = rows_of(tensors)
    ours = torch.cat([graph.pair_index.T, graph.pair_shift], dim=1).tolist()
    picked = torch.tensor([rows[tuple(key)] for key in ours])
    expected = tensors["pair_features"][picked][:, order]
    scale = expected.abs().mean()
    assert scale > 1e-3
    assert (found.pair - expected).abs().max() < 1e-10 * scale
    expected = tensors["node_features"][:, order]
    assert (found.onsite - expected).abs().max() < 1e-10 * expected.abs().mean()
    beyond = sorted(set(rows) - {tuple(key) for key in ours})  # pairs that dptb lists beyond its own cutoff are zero
    assert not beyond or tensors["pair_features"][[rows[key] for key in beyond]].abs().max() == 0


def test_a_missing_weight_is_named():
    model, _, tensors = load_case("slem", "silicon")
    weights = {key.removeprefix("weights."): t for key, t in tensors.items() if key.startswith("weights.")}
    del weights["out_edge.bias"]
    with pytest.raises(KeyError, match=r"out_edge\.bias"):
        load_embedding(model, weights)
