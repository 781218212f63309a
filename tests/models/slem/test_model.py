"""SLEM keeps the model contract: symmetry, locality, Hermiticity; and its two symmetries differ where they should."""

import numpy as np
import pytest
import torch

from slembench.core.errors import ConfigError
from slembench.data.graph import build_graph
from slembench.inference.physics import structure_blocks
from slembench.models.graphs import attach_frames
from slembench.models.slem.config import SlemConfig
from slembench.models.slem.model import Slem
from slembench.operators.rotations import random_rotation
from slembench.suite.checks import contract_report, equivariance_error, outside_gradient

from ..conftest import BASIS, CUTOFFS, small_slem

EXACT = 1e-10


@pytest.mark.parametrize("symmetry", ["O3", "SO3"])
@pytest.mark.parametrize("changes", [{}, {"radial_channels": None}, {"n_layers": 1, "init_multiplicity": 40}])
def test_contract(layer, symmetry, changes):
    report = contract_report(small_slem(symmetry, **changes), layer)
    inversion = report.pop("inversion")
    assert all(error < EXACT for error in report.values()), report
    if symmetry == "O3":
        assert inversion < EXACT
    else:
        assert inversion > 1e-3  # parity is ignored: stated, and seen


def test_reflections_are_exact_in_o3(layer):
    model = small_slem("O3")
    errors = equivariance_error(model, layer, random_rotation(11, improper=True))
    assert max(errors.values()) < EXACT


def test_predictions_depend_on_the_structure(layer):
    model = small_slem("O3")
    moved = layer.copy()
    moved.positions[3] += [0.1, 0, 0]
    before, after = structure_blocks(model, layer), structure_blocks(model, moved)
    for name in before:
        assert np.abs((before[name] - after[name]).values).max() > 1e-4


@pytest.mark.parametrize("symmetry", ["O3", "SO3"])
@pytest.mark.parametrize(("i", "j"), [(0, None), (5, None), (0, 1), (5, 6), (4, 6)])
def test_strict_locality(chain, symmetry, i, j):
    model = small_slem(symmetry, n_layers=3)
    gradient, outside = outside_gradient(model, chain, i, j)
    assert outside > 0
    assert gradient == 0.0


def test_locality_is_not_trivial(chain):
    """Atoms inside the field do matter: with a field stated too small the same check fails."""
    model = small_slem("O3", n_layers=3)
    field = model.receptive_field
    model.__class__ = type("Short", (Slem,), {"receptive_field": type(field)(field.onsite / 2, field.pair / 2, True)})
    gradient, _ = outside_gradient(model, chain, 5)
    assert gradient > 1e-6


def test_moving_an_outside_atom_changes_nothing(chain):
    model = small_slem("O3", n_layers=3)
    moved = chain.copy()
    moved.positions[-1] += [0.4, 0.3, 0]
    before, after = structure_blocks(model, chain), structure_blocks(model, moved)
    for name in before:
        near = np.flatnonzero((before[name].pair_index < 4).all(axis=1))
        blocks = before[name].take(near)
        aligned, missing, _ = after[name].align(blocks.pair_index, blocks.pair_shift)
        assert not len(missing)
        assert np.abs(aligned.values - blocks.values).max() <= 1e-12 * np.abs(blocks.values).mean()


def test_blocks_vanish_smoothly_at_the_cutoff():
    import ase

    model = small_slem("O3")
    sizes = []
    for distance in (4.0, 5.3, 5.45, 5.499):  # Mo-S cutoff 5.5
        blocks = structure_blocks(model, ase.Atoms("MoS", positions=[[0, 0, 0], [0, 0, distance]]))
        pair = blocks["hamiltonian"].take(np.flatnonzero(~blocks["hamiltonian"].onsite))
        sizes.append(np.abs(pair.values).max())
    assert sizes[0] > sizes[1] > sizes[2] > sizes[3]
    assert sizes[3] < 1e-5 * sizes[0]


def test_cached_frames_change_nothing(layer):
    model = small_slem("O3")
    graph = build_graph(layer, CUTOFFS, model.layout, dtype=torch.float64)
    plain = model(graph)["hamiltonian"].pair
    assert torch.equal(model(attach_frames(graph, model.frame_lmax))["hamiltonian"].pair, plain)


def test_a_batch_equals_its_structures(layer, chain):
    from torch_geometric.data import Batch

    model = small_slem("O3")
    chain = chain.copy()
    graphs = [build_graph(a, CUTOFFS, model.layout, dtype=torch.float64) for a in (layer, chain)]
    together = model(Batch.from_data_list(graphs))
    for name, features in together.items():
        apart = [model(g)[name] for g in graphs]
        assert torch.allclose(features.onsite, torch.cat([a.onsite for a in apart]), atol=1e-12)
        assert torch.allclose(features.pair, torch.cat([a.pair for a in apart]), atol=1e-12)


def test_float32_follows_float64(layer):
    model = small_slem("O3")
    exact = structure_blocks(model, layer)["hamiltonian"]
    rough = structure_blocks(model.float(), layer)["hamiltonian"]
    assert np.abs((exact - rough).values).max() < 1e-3 * np.abs(exact.values).max()


def test_overlap_is_two_body(layer):
    """The overlap of a pair does not notice a third atom."""
    model = small_slem("O3", targets=("overlap",))
    moved = layer.copy()
    moved.positions[2] += 0.3
    before, after = (structure_blocks(model, a)["overlap"] for a in (layer, moved))
    keep = np.flatnonzero((before.pair_index != 2).all(axis=1))
    blocks = before.take(keep)
    aligned, missing, _ = after.align(blocks.pair_index, blocks.pair_shift)
    assert not len(missing)
    assert np.abs(aligned.values - blocks.values).max() < 1e-14


def test_every_parameter_is_used(layer):
    model = small_slem("O3", n_layers=4)
    graph = build_graph(layer, CUTOFFS, model.layout, dtype=torch.float64)
    sum(f.onsite.square().sum() + f.pair.square().sum() for f in model(graph).values()).backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # two-body features have no pseudo-scalars, and antisymmetric parts of a shell with itself do not exist on site
    outer = [name for name in unused if "mixing.weights" in name or "residual" in name or "head" in name]
    assert set(unused) == set(outer), unused
    assert not [name for name in unused if name.startswith("layers.2.")], unused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"irreps_hidden": "8x0e+8x1o+8x2e"}, "ends at l = 2"),
        ({"irreps_hidden": "8x0e+8x1o+8x2e+8x3o+8x4e"}, "polar irreps only"),
    ],
)
def test_hidden_irreps_that_cannot_do_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Slem(SlemConfig(**options), BASIS, CUTOFFS)


def test_wrong_configurations_are_refused():
    with pytest.raises(ValueError, match="needs 0e"):
        SlemConfig(irreps_hidden="8x1o")
    with pytest.raises(ValueError, match="extra"):
        SlemConfig(layers=3)
    with pytest.raises(ConfigError, match="no cutoff radius"):
        Slem(SlemConfig(), BASIS, {42: 6.0})
    with pytest.raises(ConfigError, match="targets must be"):
        Slem(SlemConfig(), BASIS, CUTOFFS, ("energy",))
