"""The graph cache: what comes back equals what was built; a damaged file is rebuilt."""

import numpy as np
import pytest
import torch

from slembench.data.sample import Sample
from slembench.models.graphs import cached_graphs, model_graph
from slembench.operators.blocks import BlockMatrix

from .conftest import BASIS, make_chain, make_layer, small_slem


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def sample_of(atoms, name="a"):
    n = int(BASIS.sizes(atoms.numbers).sum())
    onsite = np.stack([np.arange(len(atoms))] * 2, axis=1)
    empty = BlockMatrix.zeros(BASIS, atoms.numbers, onsite, np.zeros((len(atoms), 3), int))
    blocks = empty.with_values(np.random.default_rng(n).normal(size=len(empty.values))).hermitise()
    return Sample(name, atoms, BASIS, {"hamiltonian": blocks, "overlap": blocks})


def test_cache_returns_what_was_built(tmp_path):
    layer, chain = make_layer(), make_chain()
    model = small_slem()
    samples = {"a": sample_of(layer), "b": sample_of(chain, "b")}
    calls = []

    def load(name):
        calls.append(name)
        return samples[name]

    arguments = (model, load, ["a", "b"], "fingerprint", torch.float64, tmp_path)
    built, again = cached_graphs(*arguments), cached_graphs(*arguments)
    assert calls == ["a", "b"]
    for x, y in zip(built, again):
        assert set(x.keys()) == set(y.keys())
        assert x.num_nodes == y.num_nodes
        for key, value in x.to_dict().items():
            assert torch.equal(value, y[key]) if isinstance(value, torch.Tensor) else value == y[key]
    cached_graphs(model, load, ["a", "b"], "another", torch.float64, tmp_path)
    assert len(calls) == 4


def test_a_damaged_cache_is_rebuilt(tmp_path):
    layer = make_layer()
    model = small_slem()
    sample = sample_of(layer)
    arguments = (model, lambda _: sample, ["a"], "f", torch.float64, tmp_path)
    before = cached_graphs(*arguments)[0]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:500])
    after = cached_graphs(*arguments)[0]
    assert torch.equal(before.frames, after.frames)
    assert len(list(tmp_path.iterdir())) == 1


def test_frames_are_exact_in_float32():
    layer = make_layer()
    graph = model_graph(small_slem(), sample_of(layer), torch.float32)
    exact = model_graph(small_slem(), sample_of(layer), torch.float64)
    assert graph.frames.dtype == torch.float32
    assert torch.equal(graph.frames, exact.frames.float())
    assert torch.equal(graph.hamiltonian_onsite, exact.hamiltonian_onsite.float())
