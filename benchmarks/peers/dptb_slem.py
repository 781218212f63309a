"""Training steps of DeePTB's own SLEM or LEM (package dptb); runs in an environment of its own, not in ours.

Needs: torch, dptb 2.2.1, torch_scatter and what they ask for (benchmarks/README.md). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from dptb.data import AtomicData, DataLoader  # noqa: E402
from dptb.data.build import build_dataset  # noqa: E402
from dptb.nn import build_model  # noqa: E402
from dptb.nnops.loss import Loss  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from slem_cases import CASES, OVERLAP_HIDDEN, SIZES, raise_malloc_thresholds, timed  # noqa: E402


def model_options(method: str, case: dict) -> dict:
    embedding = {
        "method": method,
        "r_max": {"Si": case["cutoff"]},
        "irreps_hidden": case["irreps"],
        "n_layers": SIZES["n_layers"],
        "avg_num_neighbors": 86,
        "n_radial_basis": SIZES["n_bessel"],
        "PolynomialCutoff_p": 6,
        "cutoff_type": "polynomial",
        "env_embed_multiplicity": SIZES["init_multiplicity"],
        "tp_radial_emb": True,
        "tp_radial_channels": [SIZES["radial"]],
        "latent_channels": [SIZES["latent_hidden"]],
        "latent_dim": SIZES["latent_dim"],
        "res_update": True,
        "res_update_ratios": 0.5,
        "res_update_ratios_learnable": False,
        "universal": False,
    }
    prediction = {
        "method": "e3tb",
        "neurons": [OVERLAP_HIDDEN, OVERLAP_HIDDEN],
        "scales_trainable": False,
        "shifts_trainable": False,
        "activation": "tanh",
        "if_batch_normalized": False,
    }
    return {"embedding": embedding, "prediction": prediction}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder in DeePTB's format holding Si64.0")
    parser.add_argument("--case", choices=sorted(CASES), default="Si64")
    parser.add_argument("--method", choices=["slem", "lem"], default="slem")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--tuned", action="store_true", help="oneDNN products and raised malloc thresholds")
    parser.add_argument("--weights", type=Path, help="write the initial weights of the embedding here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if args.tuned:
        torch.set_float32_matmul_precision("medium")
        raise_malloc_thresholds()
    case = CASES[args.case]
    common = {"basis": {"Si": case["basis"]}, "device": "cpu", "dtype": "float32", "overlap": True, "seed": 0}
    with tempfile.TemporaryDirectory() as folder:  # dptb writes a cache into its data folder
        root = Path(folder) / "Si64"
        shutil.copytree(args.data, root, copy_function=shutil.copyfile)
        data = build_dataset(
            root=str(root), prefix="Si64", type="DefaultDataset", r_max={"Si": case["cutoff"]},
            get_Hamiltonian=True, get_overlap=True, basis=common["basis"],
        )  # fmt: skip
        model = build_model(model_options=model_options(args.method, case), common_options=common, no_check=True)
        batch = AtomicData.to_AtomicDataDict(next(iter(DataLoader(dataset=data, batch_size=1, shuffle=False))))
    if args.weights:
        state = {k.removeprefix("embedding."): v for k, v in model.state_dict().items() if k.startswith("embedding.")}
        save_file({k: v.contiguous().clone() for k, v in state.items()}, args.weights)
    loss_function = Loss(method="hamil_abs", idp=model.idp, overlap=True, basis=None, dtype=torch.float32, device="cpu")
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    copies = [  # dptb writes into what it is given
        {key: value.clone() if torch.is_tensor(value) else value for key, value in batch.items()}
        for _ in range(2 * (args.steps + 2))
    ]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss_function(model(copies.pop()), copies.pop()).backward()
        optimizer.step()

    facts = {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "pairs": batch["edge_index"].shape[1],
        "torch": torch.__version__,
    }
    print(json.dumps({**facts, **timed(step, args.steps)}))


if __name__ == "__main__":
    main()
