"""Accuracy of SLEM beside DeePTB's own SLEM: same structures, same number of steps, same size of model.

    python benchmarks/slem_accuracy.py --peer-python ENV/bin/python --out runs/accuracy   # ENV has dptb, see README.md

Both train on the training structures of a data set of ours (as `slembench data convert --to deeptb` writes them), batch
size 1, Adam with the same first and last learning rate, mean absolute plus root mean square error as loss. dptb's last
checkpoint is imported (`slembench models import --from deeptb`), and both are scored by the same evaluation on the
validation structures. The logs of both stay in the output folder; a finished part is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
IRREPS = {
    "SO3": "32x0e+32x1o+16x2e+8x3o+4x4e",
    "O3": "32x0e+6x0o+24x1o+8x1e+16x2e+4x2o+6x3o+2x3e+5x4e",
}
"""Hidden irreps of our two modes, of about equal numbers of parameters; dptb's SLEM is SO(3) and takes the first."""
SHARED = {
    "n_layers": 3, "n_bessel": 10, "init_multiplicity": 10, "latent_dim": 64, "latent_channels": [32],
    "radial_channels": 32, "lr": 5e-3, "final_factor": 0.01,
}  # fmt: skip
SCORE = "hamiltonian.mae_all.full.pooled"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="si-mini")
    parser.add_argument("--peer-python", type=Path, required=True, help="python of an environment with dptb")
    parser.add_argument("--steps", type=int, default=1100, help="optimiser steps of either side; whole epochs are made")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/accuracy"))
    return parser.parse_args()


def export(dataset: str, folder: Path) -> tuple[dict, int]:
    """Training structures in DeePTB's format; settings that both sides share, and the number of structures."""
    from slembench.data import load_dataset
    from slembench.data.formats import write_samples

    data = load_dataset(dataset)
    ids = data.split("train")
    if not folder.is_dir():
        write_samples(data.iterate(ids), folder, "deeptb")
    pairs = [len(data.pairs(sample)[0]) / len(sample.atoms) - 1 for sample in data.iterate(ids)]
    shared = {
        **SHARED,
        "irreps_hidden": IRREPS["SO3"],
        "basis": data.basis.to_dict(),
        "cutoffs": dict(data.card.cutoffs),
        "neighbours": round(sum(pairs) / len(pairs)),
    }
    return shared, len(ids)


def train_theirs(args: argparse.Namespace, shared: dict, folder: Path) -> Path:
    """Checkpoint of dptb, imported; the folder holds its log."""
    settings = args.out / "shared.json"
    settings.write_text(json.dumps(shared, indent=1))
    script = HERE / "peers/dptb_train.py"
    if not (folder / "done.json").exists():
        command = [args.peer_python, script, settings, args.out / "data", folder]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    imported = folder / "imported"
    if not imported.exists():
        ours("import-checkpoint", folder / "nnenv.latest.pth", "--from", "deeptb", "--out", imported)
    return imported


def train_ours(args: argparse.Namespace, shared: dict, symmetry: str, folder: Path) -> Path:
    """Folder of our run."""
    keys = ("n_layers", "n_bessel", "init_multiplicity", "latent_dim", "latent_channels", "radial_channels")
    settings = {f"model.{key}": shared[key] for key in keys} | {
        "model.symmetry": symmetry,
        "model.irreps_hidden": IRREPS[symmetry],
        "training.max_steps": shared["steps"],
        "training.max_wall_s": "null",
        "training.validate_every": shared["steps"],
        "training.optimizer.lr": shared["lr"],
        "training.schedule.final_factor": shared["final_factor"],
    }
    changes = [
        word
        for key, value in settings.items()
        for word in ("--set", f"{key}={json.dumps(value) if isinstance(value, list) else value}")
    ]
    ours(
        "train", "--dataset", args.dataset, "--model", "slem", "--seed", args.seed, "--threads", 1, "--out", folder,
        *changes,
    )  # fmt: skip
    return folder


def score(args: argparse.Namespace, checkpoint: Path, folder: Path) -> float:
    """Mean absolute error of H on the validation structures, meV."""
    from slembench.data import load_dataset
    from slembench.evaluation import evaluate
    from slembench.predictions import read_predictions

    file = folder / "val.h5"
    if not file.exists():
        ours(
            "predict", "--checkpoint", checkpoint, "--dataset", args.dataset, "--split", "val", "--out", file,
            "--threads", 1,
        )  # fmt: skip
    data = load_dataset(args.dataset)
    result = evaluate(data, read_predictions(file), "val", operators=("hamiltonian",), bands=False)
    return 1e3 * result.scores[SCORE].value


def ours(*words: object) -> None:
    """Run one of our commands in a process of its own."""
    command = [sys.executable, "-m", "slembench", *map(str, words)]
    subprocess.run(command, check=True, cwd=HERE.parent)


def main() -> None:
    args = parse_arguments()
    sys.path.insert(0, str(HERE.parent))
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    shared, structures = export(args.dataset, args.out / "data")
    epochs = max(1, round(args.steps / structures))
    shared |= {"epochs": epochs, "steps": epochs * structures, "seed": args.seed}
    scores = {"dptb SO3": score(args, train_theirs(args, shared, args.out / "dptb"), args.out / "dptb")}
    for symmetry in IRREPS:
        folder = args.out / f"slem-{symmetry}"
        scores[f"slembench {symmetry}"] = score(args, train_ours(args, shared, symmetry, folder), folder)
    print(
        f"{args.dataset}: {structures} training structures, {shared['steps']} steps; validation MAE of H, all elements"
    )
    for name, value in scores.items():
        print(f"  {name:<14} {value:9.3f} meV   {value / scores['dptb SO3']:.2f} of dptb's")
    (args.out / "scores.json").write_text(json.dumps({"settings": shared, "mae_meV": scores}, indent=1))


if __name__ == "__main__":
    main()
