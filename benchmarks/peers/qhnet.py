"""Training steps of the public QHNet (QH9 version) on 8 molecules of ethanol; in an environment of its own.

Needs what benchmarks/README.md says. Writes its initial weights to ``--weights`` and prints one JSON line. Where
torch_cluster is not installed, a few lines here stand in for its radius graph.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
import types
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from ase.build import molecule  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch_geometric.data import Batch, Data  # noqa: E402


def radius_graph(pos: torch.Tensor, r: float, batch: torch.Tensor, max_num_neighbors: int = 0) -> torch.Tensor:
    """(2, E) int64 | all ordered pairs of different atoms of one graph closer than ``r``."""
    near = (torch.cdist(pos, pos) < r) & (batch[:, None] == batch[None, :])
    near.fill_diagonal_(False)
    return near.nonzero().T


def molecules() -> Batch:
    """Eight rattled molecules of ethanol with their complete graphs."""
    parts = []
    for seed in range(8):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        n = len(atoms)
        full = torch.tensor([(j, i) for i in range(n) for j in range(n) if i != j]).T.contiguous()
        numbers, positions = torch.tensor(atoms.numbers)[:, None], torch.tensor(atoms.positions, dtype=torch.float32)
        parts.append(Data(atoms=numbers, pos=positions, edge_index_full=full, num_nodes=n))
    return Batch.from_data_list(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        importlib.import_module("torch_cluster")
    except ImportError:
        sys.modules["torch_cluster"] = types.SimpleNamespace(radius_graph=radius_graph)
    sys.path.insert(0, str(args.checkout))
    net = importlib.import_module("models").QHNet(
        sh_lmax=4, hidden_size=128, bottle_hidden_size=32, num_gnn_layers=5, max_radius=15, num_nodes=10,
        radius_embed_dim=16,
    )  # fmt: skip
    net.set("cpu")
    save_file({k: v.contiguous() for k, v in net.state_dict().items() if v.numel()}, args.weights)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-4)
    seconds = []
    for _ in range(args.steps + 1):
        batch = molecules()
        start = time.process_time()
        result = net(batch)
        blocks = torch.cat([result["hamiltonian_diagonal_blocks"], result["hamiltonian_non_diagonal_blocks"]])
        optimizer.zero_grad()
        (blocks.square().mean() + blocks.abs().mean()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts = {"parameters": sum(p.numel() for p in net.parameters()), "pairs": batch.edge_index_full.shape[1]}
    print(json.dumps({**facts, "seconds": seconds[1:], "peak_bytes": peak}))


if __name__ == "__main__":
    main()
