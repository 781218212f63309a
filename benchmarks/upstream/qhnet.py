"""Outputs of the public QHNet (QH9 version) with its own initial weights, kept as small fixtures for the parity test.

Runs in an environment of its own (torch 2.13, e3nn 0.6, torch_geometric, torch_scatter, ase, safetensors), not in ours,
on a checkout of github.com/divelab/AIRS (commit 4a16c68):

    python benchmarks/upstream/qhnet.py path/to/AIRS/OpenDFT/QHBench/QH9 tests/baselines/fixtures

One safetensors file a molecule: state dict, positions (Angstrom), and the diagonal and off-diagonal 14 x 14 blocks
that the network returns. All is computed in float64 (constants that it rounds to float32 are set to their exact values
first); the trainable weights are rounded to bfloat16 before, so that they can be stored as such. Its radius graph comes
from torch_cluster; where that is not installed a few lines here stand in for it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import types
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from ase.build import molecule  # noqa: E402
from e3nn.math import normalize2mom  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch_geometric.data import Batch, Data  # noqa: E402

BASIS = {"H": "2s1p", "C": "3s2p1d", "O": "3s2p1d"}
OPTIONS = {"hidden_size": 6, "bottle_hidden_size": 4, "max_radius": 15, "num_nodes": 10, "radius_embed_dim": 5}


def radius_graph(pos: torch.Tensor, r: float, batch: torch.Tensor, max_num_neighbors: int = 0) -> torch.Tensor:
    """(2, E) int64 | all ordered pairs of different atoms of one graph closer than ``r``."""
    near = (torch.cdist(pos, pos) < r) & (batch[:, None] == batch[None, :])
    near.fill_diagonal_(False)
    return near.nonzero().T


def public_model(checkout: Path) -> types.ModuleType:
    """Its module of the model."""
    try:
        importlib.import_module("torch_cluster")
    except ImportError:
        sys.modules["torch_cluster"] = types.SimpleNamespace(radius_graph=radius_graph)
    sys.path.insert(0, str(checkout))
    return importlib.import_module("models.ori_QHNet_with_bias")


def build(module: types.ModuleType, options: dict) -> torch.nn.Module:
    """Network with exact constants."""
    net = module.QHNet(sh_lmax=4, num_gnn_layers=5, **options)
    net.double()
    basis = net.distance_expansion
    n = options["radius_embed_dim"]
    basis.logc.copy_(torch.tensor([math.log(math.comb(n - 1, v)) for v in range(n)]))
    return net


def graph_of(atoms) -> Data:  # noqa: ANN001
    """Input of the network; the complete graph runs over the second atom first."""
    n = len(atoms)
    full = [(j, i) for i in range(n) for j in range(n) if i != j]
    return Data(
        atoms=torch.tensor(atoms.numbers)[:, None],
        pos=torch.tensor(atoms.positions),
        edge_index_full=torch.tensor(full).T.contiguous(),
        num_nodes=n,
    )


def write(name: str, seed: int, module: types.ModuleType, folder: Path) -> None:
    """One fixture file."""
    torch.manual_seed(seed)
    atoms = molecule(name)
    atoms.rattle(0.05, seed=seed)
    net = build(module, OPTIONS)
    with torch.no_grad():  # no bias left at its trivial initial value, and none that bfloat16 does not hold
        for parameter in net.parameters():
            parameter.copy_((parameter + 0.2 * torch.randn_like(parameter)).bfloat16())
    net.set("cpu")
    batch = Batch.from_data_list([graph_of(atoms)])
    full = batch.edge_index_full.clone()
    with torch.no_grad():
        result = net(batch)
    left_out = (
        "._compiled_main", ".tp_node", "linear_node_pair_2", "expand_", "output_mask", "n.cutoff", "n.logc",
        "expansion.n", "expansion.v", "e3_gnn_layer.0.conv.norm_gate", "e3_gnn_layer.0.conv.linear_node",
    )  # constants, and what the forward pass never uses  # fmt: skip
    state = {key: value for key, value in net.state_dict().items() if value.numel()}
    weights = {key: value for key, value in state.items() if not any(part in key for part in left_out)}
    metadata = {
        "basis": {s: BASIS[s] for s in sorted(set(atoms.get_chemical_symbols()), key=list(BASIS).index)},
        "options": OPTIONS, "softplus_factor": float(normalize2mom(module.ShiftedSoftPlus).cst), "commit": "4a16c68",
    }  # fmt: skip
    trained = {key for key, _ in net.named_parameters()}
    tensors = {f"weights.{k}": v.to(torch.bfloat16 if k in trained else torch.float64) for k, v in weights.items()}
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    tensors |= {
        "positions": torch.tensor(atoms.positions),
        "numbers": torch.tensor(atoms.numbers),
        "pair_index": full.T.contiguous(),
        "diagonal": result["hamiltonian_diagonal_blocks"].contiguous(),
        "off_diagonal": result["hamiltonian_non_diagonal_blocks"].contiguous(),
    }
    save_file(tensors, folder / f"qhnet_{name}.safetensors", metadata={"config": json.dumps(metadata)})


def main() -> None:
    """Write the file of one molecule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    module = public_model(args.checkout)
    write("CH3OH", 1, module, args.out)


if __name__ == "__main__":
    main()
