"""Training steps of ours and of a public implementation in turn, each in a process of its own on one thread.

The peer writes its initial weights, ours imports them (as ``slembench models import`` does), and both time forward,
loss, backward and update in CPU seconds of the process, which other work on the machine disturbs less than wall time.
Settings of ours: `default` as `slembench run` sets them (oneDNN products, freed memory kept), `same` as PyTorch comes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETTINGS = ("default", "same")


def parser(description: str) -> argparse.ArgumentParser:
    """Arguments that all of these benchmarks share."""
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--peer-python", type=Path, help="python of an environment with what the peer needs")
    result.add_argument("--checkout", type=Path, help="checkout of the public code")
    result.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    result.add_argument("--steps", type=int, default=3, help="timed steps a process, after one that is not")
    result.add_argument("--json", type=Path, help="write the figures here as well")
    result.add_argument("--worker", choices=SETTINGS, help=argparse.SUPPRESS)
    result.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    return result


def prepare(setting: str) -> None:
    """Torch and its allocator for our side; called before anything is computed."""
    sys.path.insert(0, str(HERE.parent))
    import torch

    from slembench.training.numerics import keep_freed_memory

    torch.set_num_threads(1)
    torch.manual_seed(0)
    if setting == "default":
        torch.set_float32_matmul_precision("medium")
        keep_freed_memory()


def timed(step: Callable[[], object], steps: int, **facts: int) -> None:
    """Time steps in this process and print one JSON line."""
    seconds = []
    for _ in range(steps + 1):
        start = time.process_time()
        step()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**facts, "seconds": seconds[1:], "peak_bytes": peak}))


def compare(script: str, peer: list[str], args: argparse.Namespace) -> None:
    """Run all sides in turn and print the table.

    Args:
        script: file of the benchmark, which is started again with ``--worker``.
        peer: script of the peer and its arguments; ``--weights FILE`` and ``--steps N`` are added.
        args: parsed arguments; those that the peer's script does not share are passed on to ours by `own_arguments`.
    """
    if args.peer_python is None or args.checkout is None:
        raise SystemExit("give --peer-python and --checkout; see benchmarks/README.md")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        common = ["--weights", f"{folder}/peer.safetensors", "--steps", str(args.steps)]
        sides = {"peer": [str(args.peer_python), *peer, *common]}
        for setting in SETTINGS:
            sides[f"slembench, {setting}"] = [
                sys.executable,
                script,
                "--worker",
                setting,
                *common,
                *own_arguments(args),
            ]
        times: dict[str, list[float]] = {name: [] for name in sides}
        facts: dict[str, dict] = {}
        for number in range(args.rounds):
            for name, command in sides.items():
                done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
                if done.returncode:
                    raise SystemExit(f"{' '.join(command)}\nfailed:\n{done.stderr[-3000:]}")
                facts[name] = json.loads(done.stdout.strip().splitlines()[-1])
                times[name].append(statistics.median(facts[name]["seconds"]))
                print(f"round {number + 1}/{args.rounds}  {name:20s} {times[name][-1]:.3f} s", file=sys.stderr)
    report(times, facts, args.json)


def own_arguments(args: argparse.Namespace) -> list[str]:
    """``--data`` for our workers, where the benchmark has it."""
    return ["--data", str(args.data)] if getattr(args, "data", None) else []


def report(times: dict[str, list[float]], facts: dict[str, dict], file: Path | None) -> None:
    """Table of medians, ranges and ratios; the same as JSON."""
    print(f"{'':20s} {'parameters':>10s} {'pairs':>6s} {'step, CPU s (range)':>24s} {'peak GiB':>9s}  peer / ours")
    result = {}
    for name, values in times.items():
        ratio = ""
        if name != "peer":
            ratios = [theirs / own for theirs, own in zip(times["peer"], values)]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        fact = facts[name]
        span = f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"
        memory = fact["peak_bytes"] / 2**30
        print(f"{name:20s} {fact['parameters']:10,d} {fact['pairs']:6,d} {span:>24s} {memory:9.2f}  {ratio}")
        result[name] = {**fact, "seconds": values, "ratio": ratio}
    if file is not None:
        file.write_text(json.dumps(result, indent=1))
