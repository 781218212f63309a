"""Graphs against ASE's neighbour list and the operators they come from."""

import ase
import numpy as np
import pytest
import torch
from ase.build import mx2
from ase.neighborlist import neighbor_list
from torch_geometric.data import Batch

from slembench.core.errors import DataError
from slembench.data.graph import build_graph
from slembench.operators.blocks import BlockMatrix
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"Mo": "1s1p", "S": "1s1p"})
LAYOUT = BlockIrreps(BASIS)
CUTOFFS = {42: 6.0, 16: 4.0}


def layer():
    atoms = mx2("MoS2", size=(2, 1, 1), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=3)
    return atoms


def test_pairs_equal_those_of_ase():
    atoms = layer()
    graph = build_graph(atoms, CUTOFFS, LAYOUT, dtype=torch.float64)
    limits = {(a, b): (CUTOFFS[a] + CUTOFFS[b]) / 2 for a in CUTOFFS for b in CUTOFFS}
    i, j, shift, vector = neighbor_list("ijSD", atoms, limits)
    expected = {(a, b, *s): v for a, b, s, v in zip(i.tolist(), j.tolist(), shift.tolist(), vector)}
    found = torch.cat([graph.pair_index.T, graph.pair_shift], dim=1).tolist()
    assert {tuple(row) for row in found} == set(expected)
    for row, v in zip(found, graph.pair_vector.numpy()):
        assert np.allclose(v, expected[tuple(row)], atol=1e-12)


def test_reverse_pairs_and_types():
    graph = build_graph(layer(), CUTOFFS, LAYOUT, dtype=torch.float64)
    assert torch.allclose(graph.pair_vector[graph.reverse], -graph.pair_vector)
    assert torch.equal(graph.pair_index[:, graph.reverse], graph.pair_index.flip(0))
    i, j = graph.pair_index
    assert torch.equal(graph.pair_type, graph.species[i] * 2 + graph.species[j])
    assert torch.equal(graph.species, (graph.numbers == 42).long())


def test_batches_shift_atoms_and_reverse_pairs():
    graph = build_graph(layer(), CUTOFFS, LAYOUT)
    batch = Batch.from_data_list([graph, graph])
    n, p = graph.num_nodes, graph.pair_index.shape[1]
    assert torch.equal(batch.pair_index[:, p:], graph.pair_index + n)
    assert torch.equal(batch.reverse[p:], graph.reverse + p)
    assert torch.allclose(batch.pair_vector[batch.reverse], -batch.pair_vector)


def test_targets_are_the_operators_features():
    atoms = layer()
    bare = build_graph(atoms, CUTOFFS, LAYOUT, dtype=torch.float64)
    rng = np.random.default_rng(0)
    onsite, pair = (
        rng.normal(size=(len(atoms), LAYOUT.n_features)),
        rng.normal(size=(len(bare.pair_type), LAYOUT.n_features)),
    )
    index, shift = bare.pair_index.T.numpy(), bare.pair_shift.numpy()
    blocks = LAYOUT.to_blocks(atoms.numbers, onsite, pair, index, shift)
    assert isinstance(blocks, BlockMatrix)
    graph = build_graph(atoms, CUTOFFS, LAYOUT, {"hamiltonian": blocks.triangle()}, dtype=torch.float64)
    back = LAYOUT.to_blocks(
        atoms.numbers, graph.hamiltonian_onsite.numpy(), graph.hamiltonian_pair.numpy(), index, shift
    )
    assert np.allclose(back.values, blocks.values, atol=1e-12)


def test_errors_name_the_cause():
    with pytest.raises(DataError, match="no radius for element Mo"):
        build_graph(layer(), {16: 4.0}, LAYOUT)
    with pytest.raises(DataError, match="Angstrom apart"):
        build_graph(ase.Atoms("S2", positions=[[0, 0, 0], [0, 0, 1e-5]]), CUTOFFS, LAYOUT)
    with pytest.raises(ValueError, match="element Si has no shells"):
        build_graph(ase.Atoms("Si"), CUTOFFS | {14: 4.0}, LAYOUT)
