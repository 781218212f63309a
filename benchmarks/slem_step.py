"""Training steps of SLEM and LEM on 64 silicon atoms, beside DeePTB's own in the same run, from the same weights.

    python benchmarks/slem_step.py --peer-python ENV/bin/python           # everything; ENV has dptb, see README.md
    python benchmarks/slem_step.py --parts lmax overlap profile           # what needs no peer

Both sides take the same structure, irreps, layers, cutoff, radial networks and an overlap head, and do forward, loss,
backward and Adam on one thread. Every round starts a fresh process for each side in turn. Settings: `users` is each as
its users run it (ours: raised malloc thresholds, as `slembench run` sets them; theirs: PyTorch as it comes), `plain`
both as PyTorch comes, `tuned` both with oneDNN products in PyTorch and raised thresholds. Our compiled functions, which
hold nearly all of our products, are part of our package and work in all settings; SLEMBENCH_NATIVE=0 in the environment
leaves PyTorch alone. Ratios are of CPU seconds, round by round; the peer's time is the sum of what its process used, so
other work disturbs them less than wall time. Memory is resident: at most, and what the steps add to what was there
before them. The GFLOP of a step are those of its matrix products in PyTorch alone; the compiled backward pass, which
computes more again, is not credited for that. The rate is that of the fastest single product, ours or PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from slem_cases import CASES

HERE = Path(__file__).resolve().parent
PARTS = ("Si64", "Si64-f", "lmax", "overlap", "profile")
SETTINGS = {"users": ("users", "plain"), "plain": ("plain", "plain"), "tuned": ("tuned", "tuned")}
"""Setting -> how ours and theirs run."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SLEMBENCH_REAL_FILES", "")
    parser.add_argument("--data", type=Path, default=Path(real) / "deeptb/Si64" if real else None)
    parser.add_argument("--peer-python", type=Path, help="python of an environment with dptb")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="+", choices=["slem", "lem"], default=["slem", "lem"])
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--steps", type=int, default=3, help="timed steps a process, after two that are not")
    parser.add_argument(
        "--record",
        type=Path,
        help="write the figures to this name with .json and .md, part by part; parts that are not asked for stay",
    )
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        parser.error("give --data FOLDER (DeePTB's Si64 example), or set SLEMBENCH_REAL_FILES")
    return args


def run(python: Path | str, script: str, *words: object) -> dict:
    """Last line of a process's output, as JSON."""
    command = [str(python), str(HERE / script), *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def case_folder(name: str, data: Path, scratch: Path) -> Path:
    """Data of a case; random blocks in its own basis where it is not DeePTB's example itself."""
    if name == "Si64":
        return data
    folder = scratch / name
    if not folder.is_dir():
        sys.path[:0] = [str(HERE.parent)]
        from si64 import write_random

        from slembench.operators.orbitals import Basis

        write_random(data, folder, Basis.parse({"Si": CASES[name]["basis"]}), CASES[name]["cutoff"])
    return folder


def sides(args: argparse.Namespace, name: str, method: str, scratch: Path) -> dict[str, tuple]:
    """Side -> arguments of `run`."""
    common = [case_folder(name, args.data, scratch), "--case", name, "--method", method, "--steps", args.steps]
    table: dict[str, tuple] = {}
    weights = []
    if args.peer_python:
        weights = ["--weights", scratch / f"{name}-{method}.safetensors"]
        for tuned in ("plain", "tuned"):
            words = [*common, *weights, *(["--tuned"] if tuned == "tuned" else [])]
            table[f"dptb {tuned}"] = (args.peer_python, "peers/dptb_slem.py", *words)
    for setting in SETTINGS:
        for symmetry in ("SO3", "O3"):
            words = [*common, "--symmetry", symmetry, "--setting", setting]
            words += weights if symmetry == "SO3" else []
            table[f"ours {symmetry} {setting}"] = (sys.executable, "slem_worker.py", "step", *words)
    return table


def measure(args: argparse.Namespace, name: str, method: str, scratch: Path) -> dict:
    """All sides of one case in turn, round by round."""
    table = sides(args, name, method, scratch)
    rounds: dict[str, list[dict]] = {side: [] for side in table}
    for number in range(args.rounds):
        for side, words in table.items():
            rounds[side].append(run(*words))
            seconds = statistics.median(rounds[side][-1]["cpu_s"])
            print(f"{name} {method} {number + 1}/{args.rounds} {side:18s} {seconds:.3f} s", file=sys.stderr, flush=True)
    return {side: summary(found) for side, found in rounds.items()}


def summary(rounds: list[dict]) -> dict:
    """Figures of one side over its rounds."""
    first = rounds[0]
    return {
        **{key: first[key] for key in ("parameters", "pairs", "torch")},
        "cpu_s": [statistics.median(r["cpu_s"]) for r in rounds],
        "wall_s": [statistics.median(r["wall_s"]) for r in rounds],
        "peak_bytes": max(r["peak_bytes"] for r in rounds),
        "step_bytes": max(r["step_bytes"] for r in rounds),
        **({"gflop": first["gflop"], "gflops": max(r["gflops"] for r in rounds)} if "gflop" in first else {}),
    }


def spread(values: list[float], form: str = ".3f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def rate(f: dict) -> str:
    """Matrix products of a step, and their rate against that of one product of the model's shape."""
    if "gflop" not in f:
        return ""
    return (
        f"{f['gflop']:.1f}, {f['gflop'] / statistics.median(f['cpu_s']) / f['gflops']:.0%} of {f['gflops']:.0f} GFLOP/s"
    )


def case_table(name: str, method: str, figures: dict) -> list[str]:
    """Markdown of one case: times and memory of every side, then ratios."""
    case = CASES[name]
    any_side = next(iter(figures.values()))
    lines = [
        f"### {name}, {method.upper()}",
        f"Basis {case['basis']}, {any_side['pairs']:,} pairs, hidden {case['irreps']} (O3: {case['parity']})\n",
        "| side | parameters | CPU s a step (min-max) | wall s | peak GiB | of steps GiB | GFLOP, of the rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for side, f in figures.items():
        lines.append(
            f"| {side} | {f['parameters']:,} | {spread(f['cpu_s'])} | {spread(f['wall_s'])} "
            f"| {f['peak_bytes'] / 2**30:.2f} | {f['step_bytes'] / 2**30:.2f} | {rate(f)} |"
        )
    if not any(side.startswith("dptb") for side in figures):
        return [*lines, ""]
    lines += ["", "| setting | symmetry | CPU dptb / ours | wall dptb / ours | peak ours / dptb | of the steps |"]
    lines += ["|---|---|---|---|---|---|"]
    for setting, (own, peer) in SETTINGS.items():
        for symmetry in ("SO3", "O3"):
            ours, theirs = figures[f"ours {symmetry} {own}"], figures[f"dptb {peer}"]
            ratios = [[b / a for a, b in zip(ours[k], theirs[k])] for k in ("cpu_s", "wall_s")]
            memory = [ours[k] / theirs[k] for k in ("peak_bytes", "step_bytes")]
            lines.append(
                f"| {setting} | {symmetry} | {spread(ratios[0], '.2f')} | {spread(ratios[1], '.2f')} "
                f"| {memory[0]:.2f} | {memory[1]:.2f} |"
            )
    return [*lines, ""]


def lmax_table(figures: dict) -> list[str]:
    """Cost against lmax and the exponent fitted to its logarithm."""
    points = [(math.log(int(l) + 1), math.log(s)) for l, s in figures["cpu_s"].items()]
    slope = statistics.linear_regression(*zip(*points)).slope
    top = statistics.linear_regression(*zip(*points[-3:])).slope
    cells = ", ".join(f"{l}: {s:.3f} s" for l, s in figures["cpu_s"].items())
    fit = f"Exponent of lmax + 1: {slope:.2f}, of the largest three {top:.2f}"
    return [f"Cost against lmax (16 channels of every l): {cells}. {fit}\n"]


def overlap_line(f: dict) -> list[str]:
    low, high = f["interval"]
    return [
        f"S head: {f['parameters']:,} parameters, {f['multiply_adds']:.2%} of the other multiply-adds, {f['time']:.2%} "
        f"of the time of a step (95 % interval {low:.2%} to {high:.2%}, {f['pairs_of_steps']} pairs of steps in turn)\n"
    ]


def hardware() -> str:
    name = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        name = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line), name
        )
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{name}, {os.cpu_count()} CPUs, load {load} at the end, one thread, Python {platform.python_version()}"


def text(report: dict) -> str:
    """Tables and sentences of all parts that a report has."""
    lines = []
    for name in CASES:
        for method in ("slem", "lem"):
            if f"{name} {method}" in report:
                lines += case_table(name, method, report[f"{name} {method}"])
    if "lmax" in report:
        lines += lmax_table(report["lmax"])
    if "overlap" in report:
        lines += overlap_line(report["overlap"])
    if "profile" in report:
        shares = sorted(report["profile"]["shares"].items(), key=lambda item: -item[1])
        lines += [f"Where the time goes: {', '.join(f'{kind} {share:.0%}' for kind, share in shares)}\n"]
    return "\n".join([*lines, report["hardware"]])


def save(report: dict, record: Path | None) -> None:
    """Write the record with what is measured so far."""
    if record is None:
        return
    record.parent.mkdir(parents=True, exist_ok=True)
    record.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    record.with_suffix(".md").write_text(f"# Steps of SLEM and LEM beside dptb\n\n{text(report)}\n")


def main() -> None:
    args = parse_arguments()
    known = args.record.with_suffix(".json") if args.record else None
    report = json.loads(known.read_text()) if known and known.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in args.parts:
            for method in args.methods if name in CASES else ("",):
                if name in CASES:
                    report[f"{name} {method}"] = measure(args, name, method, scratch)
                else:
                    report[name] = run(sys.executable, "slem_worker.py", name, args.data, "--steps", args.steps)
                report["hardware"] = hardware()
                save(report, args.record)
    print(text(report))


if __name__ == "__main__":
    main()
