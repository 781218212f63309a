"""Prediction of large structures: time and memory against the number of atoms, and what a second worker gains.

    python benchmarks/big_structure.py                                  # silicon and an MoS2 sheet, up to 10,000 atoms
    python benchmarks/big_structure.py --atoms 1000 2000 --json small.json

The model is a SLEM with random weights (the cost does not depend on them), the layers of the recipe's 0.7M, on
silicon's 1s1p basis and on Mo 3s2p2d, S 2s2p1d. Every prediction is a process of its own that does what
`slembench predict` does: neighbour list, all layers in chunks of pairs, blocks of one triangle streamed to an HDF5
file, checksum included. Fitted exponents are of the time, and of the memory above that of a process that has only
loaded the model. The load average stands beside every row: where other programs run, CPU time counts, not wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ase

HERE = Path(__file__).resolve().parent
CASES = {
    "silicon": {"basis": {"Si": "1s1p"}, "cutoffs": {14: 5.0}, "irreps": "32x0e+8x0o+16x1o+8x1e+16x2e+8x2o"},
    "mos2": {
        "basis": {"Mo": "3s2p2d", "S": "2s2p1d"},
        "cutoffs": {42: 6.0, 16: 5.5},
        "irreps": "32x0e+8x0o+16x1o+8x1e+16x2e+8x2o+8x3o+4x3e+4x4e",
    },
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atoms", type=int, nargs="+", default=[1000, 2000, 5000, 10000], help="at least so many")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    return parser.parse_args()


def structure(case: str, wanted: int) -> ase.Atoms:
    """Rattled bulk silicon, as cubic as can be, or a square MoS2 sheet, with at least so many atoms."""
    from ase.build import bulk, mx2

    if case == "silicon":
        unit = bulk("Si", "diamond", 5.43, cubic=True)
        n = [1, 1, 1]
        while len(unit) * n[0] * n[1] * n[2] < wanted:
            n[n.index(min(n))] += 1
        atoms = unit.repeat(n)
    else:
        n = [1, 1]
        while 3 * n[0] * n[1] < wanted:
            n[n.index(min(n))] += 1
        atoms = mx2("MoS2", size=(*n, 1), vacuum=8.0)
        atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=1)
    return atoms


def save_model(case: str, folder: Path) -> None:
    """Checkpoint of a SLEM with random weights."""
    import torch

    from slembench.models.slem.config import SlemConfig
    from slembench.models.slem.model import Slem
    from slembench.operators.orbitals import Basis
    from slembench.training.checkpoint import Checkpoint, model_description, save_checkpoint

    torch.manual_seed(0)
    about = CASES[case]
    config = SlemConfig(irreps_hidden=about["irreps"])
    model = Slem(config, Basis.parse(about["basis"]), about["cutoffs"], ("hamiltonian", "overlap"))
    model.set_average_neighbours(30.0)
    model.energy_unit = "eV"
    save_checkpoint(folder, Checkpoint({"step": 0}, model_description(model, "slem"), model.state_dict()))


def worker(case: str, wanted: str, parts: str, workers: str, folder: str) -> None:
    """One prediction in this process and its children; prints one JSON line."""
    import resource

    import torch

    from slembench.inference.structure import StructureRequest, load_checked, predict_structure
    from slembench.training.numerics import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    atoms = structure(case, int(wanted))
    job = StructureRequest(Path(folder) / "model", case, atoms, "none")
    load_checked(job)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, os.times()
    wall = time.perf_counter()
    out = Path(folder) / "out.h5"
    cost = predict_structure(job, out, parts=int(parts), workers=int(workers))
    now = os.times()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children)
    cpu = sum(now[:4]) - sum(started[:4])
    print(
        json.dumps(
            {
                "case": case, "atoms": len(atoms), "blocks": cost.pairs, "parts": int(parts), "workers": int(workers),
                "wall_s": time.perf_counter() - wall, "cpu_s": cpu, "peak_MiB": peak / 1024,
                "above_start_MiB": (peak - before) / 1024, "file_MiB": out.stat().st_size / 2**20,
            }
        )
    )  # fmt: skip


def exponent(rows: list[dict], key: str) -> float:
    """Slope of log(key) against log(atoms), least squares."""
    import numpy as np

    atoms, values = (np.log([row[name] for row in rows]) for name in ("atoms", key))
    return float(np.polyfit(atoms, values, 1)[0])


def measure(case: str, wanted: int, parts: int, workers: int, folder: Path) -> dict:
    """One prediction in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", case, str(wanted), str(parts), str(workers)]
    path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
    row = json.loads(done.stdout.strip().splitlines()[-1]) | {"load_average": os.getloadavg()[0]}
    print(
        f"{case:8s} {row['atoms']:7,d} atoms {row['blocks']:9,d} blocks  {parts} parts {workers} workers  "
        f"{row['wall_s']:8.1f} s wall {row['cpu_s']:8.1f} s CPU  {row['peak_MiB']:7.0f} MiB peak, "
        f"{row['above_start_MiB']:7.0f} above the start, "
        f"file {row['file_MiB']:6.0f} MiB, load {row['load_average']:.0f}",
        flush=True,
    )
    return row


def main() -> None:
    args = parse_arguments()
    if args.worker:
        worker(*args.worker)
        return
    sys.path.insert(0, str(HERE.parent))
    from slembench.harness.scoring import cpu_name, versions

    report: dict = {"hardware": {"cpu": cpu_name(), "cores": os.cpu_count()}, "versions": versions(), "cases": {}}
    print(f"{cpu_name()}, {os.cpu_count()} cores, 1 thread a process, float32")
    for case in args.cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save_model(case, folder / "model")
            rows = [measure(case, wanted, 1, 1, folder) for wanted in args.atoms]
            both = [measure(case, args.atoms[-1], 2, workers, folder) for workers in (1, 2)]
        fits = {key: exponent(rows, key) for key in ("cpu_s", "wall_s", "above_start_MiB")} if len(rows) > 1 else {}
        gain = {
            "two workers against one process, whole": rows[-1]["wall_s"] / both[1]["wall_s"],
            "two workers against one, same two parts": both[0]["wall_s"] / both[1]["wall_s"],
            "halo: CPU of two parts / whole": both[0]["cpu_s"] / rows[-1]["cpu_s"],
        }
        for text, values in (("exponent of", fits), ("", gain)):
            for key, value in values.items():
                print(f"{case:8s} {text} {key}: {value:.2f}".replace("  ", " "))
        report["cases"][case] = {"rows": rows + both, "exponents": fits, "two_workers": gain}
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
