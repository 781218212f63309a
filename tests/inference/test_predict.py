import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from slembench.core.errors import ConfigError
from slembench.inference import predict
from slembench.inference.predict import predict_blocks
from slembench.models.graphs import model_graph
from slembench.operators.orbitals import Basis
from slembench.predictions import read_predictions


@pytest.fixture(scope="module")
def toy():
    spec = importlib.util.spec_from_file_location(
        "slembench_inference_toy", Path(__file__).parents[1] / "training/toy.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(toy, crystals):
    torch.manual_seed(0)
    return toy.Toy(toy.ToyConfig(dropout=0.5), crystals.basis, crystals.cutoffs, ("hamiltonian", "overlap"))


def test_file_holds_complete_hermitian_operators_on_the_scored_pairs(model, crystals, tmp_path):
    cost = predict(model, crystals, tmp_path / "p.h5", split="test")
    with read_predictions(tmp_path / "p.h5") as found:
        assert list(found.ids) == crystals.split("test")
        assert (found.attrs.model, found.attrs.split, found.attrs.energy_unit) == ("toy", "test", "eV")
        assert found.attrs.dataset_fingerprint == crystals.fingerprint
        for sample in crystals.iterate(found.ids):
            index, shift = crystals.pairs(sample)
            for matrix in found[sample.id].values():
                assert matrix.hermiticity_error() == 0.0
                _, missing, extra = matrix.align(index, shift)
                assert len(missing) == len(extra) == 0
    pairs = sum(len(crystals.pairs(s)[0]) for s in crystals.iterate(crystals.split("test")))
    assert cost.pairs_per_atom == pairs / (2 * 4)
    assert cost.structures == 4
    assert 0 < cost.ms_per_atom / 1e3 * 2 < cost.wall_s


def test_blocks_of_the_targets_are_the_operators(crystals, model):
    """A model that returns its targets: the blocks that come out are the reference, to float32."""
    sample = crystals.sample(crystals.split("test")[0])
    graph = model_graph(model, sample, torch.float64)

    class Echo(type(model)):
        def forward(self, graph):
            features = type(super().forward(graph)["overlap"])
            return {name: features(graph[f"{name}_onsite"], graph[f"{name}_pair"]) for name in self.targets}

    model.double().__class__ = Echo
    for name, matrix in predict_blocks(model, graph).items():
        reference = sample.operators[name].complete().align(matrix.pair_index, matrix.pair_shift)[0]
        assert np.abs(matrix.values - reference.values).max() < 1e-12


def test_prediction_is_in_evaluation_mode_and_repeatable(model, crystals, tmp_path):
    model.train()
    for name in ("a.h5", "b.h5"):
        predict(model, crystals, tmp_path / name, ids=crystals.split("test")[:2], model_name="mine")
    with read_predictions(tmp_path / "a.h5") as a, read_predictions(tmp_path / "b.h5") as b:
        assert a.attrs.model == "mine"
        assert len(a.ids) == 2
        for structure in a.ids:
            assert np.array_equal(a[structure]["overlap"].values, b[structure]["overlap"].values)


def test_a_model_of_other_data_is_refused(toy, model, crystals, molecules, tmp_path):
    other = toy.Toy(toy.ToyConfig(), Basis.parse({"B": "2s1p", "N": "1s1p"}), crystals.cutoffs)
    with pytest.raises(ConfigError, match=r"was trained for basis .*'N': '1s1p'"):
        predict(other, crystals, tmp_path / "p.h5")
    longer = toy.Toy(toy.ToyConfig(), crystals.basis, {5: 9.0, 7: 4.0})
    with pytest.raises(ConfigError, match=r"was trained for cutoffs \{5: 9.0"):
        predict(longer, crystals, tmp_path / "p.h5")
    assert not list(tmp_path.iterdir())
