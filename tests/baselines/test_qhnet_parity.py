"""Parity with the public QHNet (QH9 version): its weights give its blocks (see `benchmarks/upstream/qhnet.py`)."""

import json
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from slembench.core.errors import ConfigError
from slembench.inference.physics import structure_blocks
from slembench.models.registry import load_model_class
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

FIXTURES = Path(__file__).parent / "fixtures"
LIGHT = [0, 1, 3, 4, 5]  # orbitals of H and He among the 14 (3s2p1d): 1s 2s 2p


def load_case(name, folder):
    """Our model with the public weights, the molecule and the tensors of the fixture."""
    with safe_open(FIXTURES / f"qhnet_{name}.safetensors", framework="pt") as stored:
        facts = json.loads(stored.metadata()["config"])
        tensors = {key: double(stored.get_tensor(key)) for key in list(stored.keys())}
    kind, options = load_model_class("qhnet"), facts["options"]
    config = kind.Config(
        width=options["hidden_size"],
        bottleneck=options["bottle_hidden_size"],
        max_radius=options["max_radius"],
        n_radial=options["radius_embed_dim"],
    )
    basis = Basis.parse(facts["basis"])
    cutoffs = dict.fromkeys(basis.elements, 25.0)
    weights = {k.removeprefix("weights."): t for k, t in tensors.items() if k.startswith("weights.")}
    save_file(weights, folder / "model.safetensors")
    model = kind.from_public(folder / "model.safetensors", config, basis, cutoffs, ("hamiltonian",))
    assert np.isclose(model.config.softplus_factor, facts["softplus_factor"], rtol=1e-12)
    return model, ase.Atoms(tensors["numbers"].numpy(), tensors["positions"].numpy()), tensors


def double(tensor):
    """Weights are stored as bfloat16, which holds them exactly."""
    return tensor.double() if tensor.dtype == torch.bfloat16 else tensor


def reload(model, file):
    return type(model).from_public(file, model.config, model.basis, model.cutoffs, model.targets)


def public_blocks(basis, tensors):
    numbers, index = tensors["numbers"].numpy(), tensors["pair_index"].numpy()
    loops = np.repeat(np.arange(len(numbers)), 2).reshape(-1, 2)
    index = np.concatenate([loops, index])
    full = np.concatenate([tensors["diagonal"].numpy(), tensors["off_diagonal"].numpy()])
    orbitals = [LIGHT if z <= 2 else list(range(14)) for z in numbers]
    values = [block[np.ix_(orbitals[i], orbitals[j])].ravel() for (i, j), block in zip(index.tolist(), full)]
    return BlockMatrix(basis, numbers, index, np.zeros((len(index), 3), int), np.concatenate(values))


def test_public_weights_give_the_public_blocks(tmp_path):
    model, atoms, tensors = load_case("CH3OH", tmp_path)
    expected = public_blocks(model.basis, tensors)
    assert expected.hermiticity_error() < 1e-10
    aligned, missing, _ = structure_blocks(model, atoms)["hamiltonian"].align(expected.pair_index, expected.pair_shift)
    assert not len(missing)
    assert np.abs(aligned.values - expected.values).max() < 1e-10 * np.abs(expected.values).mean()


def test_wrong_files_are_explained(tmp_path):
    model, _, tensors = load_case("CH3OH", tmp_path)
    weights = {k.removeprefix("weights."): t for k, t in tensors.items() if k.startswith("weights.")}
    weights["output_ii.weight"] = weights["output_ii.weight"][:-1]
    save_file(weights, tmp_path / "short.safetensors")
    with pytest.raises(ConfigError, match="does not fit these settings"):
        reload(model, tmp_path / "short.safetensors")
    weights["node_embedding.weight"] = weights["node_embedding.weight"][:6]
    save_file(weights, tmp_path / "few.safetensors")
    with pytest.raises(ConfigError, match="ends at Z = 5"):
        reload(model, tmp_path / "few.safetensors")
