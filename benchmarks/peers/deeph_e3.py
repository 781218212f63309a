"""Training steps of the public DeepH-E3 on Si64; runs in an environment of its own, not in ours.

Needs what benchmarks/README.md says. Writes its initial weights to ``--weights`` and prints one JSON line.
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

import ase  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase.neighborlist import neighbor_list  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch_geometric.data import Data  # noqa: E402

CUTOFF = 7.4
IRREPS = "64x0e+32x1o+16x2e+8x3o+8x4e"


def read(folder: Path) -> Data:
    """Si64 with all pairs within the cutoff and self-loops."""
    inner = folder / "Si64.0"
    positions, cell = np.loadtxt(inner / "positions.dat"), np.loadtxt(inner / "cell.dat")
    atoms = ase.Atoms(np.loadtxt(inner / "atomic_numbers.dat", dtype=int), positions, cell=cell, pbc=True)
    i, j, shift = neighbor_list("ijS", atoms, CUTOFF)
    loops = np.arange(len(atoms))
    vector = atoms.positions[j] + shift @ cell - atoms.positions[i]
    vector = np.concatenate([vector, np.zeros((len(atoms), 3))])
    attributes = np.concatenate([np.linalg.norm(vector, axis=1, keepdims=True), vector], axis=1)
    index = np.stack([np.concatenate([i, loops]), np.concatenate([j, loops])])
    data = Data(x=torch.zeros(len(atoms), dtype=torch.int64), edge_index=torch.tensor(index))
    data.edge_attr, data.batch = torch.tensor(attributes, dtype=torch.float32), torch.zeros(len(atoms)).long()
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    package = types.ModuleType("deephe3")  # its own __init__ needs pymatgen, for reading data
    package.__path__ = [str(args.checkout / "deephe3")]
    sys.modules["deephe3"] = package
    model, utils, modules = (importlib.import_module(f"deephe3.{name}") for name in ("model", "utils", "e3modules"))
    _, out_irreps, post_irreps = utils.orbital_analysis({"14": [0, 1]}, "a", False)
    net = model.Net(
        num_species=1, irreps_embed_node="64x0e", irreps_edge_init="64x0e", irreps_sh="1x0e+1x1o+1x2e+1x3o+1x4e",
        irreps_mid_node=IRREPS, irreps_post_node=IRREPS, irreps_out_node="1x0e", irreps_mid_edge=IRREPS,
        irreps_post_edge=post_irreps, irreps_out_edge=out_irreps, num_block=3, r_max=CUTOFF, use_sbf=False,
    )  # fmt: skip
    save_file({k: v.contiguous() for k, v in net.state_dict().items() if v.numel()}, args.weights)
    kernel = modules.e3TensorDecomp(out_irreps, [(0, 0), (0, 1), (1, 0), (1, 1)], torch.float32)
    data = read(args.data)
    label = torch.randn(data.edge_index.shape[1], 16)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    seconds = []
    for _ in range(args.steps + 1):
        start = time.process_time()
        optimizer.zero_grad()
        _, output = net(data)
        (kernel.get_H(output) - label).abs().square().mean().backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts = {"parameters": sum(p.numel() for p in net.parameters()), "pairs": data.edge_index.shape[1] - 64}
    print(json.dumps({**facts, "seconds": seconds[1:], "peak_bytes": peak}))


if __name__ == "__main__":
    main()
