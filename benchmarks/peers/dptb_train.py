"""Train DeePTB's own SLEM (package dptb) on folders in its format; runs in an environment of its own, not in ours.

Reads a JSON file with the settings that both sides share and writes ``nnenv.latest.pth`` and dptb's log into the output
folder. Needs: torch, dptb 2.2.1, torch_scatter and what they ask for (benchmarks/README.md).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from dptb.entrypoints.train import train  # noqa: E402


def options(shared: dict, root: Path) -> dict:
    """Input of ``dptb train``."""
    embedding = {
        "method": "slem", "r_max": shared["cutoffs"], "irreps_hidden": shared["irreps_hidden"],
        "n_layers": shared["n_layers"], "avg_num_neighbors": shared["neighbours"], "n_radial_basis": shared["n_bessel"],
        "PolynomialCutoff_p": 6, "cutoff_type": "polynomial", "env_embed_multiplicity": shared["init_multiplicity"],
        "tp_radial_emb": True, "tp_radial_channels": [shared["radial_channels"]],
        "latent_channels": shared["latent_channels"], "latent_dim": shared["latent_dim"],
        "res_update": True, "res_update_ratios": 0.5, "res_update_ratios_learnable": False, "universal": False,
    }  # fmt: skip
    decay = shared["final_factor"] ** (1 / shared["epochs"])
    return {
        "common_options": {
            "basis": shared["basis"], "device": "cpu", "dtype": "float32", "overlap": False, "seed": shared["seed"],
        },
        "model_options": {
            "embedding": embedding,
            "prediction": {"method": "e3tb", "neurons": [64, 64], "scales_trainable": False,
                           "shifts_trainable": False, "activation": "tanh"},
        },
        "train_options": {
            "num_epoch": shared["epochs"], "batch_size": 1, "optimizer": {"lr": shared["lr"], "type": "Adam"},
            "lr_scheduler": {"type": "exp", "gamma": decay},
            "loss_options": {"train": {"method": "hamil_abs", "onsite_shift": False}},
            "save_freq": shared["epochs"], "validation_freq": 10_000, "display_freq": 10, "max_ckpt": 1,
        },
        "data_options": {"train": {"root": str(root), "prefix": "data", "type": "DefaultDataset",
                                   "get_Hamiltonian": True}},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path, help="JSON file of shared settings")
    parser.add_argument("data", type=Path, help="folder with data.* folders in DeePTB's format")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    root = args.out / "data"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(args.data, root, copy_function=shutil.copyfile)  # dptb writes into its data folder
    (args.out / "input.json").write_text(json.dumps(options(json.loads(args.settings.read_text()), root), indent=1))
    began = time.perf_counter()
    train(
        INPUT=str(args.out / "input.json"), init_model=None, restart=None, output=str(args.out / "run"),
        log_level=logging.INFO, log_path=str(args.out / "dptb.log"),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    shutil.copyfile((args.out / "run/checkpoint/nnenv.latest.pth").resolve(), args.out / "nnenv.latest.pth")
    shutil.rmtree(root)
    (args.out / "done.json").write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
