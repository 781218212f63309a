"""Outputs of DeePTB's own SLEM and LEM with its own initial weights, kept as a small fixture for the parity test.

Runs in an environment of its own (benchmarks/README.md says how to make one with dptb 2.2.1), not in ours:

    python benchmarks/upstream/slem.py tests/models/slem/fixtures

For each method and structure one safetensors file: the weights under DeePTB's names, positions (Angstrom), cell,
pairs, and the raw irreps of nodes and pairs that the embedding returns before scale and shift, in DeePTB's own order,
all float64. The configuration stands in the metadata as JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import ase  # noqa: E402
import torch  # noqa: E402
from ase.build import bulk, mx2  # noqa: E402
from dptb.data import AtomicData, AtomicDataDict  # noqa: E402
from dptb.nn.embedding.lem import Lem  # noqa: E402
from dptb.nn.embedding.slem import Slem  # noqa: E402
from safetensors.torch import save_file  # noqa: E402


def structures() -> dict[str, tuple[ase.Atoms, dict[str, str], dict[str, float], str]]:
    """Name -> atoms, basis, cutoff radii (Angstrom), hidden irreps."""
    layer = mx2("MoS2", size=(1, 1, 1), vacuum=6.0)
    layer.pbc = (True, True, False)
    layer.rattle(0.05, seed=1)
    silicon = bulk("Si", "diamond", 5.43)
    silicon.rattle(0.05, seed=2)
    water = ase.Atoms("OHH", positions=[[0, 0, 0.1173], [0.1, 0.7572, -0.4692], [0, -0.7572, -0.4692]])
    return {
        "mos2": (layer, {"Mo": "2s1p1d", "S": "2s2p"}, {"Mo": 4.5, "S": 4.0}, "4x0e+3x1o+3x2e+2x3o+2x4e"),
        "silicon": (silicon, {"Si": "1s1p"}, {"Si": 5.0}, "6x0e+4x1o+4x2e"),
        "water": (water, {"O": "2s1p", "H": "1s1p"}, {"O": 4.0, "H": 3.0}, "6x0e+4x1o+4x2e"),
    }


def configuration(index: int) -> dict:
    """Hyper-parameters; the three structures differ in what they exercise."""
    return {
        "n_layers": 3 if index == 1 else 2,
        "n_radial_basis": 6,
        "avg_num_neighbors": 17.0,
        "env_embed_multiplicity": (3, 2, 12)[index],
        "tp_radial_emb": index != 2,
        "tp_radial_channels": [5],
        "latent_channels": [7],
        "latent_dim": 6,
        "res_update": True,
        "res_update_ratios": 0.4,
        "res_update_ratios_learnable": False,
    }


def write(method: str, name: str, index: int, folder: Path) -> None:
    """One fixture file."""
    atoms, basis, radii, irreps = structures()[name]
    torch.manual_seed(index)
    options = configuration(index)
    kind = {"slem": Slem, "lem": Lem}[method]
    model = kind(basis=basis, r_max=radii, irreps_hidden=irreps, dtype="float64", **options)
    with torch.no_grad():  # no bias or gain left at its trivial initial value
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    data = AtomicData.from_ase(atoms, r_max=radii)
    batch = model.idp(AtomicData.to_AtomicDataDict(data))
    pairs = {key: batch[key].clone() for key in ("edge_index", "edge_cell_shift")}
    with torch.no_grad():
        result = model(batch)
    gate = model.layers[0].edge_update.activation
    metadata = {
        **options, "method": method, "basis": basis, "radii": radii, "irreps_hidden": irreps, "dptb": "2.2.1",
        "silu_factor": float(gate.act_scalars.acts[0].cst), "sigmoid_factor": float(gate.act_gates.acts[0].cst),
        "elements": list(model.idp.type_names),
    }  # fmt: skip
    tensors = {f"weights.{key}": value.contiguous() for key, value in model.state_dict().items() if value.numel()}
    tensors = {
        key: value for key, value in tensors.items() if not key.endswith(("output_mask", "balance_degree_weight"))
    }
    tensors |= {
        "positions": torch.tensor(atoms.positions),
        "cell": torch.tensor(atoms.cell.array),
        "numbers": torch.tensor(atoms.numbers),
        "pair_index": pairs["edge_index"].contiguous(),
        "pair_shift": pairs["edge_cell_shift"].contiguous(),
        "node_features": result[AtomicDataDict.NODE_FEATURES_KEY].contiguous(),
        "pair_features": result[AtomicDataDict.EDGE_FEATURES_KEY].contiguous(),
    }
    save_file(tensors, folder / f"dptb_{method}_{name}.safetensors", metadata={"config": json.dumps(metadata)})


def main() -> None:
    """Write one file a method and structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    for method in ("slem", "lem"):
        for index, name in enumerate(structures()):
            write(method, name, index, out)


if __name__ == "__main__":
    main()
