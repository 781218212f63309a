"""Checkpoints that DeePTB itself trained for a few steps, and the blocks it predicts with them.

Runs in an environment of its own (benchmarks/README.md says how to make one with dptb 2.2.1), not in ours. The data
are folders in DeePTB's format: its own example ``Si64``, and structures of our sets turned into that format:

    slembench data convert datasets/mos2-mini --to deeptb --out data/mos2-mini
    python benchmarks/upstream/slem_checkpoint.py silicon path/to/Si64 tests/models/slem/fixtures
    python benchmarks/upstream/slem_checkpoint.py mos2 data/mos2-mini tests/models/slem/fixtures

Writes the checkpoint as dptb stored it, without the optimiser's moments (``.pth``), and a safetensors file with the
structure and, for each operator, the blocks of dptb's `feature_to_block` end to end, float64.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import ase  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase.build import bulk, mx2  # noqa: E402
from dptb.data import AtomicData  # noqa: E402
from dptb.data.interfaces.ham_to_feature import feature_to_block  # noqa: E402
from dptb.entrypoints.train import train  # noqa: E402
from dptb.nn import build_model  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

SMALL = "3x0e+2x1o+1x1e+1x2o+2x2e+1x3o+1x3e+1x4e"
CASES: dict[str, dict] = {
    "silicon": {
        "prefix": "Si64", "method": "slem", "overlap": True, "basis": {"Si": "1s1p"}, "r_max": {"Si": 5.0},
        "embedding": {"irreps_hidden": "6x0e+4x1o+4x2e", "env_embed_multiplicity": 3, "tp_radial_emb": True,
                      "tp_radial_channels": [5], "res_update_ratios_learnable": True, "n_layers": 3},
        "neurons": [9, 4],
    },
    "water": {
        "prefix": "data", "method": "lem", "overlap": False, "basis": {"O": "3s2p1d", "H": "2s1p"},
        "r_max": {"O": 4.0, "H": 3.0},
        "embedding": {"irreps_hidden": SMALL, "env_embed_multiplicity": 3, "tp_radial_emb": False, "n_layers": 2},
        "neurons": [8, 8],
    },
    "mos2": {
        "prefix": "data", "method": "slem", "overlap": True, "basis": {"Mo": "3s2p2d", "S": "2s2p1d"},
        "r_max": {"Mo": 4.5, "S": 4.0},
        "embedding": {"irreps_hidden": SMALL, "env_embed_multiplicity": 2, "tp_radial_emb": False, "n_layers": 2,
                      "res_update_ratios": 0.4},
        "neurons": [5, 7, 8, 8],
    },
}  # fmt: skip


def settings(case: dict, root: Path) -> dict:
    """Input of ``dptb train``: three steps in float64."""
    embedding = {
        "method": case["method"], "r_max": case["r_max"], "avg_num_neighbors": 12, "n_radial_basis": 6,
        "latent_channels": [7], "latent_dim": 6, "res_update": True, **case["embedding"],
    }  # fmt: skip
    data = {"root": str(root), "prefix": case["prefix"], "type": "DefaultDataset", "get_Hamiltonian": True}
    return {
        "common_options": {
            "basis": case["basis"], "device": "cpu", "dtype": "float64", "overlap": case["overlap"], "seed": 1,
        },
        "model_options": {
            "embedding": embedding,
            "prediction": {"method": "e3tb", "neurons": case["neurons"], "activation": "tanh"},
        },
        "train_options": {
            "num_epoch": 3, "batch_size": 1, "optimizer": {"lr": 0.02, "type": "Adam"},
            "lr_scheduler": {"type": "exp", "gamma": 0.99},
            "loss_options": {"train": {"method": "hamil_abs", "onsite_shift": False}},
            "save_freq": 1, "validation_freq": 10, "display_freq": 1, "max_ckpt": 2,
        },
        "data_options": {"train": data | {"get_overlap": case["overlap"]}},
    }  # fmt: skip


def run_training(case: dict, data: Path, work: Path) -> Path:
    """Train with dptb's own entry point; returns its last checkpoint."""
    root = work / "data"
    shutil.copytree(data, root, copy_function=shutil.copyfile)  # dptb writes into its data folder
    (work / "input.json").write_text(json.dumps(settings(case, root)))
    train(
        INPUT=str(work / "input.json"),
        init_model=None,
        restart=None,
        output=str(work / "out"),
        log_level=40,
        log_path=None,
    )
    return (work / "out/checkpoint/nnenv.latest.pth").resolve()


def structure(name: str, data: Path) -> ase.Atoms:
    """The structure to predict: a rattled primitive cell of a crystal, for water the first of the data folder."""
    if name != "water":
        atoms = bulk("Si", "diamond", 5.43) if name == "silicon" else mx2("MoS2", vacuum=6.0)
        atoms.rattle(0.05, seed=2)
        return atoms
    folder = sorted(data.glob("data.*"))[0]
    pbc = np.loadtxt(folder / "pbc.dat", dtype=int).astype(bool)
    cell = np.loadtxt(folder / "cell.dat") if pbc.any() else None
    return ase.Atoms(np.loadtxt(folder / "atomic_numbers.dat", dtype=int), np.loadtxt(folder / "positions.dat"),
                     cell=cell, pbc=pbc)  # fmt: skip


def blocks_of(checkpoint: Path, atoms: ase.Atoms, case: dict) -> dict[str, torch.Tensor]:
    """Blocks that dptb predicts, as tensors for the fixture file."""
    model = build_model(str(checkpoint), no_check=True)
    model.eval()
    data = model.idp(AtomicData.to_AtomicDataDict(AtomicData.from_ase(atoms, r_max=case["r_max"])))
    with torch.no_grad():
        result = model(data)
    tensors = {}
    for operator in ("hamiltonian", "overlap") if case["overlap"] else ("hamiltonian",):
        blocks = feature_to_block(result, model.idp, overlap=operator == "overlap")
        keys = [[int(float(x)) for x in key.split("_")] for key in blocks]
        tensors[f"{operator}_pairs"] = torch.tensor(keys)
        tensors[f"{operator}_values"] = torch.cat([block.reshape(-1).double() for block in blocks.values()])
    return tensors


def main() -> None:
    """Train, predict, and write the two files of one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("data", type=Path, help="folder of structures in DeePTB's format")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    case = CASES[args.case]
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_default_dtype(torch.float64)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = run_training(case, args.data, Path(folder))
        atoms = structure(args.case, args.data)
        tensors = blocks_of(checkpoint, atoms, case)
        stored = torch.load(checkpoint, weights_only=False)  # its own file, written a moment ago
    del stored["optimizer_state_dict"]
    name = f"dptb_{case['method']}_{args.case}"
    torch.save(stored, args.out / f"{name}.pth")
    tensors |= {
        "positions": torch.tensor(atoms.positions),
        "cell": torch.tensor(atoms.cell.array),
        "numbers": torch.tensor(atoms.numbers),
        "pbc": torch.tensor(atoms.pbc),
    }
    save_file(tensors, args.out / f"{name}_blocks.safetensors")


if __name__ == "__main__":
    main()
