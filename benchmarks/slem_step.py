"""One training step of SLEM on 64 silicon atoms, beside DeePTB's own SLEM in the same run.

    python benchmarks/slem_step.py --peer-python ENV/bin/python      # ENV has dptb, see benchmarks/README.md
    python benchmarks/slem_step.py --profile                         # where our time goes; no peer needed

Both take the same structure (5,504 directed pairs), irreps, layers, cutoff, radial networks and an overlap head, and do
forward, loss, backward and Adam on one thread. Each round starts a fresh process for either side, ours and
theirs in turn, in two settings: `default` is each as its users run it (ours: oneDNN products and raised malloc
thresholds, as `slembench run` sets them; theirs: PyTorch's defaults), `same` gives both PyTorch's defaults.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
IRREPS = {"SO3": "32x0e+32x1o+16x2e", "O3": "32x0e+8x0o+24x1o+8x1e+12x2e+4x2o"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SLEMBENCH_REAL_FILES", "")
    parser.add_argument("--data", type=Path, default=Path(real) / "deeptb/Si64" if real else None)
    parser.add_argument("--peer-python", type=Path, help="python of an environment with dptb")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--steps", type=int, default=3, help="timed steps a process, after two that are not")
    parser.add_argument("--profile", action="store_true", help="print the shares of our step by kind of operation")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--worker", choices=sorted(IRREPS), help=argparse.SUPPRESS)
    parser.add_argument("--setting", choices=["default", "same"], default="default", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        parser.error("give --data FOLDER (DeePTB's Si64 example), or set SLEMBENCH_REAL_FILES")
    return args


def worker(args: argparse.Namespace) -> None:
    """Time our steps in this process and print one JSON line (or the profile)."""
    sys.path.insert(0, str(HERE.parent))
    sys.path.insert(0, str(HERE))
    import torch
    from si64 import BASIS, CUTOFFS, read_si64

    from slembench.graphs import model_graph
    from slembench.models.slem import Slem, SlemConfig
    from slembench.training.allocator import keep_freed_memory

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if args.setting == "default":
        torch.set_float32_matmul_precision("medium")
        keep_freed_memory()
    config = SlemConfig(
        symmetry=args.worker, irreps_hidden=IRREPS[args.worker], n_layers=3, init_multiplicity=10,
        latent_dim=64, latent_channels=(32,), radial_channels=32, pair_bias=True,
    )  # fmt: skip
    model = Slem(config, BASIS, CUTOFFS, ("hamiltonian", "overlap"))
    graph = model_graph(model, read_si64(args.data), torch.float32)
    model.fit_statistics([graph])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros(())
        for name, features in model(graph).items():
            for part, value in features._asdict().items():
                error = model.layout.to_elements(value - graph[f"{name}_{part}"])
                loss = loss + error.abs().mean() + error.square().mean().sqrt()
        loss.backward()
        optimizer.step()

    seconds = []
    for _ in range(args.steps + 2):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    if args.profile:
        print_profile(step)
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pairs = graph.pair_index.shape[1]
    print(json.dumps({"parameters": model.n_parameters, "pairs": pairs, "seconds": seconds[2:], "peak_bytes": peak}))


KINDS = {
    "matrix products": ("aten::mm", "aten::addmm"),
    "batched small products (rotations)": ("aten::bmm", "aten::baddbmm"),
    "products and sums elementwise": ("aten::mul", "aten::add", "aten::sub", "aten::div", "aten::addc", "aten::sum"),
    "copies, fills, concatenation": ("aten::copy_", "aten::cat", "aten::fill_", "aten::clone", "aten::zero_"),
    "gather and scatter": ("aten::index", "aten::scatter", "aten::gather"),
    "activations and norms": ("aten::s", "aten::native_layer_norm", "aten::linalg", "aten::tanh"),
}


def print_profile(step: object) -> None:
    """Shares of self CPU time by kind of operation."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        step()  # type: ignore[operator]
    events = recorded.key_averages()
    total = sum(e.self_cpu_time_total for e in events)
    shares = dict.fromkeys([*KINDS, "everything else (dispatch, autograd, views)"], 0.0)
    for event in events:
        kind = next((k for k, names in KINDS.items() if event.key.startswith(names)), list(shares)[-1])
        shares[kind] += event.self_cpu_time_total / total
    for kind, share in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"{share:6.1%}  {kind}")


def run(command: list[str]) -> dict:
    """Last line of a worker's output, as JSON."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def commands(args: argparse.Namespace) -> dict[str, list[str]]:
    """Name -> command of every side that is timed."""
    common = ["--data", str(args.data), "--steps", str(args.steps)]
    ours = [sys.executable, str(Path(__file__).resolve()), *common]
    table = {
        f"slembench {symmetry}, {setting}": [*ours, "--worker", symmetry, "--setting", setting]
        for symmetry in ("SO3", "O3")
        for setting in ("default", "same")
    }
    if args.peer_python:
        peer = [str(args.peer_python), str(HERE / "peers/dptb_slem.py"), str(args.data), "--steps", str(args.steps)]
        table["dptb slem"] = peer
    return table


def main() -> None:
    args = parse_arguments()
    if args.worker or args.profile:
        args.worker = args.worker or "SO3"
        worker(args)
        return
    sides = commands(args)
    times: dict[str, list[float]] = {name: [] for name in sides}
    facts: dict[str, dict] = {}
    for number in range(args.rounds):
        for name, command in sides.items():
            facts[name] = run(command)
            times[name].append(statistics.median(facts[name]["seconds"]))
            print(f"round {number + 1}/{args.rounds}  {name:28s} {times[name][-1]:.3f} s", file=sys.stderr)
    print(f"{'':28s} {'parameters':>10s} {'pairs':>6s} {'step s (min-max)':>20s} {'peak GiB':>9s}  peer / ours")
    report = {}
    for name, values in times.items():
        fact, median = facts[name], statistics.median(values)
        ratio = ""
        if "dptb slem" in times and name != "dptb slem":
            pairwise = [peer / own for peer, own in zip(times["dptb slem"], values)]
            ratio = f"{statistics.median(pairwise):.2f} ({min(pairwise):.2f}-{max(pairwise):.2f})"
        span = f"{median:.3f} ({min(values):.3f}-{max(values):.3f})"
        memory = fact["peak_bytes"] / 2**30
        print(f"{name:28s} {fact['parameters']:10,d} {fact['pairs']:6,d} {span:>20s} {memory:9.2f}  {ratio}")
        report[name] = {**fact, "seconds": values, "ratio": ratio}
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
