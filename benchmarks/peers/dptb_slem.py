"""Training steps of DeePTB's own SLEM (package dptb) on Si64; runs in an environment of its own, not in ours.

Needs: torch, dptb 2.2.1, torch_scatter and what they ask for (benchmarks/README.md). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import shutil
import tempfile
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch  # noqa: E402
from dptb.data import AtomicData, DataLoader  # noqa: E402
from dptb.data.build import build_dataset  # noqa: E402
from dptb.nn import build_model  # noqa: E402
from dptb.nnops.loss import Loss  # noqa: E402

COMMON = {"basis": {"Si": "1s1p"}, "device": "cpu", "dtype": "float32", "overlap": True, "seed": 0}


def model_options(method: str) -> dict:
    embedding = {
        "method": method,
        "r_max": {"Si": 7.4},
        "irreps_hidden": "32x0e+32x1o+16x2e",
        "n_layers": 3,
        "avg_num_neighbors": 86,
        "n_radial_basis": 10,
        "PolynomialCutoff_p": 6,
        "cutoff_type": "polynomial",
        "env_embed_multiplicity": 10,
        "tp_radial_emb": True,
        "tp_radial_channels": [32],
        "latent_channels": [32],
        "latent_dim": 64,
        "res_update": True,
        "res_update_ratios": 0.5,
        "res_update_ratios_learnable": False,
        "universal": False,
    }
    prediction = {
        "method": "e3tb",
        "neurons": [64, 64],
        "scales_trainable": False,
        "shifts_trainable": False,
        "activation": "tanh",
        "if_batch_normalized": False,
    }
    return {"embedding": embedding, "prediction": prediction}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the DeePTB example holding Si64.0")
    parser.add_argument("--method", default="slem")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--matmul", default="highest", help="torch.set_float32_matmul_precision")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_float32_matmul_precision(args.matmul)
    with tempfile.TemporaryDirectory() as folder:  # dptb writes a cache into its data folder
        root = Path(folder) / "Si64"
        shutil.copytree(args.data, root, copy_function=shutil.copyfile)
        data = build_dataset(
            root=str(root), prefix="Si64", type="DefaultDataset", r_max={"Si": 7.4},
            get_Hamiltonian=True, get_overlap=True, basis=COMMON["basis"],
        )  # fmt: skip
        model = build_model(model_options=model_options(args.method), common_options=COMMON, no_check=True)
        batch = AtomicData.to_AtomicDataDict(next(iter(DataLoader(dataset=data, batch_size=1, shuffle=False))))
    loss_function = Loss(method="hamil_abs", idp=model.idp, overlap=True, basis=None, dtype=torch.float32, device="cpu")
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def fresh() -> dict:
        return {key: value.clone() if torch.is_tensor(value) else value for key, value in batch.items()}

    seconds = []
    for _ in range(args.steps + 2):
        inputs, target = fresh(), fresh()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_function(model(inputs), target).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "pairs": batch["edge_index"].shape[1],
                "seconds": seconds[2:],
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
