"""Outputs of the public DeepH-E3 with its own initial weights, kept as small fixtures for the parity test.

Runs in an environment of its own (torch 2.13, e3nn 0.6, torch_geometric, torch_scatter, sympy, ase, safetensors), not
in ours, on a checkout of github.com/Xiaoxun-Gong/DeepH-E3 (commit f011d5f):

    python benchmarks/upstream/deeph_e3.py path/to/DeepH-E3 tests/baselines/fixtures

One safetensors file a structure: state dict, positions (Angstrom), cell, pairs (with self-loops) and the irreps that
the network returns for every pair. All is computed in float64; the trainable weights are rounded to bfloat16 before, so
that they can be stored as such. The configuration stands in the metadata as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import types
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import ase  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase.build import bulk, mx2  # noqa: E402
from ase.neighborlist import neighbor_list  # noqa: E402
from e3nn.math import normalize2mom  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch_geometric.data import Data  # noqa: E402

ANGULAR = {"s": 0, "p": 1, "d": 2, "f": 3}


def structures() -> dict[str, tuple[ase.Atoms, dict[str, str], dict[str, float], str]]:
    """Name -> atoms, basis, cutoff radii (Angstrom; a pair reaches their mean), irreps of the states."""
    layer = mx2("MoS2", size=(1, 1, 1), vacuum=6.0)
    layer.pbc = (True, True, False)
    layer.rattle(0.05, seed=1)
    silicon = bulk("Si", "diamond", 5.43)
    silicon.rattle(0.05, seed=2)
    water = ase.Atoms("OHH", positions=[[0, 0, 0.1173], [0.1, 0.7572, -0.4692], [0, -0.7572, -0.4692]])
    return {
        "mos2": (layer, {"S": "2s2p", "Mo": "2s1p1d"}, {"S": 3.6, "Mo": 3.8}, "5x0e+3x1o+3x2e+2x3o+2x4e"),
        "silicon": (silicon, {"Si": "1s1p"}, {"Si": 4.5}, "6x0e+4x1o+4x2e"),
        "water": (water, {"H": "1s1p", "O": "2s1p"}, {"H": 3.0, "O": 4.0}, "6x0e+2x1e+4x1o+4x2e"),
    }


def public_modules(checkout: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """Its model and utilities, without its data loading (which needs pymatgen)."""
    package = types.ModuleType("deephe3")
    package.__path__ = [str(checkout / "deephe3")]
    sys.modules["deephe3"] = package
    return importlib.import_module("deephe3.model"), importlib.import_module("deephe3.utils")


def pairs_of(atoms: ase.Atoms, radii: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs i, j within the mean of both radii, with self-loops: index (P, 2), shift (P, 3), vector (P, 3)."""
    reach = np.array([radii[s] for s in atoms.get_chemical_symbols()])
    i, j, shift = neighbor_list("ijS", atoms, max(radii.values()))
    vector = atoms.positions[j] + shift @ np.asarray(atoms.cell) - atoms.positions[i]
    near = np.linalg.norm(vector, axis=1) < (reach[i] + reach[j]) / 2
    loops = np.arange(len(atoms))
    index = np.concatenate([np.stack([i, j], axis=1)[near], np.stack([loops, loops], axis=1)])
    zeros = np.zeros((len(atoms), 3))
    return index, np.concatenate([shift[near], zeros]), np.concatenate([vector[near], zeros])


def write(name: str, seed: int, checkout: Path, folder: Path) -> None:
    """One fixture file."""
    model_module, utils = public_modules(checkout)
    atoms, basis, radii, irreps = structures()[name]
    numbers = sorted(set(atoms.numbers.tolist()))
    symbols = [ase.data.chemical_symbols[z] for z in numbers]
    orbitals = {
        str(z): [ANGULAR[c] for n, c in zip(basis[s][::2], basis[s][1::2]) for _ in range(int(n))]
        for z, s in zip(numbers, symbols)
    }
    _, out_irreps, post_irreps = utils.orbital_analysis(orbitals, "a", False)
    options = {"num_block": (3, 2, 2)[seed], "r_max": 4.0, "num_basis": 7}
    torch.manual_seed(seed)
    net = model_module.Net(
        num_species=len(numbers), irreps_embed_node="6x0e", irreps_edge_init="6x0e",
        irreps_sh="1x0e+1x1o+1x2e+1x3o+1x4e" if name != "silicon" else "1x0e+1x1o+1x2e", irreps_mid_node=irreps,
        irreps_post_node=irreps, irreps_out_node="1x0e", irreps_mid_edge=irreps, irreps_post_edge=post_irreps,
        irreps_out_edge=out_irreps, use_sbf=False, **options,
    )  # fmt: skip
    with torch.no_grad():  # no bias or gain left at its trivial initial value, and none that bfloat16 does not hold
        for parameter in net.parameters():
            parameter.copy_((parameter + 0.2 * torch.randn_like(parameter)).bfloat16())
    index, shift, vector = pairs_of(atoms, radii)
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    data = Data(
        x=torch.tensor([numbers.index(z) for z in atoms.numbers]),
        edge_index=torch.tensor(index.T.copy()),
        edge_attr=torch.tensor(np.concatenate([length, vector], axis=1)),
    )
    data.batch = torch.zeros(len(atoms), dtype=torch.int64)
    with torch.no_grad():
        _, output = net(data)
    metadata = {
        "basis": basis, "radii": radii, "irreps_mid": irreps, "embedding": 6, "n_blocks": options["num_block"],
        "n_gaussians": options["num_basis"], "gaussian_stop": options["r_max"],
        "harmonics_lmax": 2 if name == "silicon" else 4, "out_irreps": str(out_irreps), "commit": "f011d5f",
        "factors": [float(normalize2mom(f).cst) for f in (torch.nn.functional.silu, torch.sigmoid)],
    }  # fmt: skip
    trained = {key for key, _ in net.named_parameters()}
    state = {k: v.bfloat16() if k in trained else v for k, v in net.state_dict().items() if v.numel()}
    left_out = ("output_mask", "lin_node", "_compiled_main")  # constants, and what the forward pass never uses
    state = {k: v for k, v in state.items() if not any(part in k for part in left_out)}
    tensors = {f"weights.{key}": value.contiguous() for key, value in state.items()}
    tensors |= {
        "positions": torch.tensor(atoms.positions),
        "cell": torch.tensor(atoms.cell.array),
        "numbers": torch.tensor(atoms.numbers),
        "pair_index": torch.tensor(index),
        "pair_shift": torch.tensor(shift).round().long(),
        "pair_irreps": output.contiguous(),
    }
    save_file(tensors, folder / f"deeph_e3_{name}.safetensors", metadata={"config": json.dumps(metadata)})


def main() -> None:
    """Write one file a structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    for seed, name in enumerate(structures()):
        write(name, seed, args.checkout, args.out)


if __name__ == "__main__":
    main()
