"""Parity with the public DeepH-E3: its weights give its blocks (fixtures by `benchmarks/upstream/deeph_e3.py`)."""

import json
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.data import atomic_numbers
from e3nn import o3
from safetensors import safe_open
from safetensors.torch import save_file

from slembench.core.errors import ConfigError
from slembench.inference.physics import structure_blocks
from slembench.models.registry import load_model_class
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

FIXTURES = Path(__file__).parent / "fixtures"
CASES = ["mos2", "silicon", "water"]


def load_case(name, folder):
    """Our model with the public weights, the structure, facts and tensors of the fixture."""
    with safe_open(FIXTURES / f"deeph_e3_{name}.safetensors", framework="pt") as stored:
        facts = json.loads(stored.metadata()["config"])
        tensors = {key: double(stored.get_tensor(key)) for key in list(stored.keys())}
    kind = load_model_class("deeph-e3")
    keys = ("irreps_mid", "embedding", "n_blocks", "n_gaussians", "gaussian_stop", "harmonics_lmax")
    config = kind.Config(**{key: facts[key] for key in keys})
    cutoffs = {atomic_numbers[symbol]: radius for symbol, radius in facts["radii"].items()}
    basis = Basis.parse(facts["basis"])
    weights = {k.removeprefix("weights."): t for k, t in tensors.items() if k.startswith("weights.")}
    save_file(weights, folder / "model.safetensors")
    model = kind.from_public(folder / "model.safetensors", config, basis, cutoffs, ("hamiltonian",))
    pbc = name != "water"
    atoms = ase.Atoms(tensors["numbers"].numpy(), tensors["positions"].numpy(), cell=tensors["cell"].numpy(), pbc=pbc)
    return model, atoms, facts, tensors


def double(tensor):
    """Weights are stored as bfloat16, which holds them exactly."""
    return tensor.double() if tensor.dtype == torch.bfloat16 else tensor


def reload(model, file):
    return type(model).from_public(file, model.config, model.basis, model.cutoffs, model.targets)


def public_blocks(model, facts, tensors):
    """Hermitian part of the public irreps, decoupled target by target with e3nn's Wigner 3j symbols."""
    basis, numbers = model.basis, tensors["numbers"].numpy()
    blocks = BlockMatrix.zeros(basis, numbers, tensors["pair_index"].numpy(), tensors["pair_shift"].numpy())
    shells = {z: list(ls) for z, ls in basis.shells.items()}
    targets, seen = [], set()
    for first in basis.elements:
        for second in basis.elements:
            for a, l1 in enumerate(shells[first]):
                for b, l2 in enumerate(shells[second]):
                    key = (l1, shells[first][:a].count(l1), l2, shells[second][:b].count(l2))
                    if key not in seen:
                        seen.add(key)
                        targets.append(key)
    assert sum((2 * t[0] + 1) * (2 * t[2] + 1) for t in targets) == tensors["pair_irreps"].shape[1]
    assert o3.Irreps(facts["out_irreps"]).dim == tensors["pair_irreps"].shape[1]
    for row, (i, j) in enumerate(tensors["pair_index"].tolist()):
        block = np.zeros((basis.size(numbers[i]), basis.size(numbers[j])))
        start = 0
        for l1, k1, l2, k2 in targets:
            size = (2 * l1 + 1) * (2 * l2 + 1)
            irreps = tensors["pair_irreps"][row, start : start + size]
            start += size
            own, other = shells[numbers[i]], shells[numbers[j]]
            if own.count(l1) <= k1 or other.count(l2) <= k2:
                continue
            symbols = torch.cat([o3.wigner_3j(l1, l2, l) for l in range(abs(l1 - l2), l1 + l2 + 1)], dim=-1)
            a = [k for k, l in enumerate(own) if l == l1][k1]
            b = [k for k, l in enumerate(other) if l == l2][k2]
            top, left = (sum(2 * l + 1 for l in part) for part in (own[:a], other[:b]))
            block[top : top + 2 * l1 + 1, left : left + 2 * l2 + 1] = torch.einsum("abm,m->ab", symbols, irreps)
        blocks.values[blocks.offsets[row] : blocks.offsets[row + 1]] = block.ravel()
    return blocks.with_values((blocks.values + blocks.transposed().take(blocks.reverse).values) / 2)


@pytest.mark.parametrize("name", CASES)
def test_public_weights_give_the_public_blocks(name, tmp_path):
    model, atoms, facts, tensors = load_case(name, tmp_path)
    expected = public_blocks(model, facts, tensors)
    aligned, missing, _ = structure_blocks(model, atoms)["hamiltonian"].align(expected.pair_index, expected.pair_shift)
    assert not len(missing)
    assert np.abs(aligned.values - expected.values).max() < 1e-10 * np.abs(expected.values).mean()


def test_factors_of_the_fixtures_are_those_of_e3nn(tmp_path):
    model, _, facts, _ = load_case("silicon", tmp_path)
    assert np.allclose(model.config.activation_factors, facts["factors"], rtol=1e-12)


def test_wrong_files_are_explained(tmp_path):
    model, _, _, tensors = load_case("silicon", tmp_path)
    weights = {k.removeprefix("weights."): t for k, t in tensors.items() if k.startswith("weights.")}
    lost = {key: value for key, value in weights.items() if key != "lin_edge.bias"}
    save_file(lost, tmp_path / "lost.safetensors")
    with pytest.raises(ConfigError, match=r"no weight 'lin_edge\.bias'"):
        reload(model, tmp_path / "lost.safetensors")
    (tmp_path / "no.pkl").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="refused unread"):
        reload(model, tmp_path / "no.pkl")
