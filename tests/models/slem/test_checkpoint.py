"""Checkpoints that dptb trained (fixtures by `benchmarks/upstream/slem_checkpoint.py`) give dptb's own blocks here."""

import copy
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from safetensors import safe_open

from slembench.core.errors import ConfigError
from slembench.inference.physics import structure_blocks
from slembench.models.slem.checkpoint import read_deeptb
from slembench.models.slem.options import read_basis
from slembench.operators.blocks import BlockMatrix
from slembench.suite.checks import relative_difference

FIXTURES = Path(__file__).parent / "fixtures"
CASES = ["slem_silicon", "lem_water", "slem_mos2"]


def stored(name):
    return torch.load(FIXTURES / f"dptb_{name}.pth", weights_only=True)


def structure_and_blocks(name, basis):
    """The structure of a fixture and dptb's blocks, made Hermitian."""
    with safe_open(FIXTURES / f"dptb_{name}_blocks.safetensors", framework="np") as file:
        arrays = {key: file.get_tensor(key) for key in list(file.keys())}
    atoms = ase.Atoms(arrays["numbers"], arrays["positions"], cell=arrays["cell"], pbc=arrays["pbc"])
    blocks = {}
    for key in arrays:
        operator, _, kind = key.partition("_")
        if kind == "pairs":
            pairs, values = arrays[key], arrays[f"{operator}_values"]
            blocks[operator] = BlockMatrix(basis, atoms.numbers, pairs[:, :2], pairs[:, 2:], values).hermitise()
    return atoms, blocks


@pytest.mark.parametrize("name", CASES)
def test_blocks_equal_those_of_dptb(name):
    model, origin = read_deeptb(FIXTURES / f"dptb_{name}.pth", "eV")
    atoms, expected = structure_and_blocks(name, model.basis)
    found = structure_blocks(model, atoms)
    assert set(found) == set(expected)
    assert ("overlap" in found) == name.startswith("slem")
    assert origin["iteration"] >= 3
    for operator, matrix in found.items():
        assert np.array_equal(np.sort(matrix.pair_keys()), np.sort(expected[operator].pair_keys()))
        assert np.abs(expected[operator].values).max() > 0.1
        assert relative_difference(matrix, expected[operator]) < 1e-10


@pytest.mark.parametrize("name", ["slem_silicon", "slem_mos2"])
def test_every_part_of_the_head_matters(name, tmp_path):
    """Scales, shifts, overlap network and on-site overlaps: a change in any shows in the blocks."""
    content = stored(name)
    model, _ = read_deeptb(FIXTURES / f"dptb_{name}.pth", "eV")
    atoms, _ = structure_and_blocks(name, model.basis)
    before = structure_blocks(model, atoms)
    heads = [key for key in content["model_state_dict"] if not key.startswith("embedding.")]
    assert len(heads) >= 10
    for key in heads:
        changed = copy.deepcopy(content)
        changed["model_state_dict"][key] += 0.1
        torch.save(changed, tmp_path / "changed.pth")
        after = structure_blocks(read_deeptb(tmp_path / "changed.pth", "eV")[0], atoms)
        operator = "overlap" if "overlap" in key or "_s." in key else "hamiltonian"
        assert relative_difference(after[operator], before[operator]) > 1e-6, key


def refused(content, tmp_path):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(ConfigError) as caught:
        read_deeptb(tmp_path / "file.pth", "eV")
    return str(caught.value)


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("embedding", "method", "e3baseline_6", "embedding.method = 'e3baseline_6' cannot be imported, only slem, lem"),
        ("embedding", "cutoff_type", "cosine", "embedding.cutoff_type = 'cosine' cannot be imported"),
        ("embedding", "res_update", False, "embedding.res_update = False"),
        ("embedding", "universal", True, "embedding.universal = True"),
        (
            "embedding",
            "tp_radial_channels",
            [5, 5],
            "key 'radial_channels': Input should be a valid integer; found [5, 5]",
        ),
        ("embedding", "r_max", {"C": 3.0}, "embedding.r_max names C, the basis Si"),
        ("embedding", "r_max", "abc", "embedding.r_max of every element is 'abc', not a length in Angstrom"),
        ("embedding", "r_max", {"Si": -1.0}, "embedding.r_max of Si is -1.0, not a length"),
        ("embedding", "irreps_hidden", "6x0e+4x2e+4x1o", "order than those of 6x0e+4x1o+4x2e"),
        ("embedding", "irreps_hidden", "many", "embedding.irreps_hidden = 'many'"),
        ("embedding", "n_layers", 2, "weight 'embedding.layers.1."),
        ("embedding", "latent_dim", 5, "does not fit the options"),
        ("prediction", "method", "sktb", "prediction.method = 'sktb'"),
        ("prediction", "activation", "elu", "prediction.activation = 'elu'"),
        ("prediction", "if_batch_normalized", True, "prediction.if_batch_normalized = True"),
    ],
)
def test_options_without_a_counterpart_are_named(part, key, value, message, tmp_path):
    content = stored("slem_silicon")
    content["config"]["model_options"][part][key] = value
    assert message in refused(content, tmp_path)


def test_missing_options_and_weights_are_named(tmp_path):
    content = stored("slem_silicon")
    del content["config"]["model_options"]["embedding"]["n_layers"]
    assert "option embedding.n_layers is missing" in refused(content, tmp_path)
    content = stored("slem_silicon")
    del content["model_state_dict"]["node_prediction_h.scales"]
    assert "weight 'node_prediction_h.scales' is missing" in refused(content, tmp_path)
    content = stored("slem_silicon")
    content["config"]["common_options"]["overlap"] = False
    assert "'edge_prediction_s.layers.0.layer.in_layer.bias' has no counterpart; 6 such" in refused(content, tmp_path)
    content = stored("slem_silicon")
    content["model_state_dict"]["embedding.out_node.bias"][0] = float("nan")
    assert "'embedding.out_node.bias' holds values that are not finite" in refused(content, tmp_path)
    content = stored("slem_silicon")
    content["model_state_dict"]["embedding.layers.1.node_update.env_sum_normalizations"] *= 2
    assert "avg_num_neighbors differs" in refused(content, tmp_path)
    content = stored("slem_silicon")
    content["config"]["model_options"] = {"nnsk": {}}
    assert "a Slater-Koster model (nnsk) cannot be imported" in refused(content, tmp_path)
    assert "not a checkpoint of dptb" in refused({"weights": torch.zeros(3)}, tmp_path)
    assert "config.common_options has no 'basis'" in refused(
        {"config": {"model_options": {"embedding": {}, "prediction": {}}}, "model_state_dict": {}}, tmp_path
    )


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path(__file__).parent / "was_here",))


def test_a_file_with_code_is_refused_unread(tmp_path):
    content = stored("slem_silicon")
    content["stats"] = Malicious()
    message = refused(content, tmp_path)
    assert "refused unread" in message
    assert "\n" not in message
    assert not (Path(__file__).parent / "was_here").exists()
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(ConfigError, match="refused unread"):
        read_deeptb(tmp_path / "text.pth", "eV")
    with pytest.raises(ConfigError, match="no such file"):
        read_deeptb(tmp_path / "nothing.pth", "eV")


def test_shells_by_name_are_counted_by_angular_momentum():
    assert read_basis({"Si": ["3s", "3p", "s*", "d*"]}, "x").to_dict() == {"Si": "2s1p1d"}
    for wrong in ({"Si": ["3"]}, {"Si": ["3sp"]}, {"Q": "1s"}, {"Si": "s1"}):
        with pytest.raises(ConfigError, match="x: common_options.basis"):
            read_basis(wrong, "x")
